//! The only opener of outbound sockets: an HTTPS client that goes nowhere but to addresses that the policy allows.
//!
//! Every attempt uses a connection to one of exactly the addresses that were judged when the host was resolved: an idle one
//! that was opened to it under the same name, or a new one. It follows no redirect and reads no proxy variable.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::pool::{Connection, Peer, Pool};
use super::resolve::Resolver;
use super::{AddressPolicy, Target, TargetError};
use crate::config::DeliveryConfig;

/// Bytes of a response that are read at most; a longer one costs its connection.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a response that are kept.
const HEAD_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a response's header section.
const RESPONSE_HEADERS_MAX: usize = 64 * 1024;

/// How long a kept connection may take to settle after its last response.
const READY_WITHIN: Duration = Duration::from_millis(50);

/// Idle connections over all destinations.
const IDLE_MAX: usize = 1_024;

/// Why an attempt brought no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SendError {
    #[error("No response came within {0:?}.")]
    Timeout(Duration),
    #[error("The host's name could not be resolved.")]
    Dns,
    #[error(transparent)]
    Refused(#[from] TargetError),
    #[error("No connection could be opened: {0}.")]
    Connect(io::ErrorKind),
    #[error("The TLS handshake failed: {0}.")]
    Tls(String),
    #[error("The connection failed before a whole response head came: {0}.")]
    Exchange(hyper::Error),
}

impl SendError {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            SendError::Timeout(_) => "timeout",
            SendError::Dns => "dns_failed",
            SendError::Refused(error) => error.code(),
            SendError::Connect(_) => "connect_failed",
            SendError::Tls(_) => "tls_failed",
            SendError::Exchange(_) => "exchange_failed",
        }
    }
}

/// Why nothing can be delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The file with further authorities.
    #[error("the certificate authorities in {0} cannot be used: {1}")]
    ExtraCa(PathBuf, String),
    /// The TLS library.
    #[error("the TLS client cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A response whose status line came in time.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Bytes>,
    pub(crate) body: ReplyBody,
}

pub(crate) struct Client {
    tls: TlsConnector,
    resolver: Resolver,
    pool: Arc<Pool>,
    deadline: Duration,
}

