//! A server on a free port with a few routes, and a client that trusts its certificate and sends whatever it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use agentflow_server::config::Limits;
use agentflow_server::edge::{BodyBudget, Edge, RemoteAddr, TlsSource, read};
use agentflow_server::reply::{self, Problem};
use agentflow_server::telemetry::Metrics;
use agentflow_signature::{Inbound, InboundSecret, Timestamp, Verifier};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, Method};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// The greatest body that the routes read.
pub(crate) const BODY_BYTES_MAX: usize = 1_024;

/// A running edge.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    pub(crate) folder: tempfile::TempDir,
    /// `/slow` says here that it has begun, and waits to be released.
    pub(crate) begun: mpsc::UnboundedReceiver<()>,
    pub(crate) release: Arc<Notify>,
}

#[derive(Clone)]
struct Routes {
    begun: mpsc::UnboundedSender<()>,
    release: Arc<Notify>,
    bodies: Arc<BodyBudget>,
}

impl Rig {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::start_with(limits, |tls| tls).await
    }

    pub(crate) async fn start_with(limits: Limits, tls: impl FnOnce(TlsSource) -> TlsSource) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = tls(self_signed(folder.path()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun_in, begun) = mpsc::unbounded_channel();
        let release = Arc::new(Notify::new());
        let routes =
            Routes { begun: begun_in, release: Arc::clone(&release), bodies: BodyBudget::new(1024 * 1024) };
        let router = Router::new()
            .route("/echo", post(echo))
            .route("/unread", post(async || Problem::new(agentflow_server::reason::Reason::Forbidden, "No.")))
            .route("/verify", post(verify))
            .route("/remote", get(async |Extension(RemoteAddr(remote))| format!("{remote}")))
            .route("/slow", get(slow))
            .route("/panic", get(panics))
            .with_state(routes);
        let shutdown = CancellationToken::new();
        let edge = Edge { limits, tls: source, metrics: Arc::new(Metrics::new()) };
        let served = tokio::spawn(edge.serve(listener, router, shutdown.clone()));
        Self { address, shutdown, served, folder, begun, release }
    }

    /// A connection that has agreed on HTTP/1.1.
    pub(crate) async fn connect(&self) -> Client {
        self.try_connect().await.expect("the server takes the connection")
    }

    pub(crate) async fn try_connect(&self) -> std::io::Result<Client> {
        Ok(Client { stream: self.handshake(&[b"http/1.1"]).await? })
    }

    /// A connection that has agreed on HTTP/2; the task ends when the connection does.
    pub(crate) async fn connect_http2(&self) -> (http2::SendRequest<Body>, JoinHandle<hyper::Result<()>>) {
        let stream = self.connect_raw_http2().await;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        (sender, tokio::spawn(connection))
    }

    pub(crate) async fn connect_raw_http2(&self) -> TlsStream<TcpStream> {
        let stream = self.handshake(&[b"h2"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    }

    pub(crate) async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn handshake(&self, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = self.trusting();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        self.connect_with(Arc::new(config)).await
    }

    pub(crate) async fn connect_with(
        &self,
        config: Arc<ClientConfig>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// A client that trusts the certificate in the folder and nothing else.
    pub(crate) fn trusting(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_file_iter(self.folder.path().join("cert.pem")).unwrap() {
            roots.add(cert.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// A certificate for this machine, in the folder.
pub(crate) fn self_signed(folder: &Path) -> TlsSource {
    TlsSource::self_signed(folder, &["localhost".into(), "127.0.0.1".into()]).unwrap()
}

/// Limits with room for whatever a test does not mean to hit.
pub(crate) fn limits() -> Limits {
    Limits { body_bytes_max: BODY_BYTES_MAX, ..Limits::default() }
}

async fn echo(State(routes): State<Routes>, body: Body) -> Response {
    match read(body, BODY_BYTES_MAX, &routes.bodies).await {
        Ok(body) => reply::text("text/plain", body.bytes),
        Err(unread) => Problem::from(unread.fault).into_response(),
    }
}

async fn verify(headers: HeaderMap, body: Bytes) -> Response {
    let verifier: Verifier<Inbound> = Verifier::new(InboundSecret::new(SECRET).unwrap());
    match verifier.verify(&headers, &body, Timestamp::from_unix_seconds(SIGNED_AT)) {
        Ok(_) => reply::no_content(),
        Err(error) => Problem::new((&error).into(), error.to_string()).into_response(),
    }
}

/// The secret of `/verify`.
pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// The time at `/verify`.
pub(crate) const SIGNED_AT: u64 = 1_700_000_000;

async fn slow(State(routes): State<Routes>) -> &'static str {
    routes.begun.send(()).ok();
    routes.release.notified().await;
    "done"
}

async fn panics(method: Method) -> &'static str {
    assert_ne!(method, Method::GET, "a handler that fails");
    ""
}

/// A client that speaks raw HTTP/1.1.
pub(crate) struct Client {
    pub(crate) stream: TlsStream<TcpStream>,
}

/// A reply as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, reason: &str) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert!(self.body.contains(&format!(r#""reason":"{reason}""#)), "{self:?}");
    }
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads one reply, interim ones too.
    pub(crate) async fn reply(&mut self) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("a reply"));
        }
        let mut reply = Reply { head: String::from_utf8(head).unwrap(), body: String::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes).await;
        self.reply().await
    }

    /// Waits for the end of the connection, however it ends, and gives what came before.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        rest_of(&mut self.stream).await
    }
}

/// Reads until the connection ends, however it ends.
pub(crate) async fn rest_of(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut piece = [0; 1_024];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        rest.extend_from_slice(&piece[..length]);
    }
    rest
}

/// A POST with these further header lines, each with its line end.
pub(crate) fn post_head(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}
