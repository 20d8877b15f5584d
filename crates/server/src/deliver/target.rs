//! Where an event may be sent: a URL read once into what a request needs, and the policy that it must pass.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::AddressPolicy;

/// Why a URL is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// More than [`Target::URL_BYTES_MAX`].
    #[error("The URL is longer than {} bytes.", Target::URL_BYTES_MAX)]
    TooLong,
    /// No URL, or one that no request can be made from.
    #[error("This is not a URL that a request can be sent to; it must look like https://host/path.")]
    Malformed,
    /// Another scheme.
    #[error("The URL must begin with https://.")]
    NotHttps,
    /// A user name or password.
    #[error("The URL must not contain a user name or password.")]
    UserInfo,
    /// Port 0, which nothing listens on.
    #[error("The port 0 cannot be reached.")]
    PortZero,
    /// A port on which another protocol than HTTP is spoken.
    #[error("The port is that of another protocol than HTTPS; choose another.")]
    RefusedPort,
    /// An address that is not on the public Internet and not opened by the operator.
    #[error(
        "The host is, or resolves to, an address that is not on the public Internet; to allow it, name its network in delivery.allow_networks and start the server again."
    )]
    RefusedAddress,
    /// A public address of the machine that the server runs on, not opened by the operator.
    #[error(
        "The host is, or resolves to, an address of the server's own machine; to allow it, name it in delivery.allow_networks and start the server again."
    )]
    OwnAddress,
}

/// Ports on which protocols live that take a stranger's bytes for commands or mail: file transfer, shells, mail, news, names,
/// directories, chat, telephony, displays, caches. No receiver of webhooks listens there, and a server that posts to them for
/// whoever may add a destination is a tool for abuse.
const REFUSED_PORTS: [u16; 39] = [
    20, 21, 22, 23, 25, 53, 69, 110, 111, 119, 123, 135, 139, 143, 161, 179, 389, 445, 465, 514, 563, 587,
    636, 853, 989, 990, 993, 995, 2049, 3389, 5060, 5061, 6000, 6379, 6665, 6666, 6667, 6697, 11211,
];

impl TargetError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            TargetError::TooLong => "url_too_long",
            TargetError::Malformed => "malformed_url",
            TargetError::NotHttps => "not_https",
            TargetError::UserInfo => "user_info",
            TargetError::PortZero => "port_zero",
            TargetError::RefusedPort => "refused_port",
            TargetError::RefusedAddress => "refused_target",
            TargetError::OwnAddress => "own_address",
        }
    }
}

/// The host of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TargetHost {
    /// To be resolved before it is connected to.
    Name(Arc<str>),
    /// Written as an address.
    Address(IpAddr),
}

/// A URL that passed the policy as far as it can be judged without resolving its host.
///
/// URLs are read as browsers read them (the WHATWG standard): odd spellings of an address (`0x7f.1`, `2130706433`,
/// `017700000001`, `[::ffff:127.0.0.1]`, full-width digits) become the address and are judged as such; names become
/// lower-case ASCII; a fragment is dropped. Spaces and control characters, which browsers skip, are refused.
#[derive(Clone)]
pub struct Target {
    pub(crate) host: TargetHost,
    pub(crate) port: u16,
    /// As it was given, for the record.
    pub(crate) given: Arc<str>,
    /// Path and query, as the request line has them.
    pub(crate) path: Uri,
    /// Host, and the port where it is not 443.
    pub(crate) host_header: HeaderValue,
    /// What the certificate must be for.
    pub(crate) server_name: ServerName<'static>,
}

impl Target {
    /// Longest URL.
    pub const URL_BYTES_MAX: usize = 2_048;

