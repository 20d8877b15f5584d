//! Names to addresses as the machine's other programs see them: the hosts file first, then the DNS servers of `resolv.conf`.
//!
//! Not through the system's own function: a lookup there holds a thread until it gives up, whatever the attempt's deadline,
//! and tells no lifetime, so that nobody knows for how long its answer may be believed.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    system: Mutex<Option<Arc<System>>>,
}

/// What the system's files say.
struct System {
    hosts: Hosts,
    dns: TokioResolver,
    /// When each file was changed last, at the time of reading.
    changed: [Option<SystemTime>; 2],
}

impl Names {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, system: Mutex::new(None) }
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
        let changed =
            [HOSTS, RESOLV_CONF].map(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        let mut known = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(system) = &*known
            && system.changed == changed
        {
            return Ok(Arc::clone(system));
        }
        let system = Arc::new(System::read(&self.servers, changed)?);
        *known = Some(Arc::clone(&system));
        Ok(system)
    }
}

impl System {
    fn read(servers: &[SocketAddr], changed: [Option<SystemTime>; 2]) -> Result<Self, NameError> {
        let (config, mut options) = system_conf::read_system_conf().unwrap_or_else(|error| {
            tracing::warn!(%error, "{RESOLV_CONF} names no DNS server; asking this machine");
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
        Ok(Self { hosts: Hosts::from_system().unwrap_or_default(), dns, changed })
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
