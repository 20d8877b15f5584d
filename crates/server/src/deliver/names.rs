//! Names to addresses as the machine's other programs see them: the hosts file first, then the DNS servers of `resolv.conf`.
//!
//! Not through the system's own function: a lookup there holds a thread until it gives up, whatever the attempt's deadline,
//! and tells no lifetime, so that nobody knows for how long its answer may be believed.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// When a file was changed last, and how long it is; absent where it cannot be read.
type Stamp = Option<(SystemTime, u64)>;

/// How long one question to a DNS server may take.
const QUESTION_WITHIN: Duration = Duration::from_secs(2);

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("there is no such name")]
    NoSuchName,
    #[error("it has no address")]
    NoAddress,
    #[error("the DNS server answered that it cannot tell")]
    Refused,
    #[error("no DNS server answered")]
    Unanswered,
}

/// A name's addresses, at least one.
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    /// For how long they may be believed.
    pub(super) lifetime: Duration,
}

/// Looks up names.
pub(super) struct Names {
    /// Asked instead of those of `resolv.conf`, unless empty.
    servers: Vec<SocketAddr>,
    /// The hosts file and `resolv.conf`.
    files: [PathBuf; 2],
    system: Mutex<Option<Arc<System>>>,
}

/// What the system's files say.
struct System {
    hosts: Hosts,
    dns: TokioResolver,
    /// Of each file, at the time of reading.
    stamps: [Stamp; 2],
}