    /// Reads a URL and judges it; a host that is written as an address is judged too.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn parse(url: &str, policy: &AddressPolicy) -> Result<Self, TargetError> {
        if url.len() > Self::URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(TargetError::Malformed);
        }
        let text = url;
        let url = Url::parse(text).map_err(|_| TargetError::Malformed)?;
        if url.scheme() != "https" {
            return Err(TargetError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() || has_user_info(text) {
            return Err(TargetError::UserInfo);
        }
        let port = url.port().unwrap_or(443);
        if port == 0 {
            return Err(TargetError::PortZero);
        }
        if REFUSED_PORTS.contains(&port) {
            return Err(TargetError::RefusedPort);
        }
        let host = match url.host().ok_or(TargetError::Malformed)? {
            Host::Domain(name) => TargetHost::Name(name.into()),
            Host::Ipv4(address) => TargetHost::Address(address.into()),
            Host::Ipv6(address) => TargetHost::Address(address.into()),
        };
        if let TargetHost::Address(address) = host {
            policy.judge(address)?;
        }
        if url.as_str().len() > Self::URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        Ok(Self {
            server_name: server_name(&host)?,
            path: path(&url)?,
            host_header: host_header(&url)?,
            given: text.into(),
            host,
            port,
        })
    }
}

impl Target {
    /// The URL as requests use it. Its path may be a credential.
    pub fn url(&self) -> String {
        format!("https://{}{}", self.host_header.to_str().unwrap_or_default(), self.path)
    }

    /// The host, where it is written as an address.
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            TargetHost::Address(address) => Some(address),
            TargetHost::Name(_) => None,
        }
    }
}

