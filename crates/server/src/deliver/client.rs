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
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::budget::{Budget, Budgeted};
use super::failure::{SendError, tls_fault};
use super::message::signed;
use super::pool::{Connection, Peer, Pool};
use super::resolve::Resolver;
use super::response::Reply;
use super::trace::{Stage, Trace};
use super::{AddressPolicy, Target, TargetError};
use crate::config::DeliveryConfig;

/// How long a kept connection may take to settle after its last response.
const READY_WITHIN: Duration = Duration::from_millis(50);

/// Idle connections over all destinations.
const IDLE_MAX: usize = 1_024;

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

/// What came of an attempt.
pub(crate) struct Sent {
    pub(crate) trace: Trace,
    pub(crate) answer: Result<Reply, SendError>,
}

impl Sent {
    /// An attempt that ended before it began.
    pub(crate) fn refused(error: TargetError) -> Self {
        Self { trace: Trace::start(Instant::now()), answer: Err(error.into()) }
    }

    /// The response's status, if one came.
    pub(crate) fn status(&self) -> Option<u16> {
        self.answer.as_ref().ok().map(|reply| reply.status)
    }
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
            resolver: Resolver::new(
                AddressPolicy::new(config.allow_networks.clone()),
                config.dns_servers.clone(),
            ),
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

    /// Looks the target's host up and judges its addresses, as each attempt does.
    ///
    /// # Errors
    /// It has no address, or one that is refused.
    pub(crate) async fn resolve(&self, target: &Target) -> Result<Arc<[SocketAddr]>, SendError> {
        self.resolver.resolve(target).await
    }

    /// Sends a request and waits for the response's head, all within the deadline. `request` is called once for each
    /// connection that is tried.
    ///
    /// A request that meets the close of a kept connection goes out once more, on a new one: the peer has most likely never
    /// read it, and receivers are told to expect repeats.
    pub(crate) async fn send(&self, target: &Target, request: impl Fn() -> Request<Full<Bytes>>) -> Sent {
        let start = Instant::now();
        let until = start + self.deadline;
        let mut trace = Trace::start(start);
        let answer = match timeout_at(until, self.exchange(target, request, until, &mut trace)).await {
            Ok(answer) => answer,
            Err(_) => Err(SendError::Timeout(self.deadline, trace.stage)),
        };
        trace.end();
        Sent { trace, answer }
    }

    async fn exchange(
        &self,
        target: &Target,
        request: impl Fn() -> Request<Full<Bytes>>,
        until: Instant,
        trace: &mut Trace,
    ) -> Result<Reply, SendError> {
        let addresses = self.resolve(target).await?;
        if let Some((peer, mut connection)) = self.idle(target, &addresses).await {
            trace.reuse(peer.address.ip());
            match post(&mut connection, request(), trace).await {
                Ok(response) => return Ok(Reply::new(response, until, self.keep(peer, connection))),
                // The peer did answer, if only with something that is no HTTP.
                Err(error) if error.is_parse() => return Err(SendError::Exchange(error)),
                Err(_) => (),
            }
        }
        let (peer, mut connection) = self.connect(target, &addresses, until, trace).await?;
        trace.enter(Stage::Response);
        let response = post(&mut connection, request(), trace).await.map_err(SendError::Exchange)?;
        Ok(Reply::new(response, until, self.keep(peer, connection)))
    }

    fn keep(&self, peer: Arc<Peer>, connection: Connection) -> (Arc<Pool>, Arc<Peer>, Connection) {
        (Arc::clone(&self.pool), peer, connection)
    }

    async fn idle(&self, target: &Target, addresses: &[SocketAddr]) -> Option<(Arc<Peer>, Connection)> {
        for address in addresses {
            let peer = Peer { name: target.server_name.clone(), address: *address };
            while let Some(mut connection) = self.pool.take(&peer) {
                if matches!(timeout(READY_WITHIN, connection.requests.ready()).await, Ok(Ok(()))) {
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
        until: Instant,
        trace: &mut Trace,
    ) -> Result<(Arc<Peer>, Connection), SendError> {
        let mut failure = SendError::Dns(super::names::NameError::NoAddress);
        for (index, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / left;
            trace.dial(address.ip());
            match timeout(share, self.open(target, *address, trace)).await {
                Ok(Ok(connection)) => {
                    let peer = Peer { name: target.server_name.clone(), address: *address };
                    return Ok((Arc::new(peer), connection));
                }
                Ok(Err(error)) => failure = error,
                Err(_) if left == 1 => failure = SendError::Timeout(self.deadline, trace.stage),
                Err(_) => failure = SendError::Connect(io::ErrorKind::TimedOut),
            }
        }
        self.resolver.forget(target);
        Err(failure)
    }

    async fn open(
        &self,
        target: &Target,
        address: SocketAddr,
        trace: &mut Trace,
    ) -> Result<Connection, SendError> {
        let tcp = TcpStream::connect(address).await.map_err(|error| SendError::Connect(error.kind()))?;
        // Events are small and each waits for its answer: nothing is gained by holding bytes back.
        tcp.set_nodelay(true).map_err(|error| SendError::Connect(error.kind()))?;
        trace.enter(Stage::Tls);
        let stream = self
            .tls
            .connect(target.server_name.clone(), tcp)
            .await
            .map_err(|error| SendError::Tls(tls_fault(&error)))?;
        let budget = Budget::new();
        let stream = Budgeted { stream, budget: budget.clone() };
        let (requests, driver) = http1::Builder::new()
            .max_buf_size(Budget::RESPONSE_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Exchange)?;
        tokio::spawn(async move {
            // Whoever waits for a response learns of the error; an idle connection may end at any time.
            let _ = driver.await;
        });
        Ok(Connection { requests, budget })
    }
}

async fn post(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
    trace: &mut Trace,
) -> Result<Response<Incoming>, hyper::Error> {
    trace.signed = signed(request.headers());
    connection.budget.begin();
    connection.requests.send_request(request).await
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
