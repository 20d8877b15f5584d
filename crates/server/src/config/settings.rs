//! The table of settings: each one's key, what it takes, and where it goes.

use std::path::PathBuf;

use super::value::Given;
use super::{Config, StoreUrl};
use crate::telemetry::{LogFormat, check_log_filter};

/// One setting of the process.
pub(super) struct Setting {
    /// The key in the TOML file, its table before a dot.
    pub(super) key: &'static str,
    /// What it takes, for the sentence "expected …".
    pub(super) expected: &'static str,
    /// Puts it in place; `None` where the value is not what is expected.
    pub(super) set: fn(&mut Config, Given<'_>) -> Option<()>,
}

impl Setting {
    /// The environment variable of the setting.
    pub(super) fn variable(&self) -> String {
        if self.key == "log.filter" {
            return "AGENTFLOW_LOG".to_owned();
        }
        format!("AGENTFLOW_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

const A_FILE: &str = "the path of a PEM file";
const MILLISECONDS: &str = "milliseconds, a whole number from 1 to 3600000";
const HOUR_MS: u64 = 3_600_000;

macro_rules! settings {
    ($($key:literal, $expected:expr, |$config:ident, $given:ident| $value:expr => $($place:ident).+;)*) => {
        /// Every setting.
        pub(super) const SETTINGS: &[Setting] = &[$(Setting {
            key: $key,
            expected: $expected,
            set: |$config, $given| {
                $config.$($place).+ = $value;
                Some(())
            },
        },)*];
    };
}

settings! {
    "listen", "an address (not a name) and a port, such as 127.0.0.1:8443 or [::]:8443",
        |config, given| given.parsed()? => listen;
    "data_dir", "the path of a folder", |config, given| PathBuf::from(given.text()?) => data_dir;
    "public_url", "https://HOST or https://HOST:PORT without a path",
        |config, given| Some(origin(given.text()?)?) => public_url;
    "tls.cert", A_FILE, |config, given| Some(PathBuf::from(given.text()?)) => tls.cert;
    "tls.key", A_FILE, |config, given| Some(PathBuf::from(given.text()?)) => tls.key;
    "store.url", "sqlite:PATH (postgres:// is not supported by this build)",
        |config, given| StoreUrl::Sqlite(sqlite_path(given.text()?)?) => store;
    "delivery.allow_networks", "networks such as 10.0.0.0/8 or 192.168.1.5/32: a list in the file, with commas in a variable",
        |config, given| given.list()? => delivery.allow_networks;
    "delivery.extra_ca", A_FILE, |config, given| Some(PathBuf::from(given.text()?)) => delivery.extra_ca;
    "delivery.dns_servers", "addresses with ports such as 10.0.0.2:53: a list in the file, with commas in a variable",
        |config, given| given.list()? => delivery.dns_servers;
    "delivery.concurrency_per_destination", "a whole number from 1 to 1024",
        |config, given| count(given.whole(1..=1_024)?) => delivery.concurrency_per_destination;
    "delivery.concurrency", "a whole number from 1 to 65536",
        |config, given| count(given.whole(1..=65_536)?) => delivery.concurrency;
    "limits.body_bytes_max", "bytes, a whole number from 1 to 16777216",
        |config, given| count(given.whole(1..=16_777_216)?) => limits.body_bytes_max;
    "limits.connections_max", "a whole number from 1 to 1000000",
        |config, given| count(given.whole(1..=1_000_000)?) => limits.connections_max;
    "limits.connections_per_address_max", "a whole number from 1 to 1000000",
        |config, given| count(given.whole(1..=1_000_000)?) => limits.connections_per_address_max;
    "limits.requests_per_second", "a whole number from 1 to 1000000",
        |config, given| Some(rate(&given)?) => limits.requests_per_second;
    "limits.requests_per_second_per_address", "a whole number from 1 to 1000000",
        |config, given| Some(rate(&given)?) => limits.requests_per_second_per_address;
    "limits.handshake_timeout_ms", MILLISECONDS,
        |config, given| given.whole(1..=HOUR_MS)? => limits.handshake_timeout_ms;
    "limits.header_timeout_ms", MILLISECONDS,
        |config, given| given.whole(1..=HOUR_MS)? => limits.header_timeout_ms;
    "limits.body_idle_timeout_ms", MILLISECONDS,
        |config, given| given.whole(1..=HOUR_MS)? => limits.body_idle_timeout_ms;
    "limits.request_timeout_ms", MILLISECONDS,
        |config, given| given.whole(1..=HOUR_MS)? => limits.request_timeout_ms;
    "limits.drain_timeout_ms", MILLISECONDS,
        |config, given| given.whole(1..=HOUR_MS)? => limits.drain_timeout_ms;
    "log.filter", "a log filter such as info or agentflow_server=debug,warn",
        |config, given| log_filter(given.text()?)? => log.filter;
    "log.format", "text or json", |config, given| given.parsed::<LogFormat>()? => log.format;
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn rate(given: &Given<'_>) -> Option<u32> {
    u32::try_from(given.whole(1..=1_000_000)?).ok()
}

fn log_filter(filter: &str) -> Option<String> {
    check_log_filter(filter).ok().map(|()| filter.to_owned())
}

fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    // `sqlite://host/…` is how other programs write it, with a host that no file has.
    (!path.is_empty() && !path.starts_with("//")).then(|| PathBuf::from(path))
}

/// `https://host[:port]`, without the slash at the end if it has one.
fn origin(url: &str) -> Option<String> {
    let url = url.strip_suffix('/').unwrap_or(url);
    let uri: http::Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let bare = uri.scheme_str() == Some("https")
        && uri.path_and_query().is_none_or(|path| path.as_str() == "/")
        && !authority.as_str().contains('@')
        && !authority.host().is_empty()
        && authority.as_str().rsplit(']').next().is_some_and(|rest| !rest.ends_with(':'))
        && authority.port_u16() != Some(0);
    bare.then(|| format!("https://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::{origin, sqlite_path};

    #[test]
    fn a_public_url_is_a_scheme_and_an_authority() {
        for (url, expected) in [
            ("https://hooks.example.com", Some("https://hooks.example.com")),
            ("https://hooks.example.com/", Some("https://hooks.example.com")),
            ("https://[::1]:8443", Some("https://[::1]:8443")),
            ("http://hooks.example.com", None),
            ("https://hooks.example.com/base", None),
            ("https://user@hooks.example.com", None),
            ("https://hooks.example.com?x=1", None),
            ("https://hooks.example.com:", None),
            ("https://", None),
            ("hooks.example.com", None),
        ] {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_store_url_names_a_file() {
        assert_eq!(sqlite_path("sqlite:leads.db"), Some("leads.db".into()));
        assert_eq!(sqlite_path("sqlite:/var/lib/leads.db"), Some("/var/lib/leads.db".into()));
        for refused in ["", "sqlite:", "sqlite://host/x", "leads.db", "postgres://localhost/x"] {
            assert_eq!(sqlite_path(refused), None, "{refused}");
        }
    }
}