impl Names {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, files: [HOSTS, RESOLV_CONF].map(PathBuf::from), system: Mutex::new(None) }
    }

    pub(super) async fn look_up(&self, name: &str) -> Result<Found, NameError> {
        let name = Name::from_ascii(name).map_err(|_| NameError::NoSuchName)?;
        let system = self.system()?;
        // A name that the file has is not asked for elsewhere, not even for addresses of the other family.
        let listed = system.listed(&name);
        if !listed.is_empty() {
            return Ok(Found { addresses: listed, lifetime: Duration::MAX });
        }
        let found = system.dns.lookup_ip(name).await.map_err(|error| reason(&error))?;
        let addresses: Vec<IpAddr> = found.iter().collect();
        if addresses.is_empty() {
            return Err(NameError::NoAddress);
        }
        let seconds = found.as_lookup().answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok(Found { addresses, lifetime: Duration::from_secs(seconds.into()) })
    }

    /// The files as they are now; read again where one was changed.
    fn system(&self) -> Result<Arc<System>, NameError> {
        let stamps = self.files.each_ref().map(|path| stamp(path));
        let mut known = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(system) = &*known
            && system.stamps == stamps
        {
            return Ok(Arc::clone(system));
        }
        let system = Arc::new(System::read(&self.servers, &self.files, stamps)?);
        *known = Some(Arc::clone(&system));
        Ok(system)
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

impl System {
    fn read(
        servers: &[SocketAddr],
        [hosts, resolv_conf]: &[PathBuf; 2],
        stamps: [Stamp; 2],
    ) -> Result<Self, NameError> {
        let conf = fs::read(resolv_conf).map_err(NetError::from).and_then(system_conf::parse_resolv_conf);
        let (config, mut options) = conf.unwrap_or_else(|error| {
            if servers.is_empty() {
                tracing::warn!(%error, "{} names no DNS server; asking this machine", resolv_conf.display());
            }
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            (ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default())
        });
        let config = if servers.is_empty() {
            config
        } else {
            let (domain, search, _) = config.into_parts();
            ResolverConfig::from_parts(domain, search, servers.iter().map(server).collect())
        };
        // Three tries within an attempt's ten seconds: a server that drops what it does not like, such as questions for
        // IPv6, must not take the attempt with it.
        options.timeout = options.timeout.min(QUESTION_WITHIN);
        options.attempts = options.attempts.min(2);
        options.use_hosts_file = ResolveHosts::Never;
        // Answers are kept where they have been judged.
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let dns = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| reason(&error))?;
        let mut listed = Hosts::default();
        // A machine without the file has no names of its own; a line that is none is passed over.
        if let Err(error) = fs::File::open(hosts).and_then(|file| listed.read_hosts_conf(file)) {
            tracing::warn!(%error, "{} cannot be read", hosts.display());
        }
        Ok(Self { hosts: listed, dns, stamps })
    }

    fn listed(&self, name: &Name) -> Vec<IpAddr> {
        let of = |family| self.hosts.lookup_static_host(&Query::query(name.clone(), family));
        [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(of)
            .flat_map(|lookup| {
                lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
            })
            .collect()
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        let connection: &mut ConnectionConfig = connection;
        connection.port = address.port();
    }
    server
}

fn reason(error: &NetError) -> NameError {
    match error {
        _ if error.is_nx_domain() => NameError::NoSuchName,
        _ if error.is_no_records_found() => NameError::NoAddress,
        NetError::Dns(DnsError::ResponseCode(_)) => NameError::Refused,
        _ => NameError::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use tempfile::TempDir;
    use tokio::net::UdpSocket;

    use super::{NameError, Names};

    /// Names by files of the test's own, and by one DNS server.
    fn names(folder: &TempDir, server: SocketAddr, hosts: &str, resolv_conf: &str) -> Names {
        let files = ["hosts", "resolv.conf"].map(|name| folder.path().join(name));
        fs::write(&files[0], hosts).unwrap();
        fs::write(&files[1], resolv_conf).unwrap();
        Names { servers: vec![server], files, system: Mutex::new(None) }
    }

    async fn server() -> (SocketAddr, UdpSocket) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    /// Answers every question with: there is no such name.
    async fn deny(socket: UdpSocket, asked: &Mutex<Vec<String>>) {
        let mut query = [0; 512];
        loop {
            let (length, peer) = socket.recv_from(&mut query).await.unwrap();
            let labels = &query[12..];
            let end = labels.iter().position(|byte| *byte == 0).unwrap();
            let name = labels[..end].iter().map(|byte| if *byte < 32 { '.' } else { char::from(*byte) });
            asked.lock().unwrap().push(name.collect());
            query[2..4].copy_from_slice(&[0x81, 0x83]);
            socket.send_to(&query[..length], peer).await.unwrap();
        }
    }

    async fn look_up(names: &Names, name: &str) -> Result<Vec<String>, NameError> {
        let found = names.look_up(name).await?;
        Ok(found.addresses.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn the_hosts_file_is_read_as_it_is_now() {
        let (folder, (server, socket)) = (TempDir::new().unwrap(), server().await);
        let hosts = "127.0.0.9 hooks.test other # x\n\n::9 hooks.test\nrubbish\n";
        let names = names(&folder, server, hosts, "");
        let asked = Mutex::new(Vec::new());
        let asks = async {
            assert_eq!(look_up(&names, "hooks.test").await.unwrap(), ["127.0.0.9", "::9"]);
            assert_eq!(look_up(&names, "HOOKS.test.").await.unwrap(), ["127.0.0.9", "::9"]);
            // One family is enough: the other is not asked for elsewhere.
            assert_eq!(look_up(&names, "other").await.unwrap(), ["127.0.0.9"]);
            fs::write(&names.files[0], "127.0.0.10 hooks.test\n").unwrap();
            assert_eq!(look_up(&names, "hooks.test").await.unwrap(), ["127.0.0.10"]);
            assert!(asked.lock().unwrap().is_empty());
            fs::remove_file(&names.files[0]).unwrap();
            assert_eq!(look_up(&names, "hooks.test").await, Err(NameError::NoSuchName));
        };
        tokio::select! { () = asks => (), () = deny(socket, &asked) => () }
    }

    #[tokio::test]
    async fn search_and_ndots_are_observed() {
        let (folder, (server, socket)) = (TempDir::new().unwrap(), server().await);
        let conf = "nameserver 192.0.2.1\nsearch corp.test lab.test\noptions ndots:1\n";
        let names = names(&folder, server, "", conf);
        let asked = Mutex::new(Vec::new());
        let asks = async {
            let seen = async |name: &str| {
                assert_eq!(look_up(&names, name).await, Err(NameError::NoSuchName));
                let mut seen = std::mem::take(&mut *asked.lock().unwrap());
                seen.dedup();
                seen
            };
            assert_eq!(seen("intranet").await, [".intranet.corp.test", ".intranet.lab.test", ".intranet"]);
            assert_eq!(seen("a.test").await, [".a.test", ".a.test.corp.test", ".a.test.lab.test"]);
            assert_eq!(seen("a.test.").await, [".a.test"]);
            fs::write(&names.files[1], "nameserver 192.0.2.1\nsearch new.test\n").unwrap();
            assert_eq!(seen("intranet").await, [".intranet.new.test", ".intranet"]);
        };
        tokio::select! { () = asks => (), () = deny(socket, &asked) => () }
    }

    #[tokio::test]
    async fn what_is_no_name_is_never_asked_for() {
        let folder = TempDir::new().unwrap();
        let names = names(&folder, "127.0.0.1:1".parse().unwrap(), "", "");
        for name in ["a..b", &"a".repeat(64), &"a.".repeat(128), "nowhere.invalid"] {
            assert_eq!(look_up(&names, name).await, Err(NameError::NoSuchName), "{name}");
        }
    }
}