impl Client {
    /// # Errors
    /// `extra_ca` cannot be read or holds no certificate.
    pub(crate) fn new(config: &DeliveryConfig) -> Result<Self, DeliverError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &config.extra_ca {
            add_authorities(&mut roots, path)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: TlsConnector::from(Arc::new(tls)),
            resolver: Resolver::new(AddressPolicy::new(config.allow_networks.clone())),
            pool: Arc::new(Pool::new(config.concurrency_per_destination, IDLE_MAX)),
            deadline: Duration::from_millis(config.attempt_timeout_ms),
        })
    }

    pub(crate) fn policy(&self) -> &AddressPolicy {
        self.resolver.policy()
    }

    /// Closes connections that have waited too long for a request, and forgets old addresses.
    pub(crate) fn reap(&self) {
        self.pool.reap();
        self.resolver.reap();
    }

    /// Sends a request and waits for the response's head, all within the deadline. `request` is called once for each
    /// connection that is tried.
    ///
    /// A request that meets the close of a kept connection goes out once more, on a new one: the peer has most likely never
    /// read it, and receivers are told to expect repeats.
    pub(crate) async fn send(
        &self,
        target: &Target,
        request: impl Fn() -> Request<Full<Bytes>>,
    ) -> Result<Reply, SendError> {
        let deadline = Instant::now() + self.deadline;
        match timeout_at(deadline, self.exchange(target, request, deadline)).await {
            Ok(reply) => reply,
            Err(_) => Err(SendError::Timeout(self.deadline)),
        }
    }

    async fn exchange(
        &self,
        target: &Target,
        request: impl Fn() -> Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Reply, SendError> {
        let addresses = self.resolver.resolve(target).await?;
        if let Some((peer, mut connection)) = self.idle(target, &addresses).await {
            match connection.send_request(request()).await {
                Ok(response) => return Ok(self.reply(peer, connection, response)),
                // The peer did answer, if only with something that is no HTTP.
                Err(error) if error.is_parse() => return Err(SendError::Exchange(error)),
                Err(_) => (),
            }
        }
        let (peer, mut connection) = self.connect(target, &addresses, deadline).await?;
        let response = connection.send_request(request()).await.map_err(SendError::Exchange)?;
        Ok(self.reply(peer, connection, response))
    }

    async fn idle(&self, target: &Target, addresses: &[SocketAddr]) -> Option<(Arc<Peer>, Connection)> {
        for address in addresses {
            let peer = Peer { name: target.server_name.clone(), address: *address };
            while let Some(mut connection) = self.pool.take(&peer) {
                if matches!(timeout(READY_WITHIN, connection.ready()).await, Ok(Ok(()))) {
                    return Some((Arc::new(peer), connection));
                }
            }
        }
        None
    }

    /// Opens a connection to the first address that answers; each may use its share of what is left of the deadline.
    async fn connect(
        &self,
        target: &Target,
        addresses: &[SocketAddr],
        deadline: Instant,
    ) -> Result<(Arc<Peer>, Connection), SendError> {
        let mut failure = SendError::Dns;
        for (index, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match timeout(share, self.open(target, *address)).await {
                Ok(Ok(connection)) => {
                    let peer = Peer { name: target.server_name.clone(), address: *address };
                    return Ok((Arc::new(peer), connection));
                }
                Ok(Err(error)) => failure = error,
                Err(_) if left == 1 => failure = SendError::Timeout(self.deadline),
                Err(_) => failure = SendError::Connect(io::ErrorKind::TimedOut),
            }
        }
        self.resolver.forget(target);
        Err(failure)
    }

    async fn open(&self, target: &Target, address: SocketAddr) -> Result<Connection, SendError> {
        let tcp = TcpStream::connect(address).await.map_err(|error| SendError::Connect(error.kind()))?;
        // Events are small and each waits for its answer: nothing is gained by holding bytes back.
        tcp.set_nodelay(true).map_err(|error| SendError::Connect(error.kind()))?;
        let tls = self
            .tls
            .connect(target.server_name.clone(), tcp)
            .await
            .map_err(|error| SendError::Tls(error.to_string()))?;
        let (connection, driver) = http1::Builder::new()
            .max_buf_size(RESPONSE_HEADERS_MAX)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(SendError::Exchange)?;
        tokio::spawn(async move {
            // Whoever waits for a response learns of the error; an idle connection may end at any time.
            let _ = driver.await;
        });
        Ok(connection)
    }

    fn reply(&self, peer: Arc<Peer>, connection: Connection, response: Response<Incoming>) -> Reply {
        let (head, body) = response.into_parts();
        Reply {
            status: head.status.as_u16(),
            retry_after: head
                .headers
                .get(http::header::RETRY_AFTER)
                .map(|value| Bytes::copy_from_slice(value.as_bytes())),
            body: ReplyBody {
                body,
                head: Vec::new(),
                bytes: 0,
                // After 101 the connection speaks something else.
                keep: (head.status.as_u16() >= 200).then(|| (Arc::clone(&self.pool), peer, connection)),
            },
        }
    }
}

/// A response's body, read as far as it is worth; then the connection is kept for the next request.
pub(crate) struct ReplyBody {
    body: Incoming,
    head: Vec<u8>,
    bytes: usize,
    keep: Option<(Arc<Pool>, Arc<Peer>, Connection)>,
}

impl ReplyBody {
    /// Reads to the end or the limit. May be dropped and called again; what was read stays.
    pub(crate) async fn read(&mut self) {
        while !self.body.is_end_stream() {
            let frame = match self.body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => {
                    self.keep = None;
                    return;
                }
                None => break,
            };
            let Ok(chunk) = frame.into_data() else { continue };
            let wanted = HEAD_BYTES_MAX.saturating_sub(self.head.len()).min(chunk.len());
            self.head.extend_from_slice(&chunk[..wanted]);
            self.bytes += chunk.len();
            if self.bytes > RESPONSE_BYTES_MAX {
                self.keep = None;
                return;
            }
        }
        if let Some((pool, peer, connection)) = self.keep.take() {
            pool.put(&peer, connection);
        }
    }

    /// The first bytes that were read, lossily as text; absent where none were.
    pub(crate) fn into_head(self) -> Option<String> {
        (!self.head.is_empty()).then(|| String::from_utf8_lossy(&self.head).into_owned())
    }
}

fn add_authorities(roots: &mut RootCertStore, path: &Path) -> Result<(), DeliverError> {
    let unusable = |reason: String| DeliverError::ExtraCa(path.to_owned(), reason);
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        return Err(unusable("no certificate was found".to_owned()));
    }
    Ok(())
}