impl fmt::Debug for Target {
    /// Leaves the path out: it may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Whether there is an `@` before the host, be it with nothing before it, which the parser drops.
fn has_user_info(url: &str) -> bool {
    let after_scheme = url.split_once(':').map_or(url, |(_, rest)| rest).trim_start_matches(['/', '\\']);
    after_scheme.split(['/', '\\', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

fn server_name(host: &TargetHost) -> Result<ServerName<'static>, TargetError> {
    match host {
        // A trailing dot belongs to the name's spelling, not to the certificate; the type drops it.
        TargetHost::Name(name) => ServerName::try_from(name.to_string()).map_err(|_| TargetError::Malformed),
        TargetHost::Address(address) => Ok(ServerName::from(*address)),
    }
}

fn path(url: &Url) -> Result<Uri, TargetError> {
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let parts = path.parse().map_err(|_| TargetError::Malformed)?;
    Uri::builder()
        .path_and_query::<http::uri::PathAndQuery>(parts)
        .build()
        .map_err(|_| TargetError::Malformed)
}

fn host_header(url: &Url) -> Result<HeaderValue, TargetError> {
    let host = url.host_str().ok_or(TargetError::Malformed)?;
    // The parser has dropped a port that is the scheme's own.
    let value = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::try_from(value).map_err(|_| TargetError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Target, TargetError};
    use crate::deliver::AddressPolicy;

    #[track_caller]
    fn refused(url: &str, expected: TargetError) {
        match Target::parse(url, &AddressPolicy::default()) {
            Ok(target) => panic!("{url} was read as {target:?}"),
            Err(error) => assert_eq!(error, expected, "{url}"),
        }
    }

    #[track_caller]
    fn accepted(url: &str, host_header: &str, port: u16, path: &str) {
        let target = Target::parse(url, &AddressPolicy::default()).unwrap();
        assert_eq!(target.host_header, host_header);
        assert_eq!((target.port, target.path.to_string().as_str()), (port, path));
    }

    #[test]
    fn takes_a_url_apart_into_what_a_request_needs() {
        accepted("https://example.com", "example.com", 443, "/");
        accepted("https://Example.COM:443/a?b=c#d", "example.com", 443, "/a?b=c");
        accepted("https://example.com:8443/hook?k=%20", "example.com:8443", 8443, "/hook?k=%20");
        accepted("https://b\u{fc}cher.example/\u{fc}", "xn--bcher-kva.example", 443, "/%C3%BC");
        accepted("https://8.8.8.8/", "8.8.8.8", 443, "/");
        accepted("https://[2606:4700:4700::1111]:444/", "[2606:4700:4700::1111]:444", 444, "/");
        accepted("https:example.com", "example.com", 443, "/");
    }

    #[test]
    fn a_trailing_dot_stays_in_the_name_and_not_in_the_certificate() {
        let target = Target::parse("https://example.com./", &AddressPolicy::default()).unwrap();
        assert_eq!(target.host_header, "example.com.");
        assert_eq!(target.server_name.to_str(), "example.com");
    }

    #[test]
    fn refuses_what_is_no_plain_https_url() {
        refused("", TargetError::Malformed);
        refused("example.com", TargetError::Malformed);
        refused("https://", TargetError::Malformed);
        refused("https:///", TargetError::Malformed);
        refused("https://exa mple.com/", TargetError::Malformed);
        refused(" https://example.com/", TargetError::Malformed);
        refused("https://example.com/a\nb", TargetError::Malformed);
        refused("https://exam\u{0}ple.com/", TargetError::Malformed);
        refused("https://example.com:99999/", TargetError::Malformed);
        refused("https://a_b..example/", TargetError::Malformed);
        refused("http://example.com/", TargetError::NotHttps);
        refused("ftp://example.com/", TargetError::NotHttps);
        refused("file:///etc/passwd", TargetError::NotHttps);
        refused("https://user@example.com/", TargetError::UserInfo);
        refused("https://:secret@example.com/", TargetError::UserInfo);
        refused("https://@example.com/", TargetError::UserInfo);
        refused("https://:@example.com/", TargetError::UserInfo);
        refused("https:\\\\@example.com/", TargetError::UserInfo);
        refused("https://example.com:0/", TargetError::PortZero);
        for port in [22, 25, 6379, 11211] {
            refused(&format!("https://example.com:{port}/"), TargetError::RefusedPort);
        }
        refused(&format!("https://example.com/{}", "a".repeat(2_048)), TargetError::TooLong);
    }

    #[test]
    fn bounds_a_url_as_sent_and_as_read() {
        let of = |bytes: usize| format!("https://example.com/{}", "a".repeat(bytes - 20));
        assert!(Target::parse(&of(2_048), &AddressPolicy::default()).is_ok());
        refused(&of(2_049), TargetError::TooLong);
        // Short once it is read, long as it is sent.
        refused(&format!("https://example.com/{}", "./".repeat(2_048)), TargetError::TooLong);
        // Short as it is sent; each of these letters is six bytes once it is read, and 338 of them fill the limit.
        let grows = |letters: usize| format!("https://example.com/{}", "\u{e9}".repeat(letters));
        assert!(Target::parse(&grows(338), &AddressPolicy::default()).is_ok());
        refused(&grows(339), TargetError::TooLong);
    }

    #[test]
    fn tells_an_address_and_shows_no_path() {
        let policy = AddressPolicy::default();
        let named = Target::parse("https://example.com/token", &policy).unwrap();
        assert_eq!(named.address(), None);
        let shown = format!("{named:?}");
        assert!(
            shown.contains("example.com") && shown.contains("443") && !shown.contains("token"),
            "{shown}"
        );
        let written = Target::parse("https://8.8.8.8/token", &policy).unwrap();
        assert_eq!(written.address(), Some("8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn sees_through_every_spelling_of_an_address() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "0",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "%31%32%37.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::7f00:1]",
            "169.254.169.254",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "192.168.0.1",
        ] {
            refused(&format!("https://{host}/"), TargetError::RefusedAddress);
        }
    }

    #[test]
    fn an_opened_network_opens_its_addresses_alone() {
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(Target::parse("https://127.0.0.1:9/", &policy).is_ok());
        assert_eq!(Target::parse("https://10.0.0.1/", &policy).unwrap_err().code(), "refused_target");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC*", tail in "[-a-zA-Z0-9.:/?#@%\\[\\]\\\\|^{}<>\"`]*") {
            for url in [text, format!("https://{tail}")] {
                if let Ok(target) = Target::parse(&url, &AddressPolicy::default()) {
                    let again = Target::parse(&target.url(), &AddressPolicy::default()).unwrap();
                    prop_assert_eq!(again.url(), target.url());
                    prop_assert_eq!((again.host, again.port), (target.host, target.port));
                }
            }
        }
    }
}
