//! Every setting and limit of the process, checked once, here. Settings of a workspace are in the store.
//!
//! A setting is a flag, an `AGENTFLOW_…` variable or a key of the TOML file; the first of these that names it wins, and
//! where none does the default stands. [`settings`] is the table of all of them, [`sources`] reads them.

mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod value;

pub use sources::{ConfigError, Flags, Loaded, load};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use crate::telemetry::LogFormat;

/// The process's settings, all checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder for database, keys and certificate.
    pub data_dir: PathBuf,
    /// `https://host[:port]` under which senders reach the server; absent: made from the listening address.
    pub public_url: Option<String>,
    /// Certificate and key.
    pub tls: TlsConfig,
    /// Where leads are kept.
    pub store: StoreUrl,
    /// Outbound.
    pub delivery: DeliveryConfig,
    /// Limits.
    pub limits: Limits,
    /// What the log says, and how.
    pub log: LogConfig,
}

/// What the log says, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A filter such as `info` or `agentflow_server=debug,warn`; `RUST_LOG` counts where the setting is not set.
    pub filter: String,
    /// Text or JSON.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

/// Certificate chain and key, PEM files. Either both or, for trying things out, neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate chain, leaf first.
    pub cert: Option<PathBuf>,
    /// Private key.
    pub key: Option<PathBuf>,
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`; a relative path is taken from the data folder.
    Sqlite(PathBuf),
}

/// What outbound requests may reach, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Networks beside global unicast that targets may be in.
    pub allow_networks: Vec<IpNet>,
    /// PEM file of further certificate authorities.
    pub extra_ca: Option<PathBuf>,
    /// DNS servers that are asked instead of the system's, unless empty.
    pub dns_servers: Vec<SocketAddr>,
    /// Attempts in flight for one destination, at most.
    pub concurrency_per_destination: usize,
    /// Attempts in flight over all destinations, at most.
    pub concurrency: usize,
    /// A whole attempt: resolve, connect, TLS, send, status line; milliseconds.
    pub attempt_timeout_ms: u64,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            extra_ca: None,
            dns_servers: Vec::new(),
            concurrency_per_destination: 64,
            concurrency: 1_024,
            attempt_timeout_ms: 10_000,
        }
    }
}

/// What the server takes before it says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// Open connections; further ones are closed at once.
    pub connections_max: usize,
    /// Open connections of one sender address (a /64 for IPv6), half of `connections_max` unless set.
    pub connections_per_address_max: usize,
    /// A workspace's intake rate, requests a second; absent: no limit.
    pub requests_per_second: Option<u32>,
    /// Requests a second from one sender address (a /64 for IPv6), before anything else is looked at; absent: no limit.
    pub requests_per_second_per_address: Option<u32>,
    /// TLS handshake, milliseconds.
    pub handshake_timeout_ms: u64,
    /// All headers of a request, milliseconds; also how long a connection may idle between requests.
    pub header_timeout_ms: u64,
    /// Between two pieces of a body, milliseconds.
    pub body_idle_timeout_ms: u64,
    /// A whole request, its reply included, milliseconds.
    pub request_timeout_ms: u64,
    /// How long a graceful stop waits, milliseconds.
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 * 1024,
            connections_max: 16_384,
            connections_per_address_max: 8_192,
            requests_per_second: None,
            requests_per_second_per_address: None,
            handshake_timeout_ms: 10_000,
            header_timeout_ms: 15_000,
            body_idle_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            drain_timeout_ms: 15_000,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443),
            data_dir: PathBuf::from("agentflow-data"),
            public_url: None,
            tls: TlsConfig::default(),
            store: StoreUrl::Sqlite(PathBuf::from("agentflow.db")),
            delivery: DeliveryConfig::default(),
            limits: Limits::default(),
            log: LogConfig::default(),
        }
    }
}
