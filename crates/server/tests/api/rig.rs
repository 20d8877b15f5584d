//! A server in a fresh data folder on a free port, and a client that trusts its certificate.

use std::sync::Arc;

use agentflow_server::clock::Clock;
use agentflow_server::config::Config;
use agentflow_server::server::{Server, StoreFailed};
use agentflow_server::setup::FirstStart;
use agentflow_signature::{InboundSecret, Signer, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::contract::Contract;

/// A running server.
pub(crate) struct Rig {
    pub(crate) first: FirstStart,
    pub(crate) contract: Contract,
    pub(crate) clock: Clock,
    address: std::net::SocketAddr,
    tls: TlsConnector,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), StoreFailed>>,
    folder: tempfile::TempDir,
}

/// A reply that has begun; dropped, its connection is closed.
pub(crate) struct Begun {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
    _connection: AbortOnDropHandle<Option<()>>,
}

impl Begun {
    /// The next piece of the body; nothing at its end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Ok(piece) = self.body.frame().await?.unwrap().into_data() {
                return Some(piece);
            }
        }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    /// The body as JSON; null where it is empty.
    pub(crate) fn json(&self) -> Value {
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Panics unless it is this problem.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, reason: &str) -> Value {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.expect(status);
        assert_eq!(problem["reason"], reason, "{problem}");
        problem
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, change).await
    }

    pub(crate) async fn start_in(folder: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(Clock::system(), folder, change).await
    }

    /// With a clock that the test drives.
    pub(crate) async fn start_at(
        clock: Clock,
        folder: tempfile::TempDir,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = config_in(&folder);
        change(&mut config);
        let server = Server::start(config, clock.clone()).await.unwrap();
        let first = server.untold().cloned().expect("the first start");
        Self::run(server, first, clock, folder).await
    }

    /// Stops the server and starts another one over the same folder.
    pub(crate) async fn restart(self, change: impl FnOnce(&mut Config)) -> Self {
        let (first, clock) = (self.first.clone(), self.clock.clone());
        let folder = self.stop().await;
        let mut config = config_in(&folder);
        change(&mut config);
        let server = Server::start(config, clock.clone()).await.unwrap();
        Self::run(server, first, clock, folder).await
    }

    async fn run(server: Server, first: FirstStart, clock: Clock, folder: tempfile::TempDir) -> Self {
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let tls = trusting(&first);
        let running = tokio::spawn(server.run(shutdown.clone()));
        let contract = Contract::new(serde_json::json!({"components": {"schemas": {}}, "paths": {}}));
        let mut rig = Self { first, contract, clock, address, tls, shutdown, running, folder };
        let served = rig.send(Method::GET, "/api/v1/openapi.json", HeaderMap::new(), Bytes::new()).await;
        rig.contract = Contract::new(served.expect(200));
        rig
    }

    /// Stops the server; it must have nothing to complain of. What it leaves is gone with the folder.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        self.folder
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Answer {
        let begun = self.begin(method, path, headers, body).await;
        let (status, headers) = (begun.status, begun.headers);
        let bytes = begun.body.collect().await.unwrap().to_bytes();
        Answer { status, headers, bytes }
    }

    /// The same, up to the head of the reply.
    pub(crate) async fn begin(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Begun {
        let io = TokioIo::new(self.connect(&self.tls).await);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(io).await.unwrap();
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { connection.await.ok() }));
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        request.headers_mut().unwrap().extend(headers);
        let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        Begun { status: head.status.as_u16(), headers: head.headers, body, _connection: connection }
    }

    /// One request by HTTP/2, which has no `Host`.
    pub(crate) async fn send_by_http2(&self, request: Request<Bytes>) -> u16 {
        let mut config = self.tls.config().as_ref().clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let io = TokioIo::new(self.connect(&TlsConnector::from(Arc::new(config))).await);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), io)
                .await
                .unwrap();
        let _connection = AbortOnDropHandle::new(tokio::spawn(async move { connection.await.ok() }));
        sender.send_request(request.map(Full::new)).await.unwrap().status().as_u16()
    }

    async fn connect(&self, tls: &TlsConnector) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        tls.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    /// A request to the API with the admin's token, its answer held against the contract. A null body is none.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call_as(Some(&self.first.api_token), method, path, body).await
    }

    pub(crate) async fn call_as(&self, token: Option<&str>, method: &str, path: &str, body: Value) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let mut bytes = Bytes::new();
        if !body.is_null() {
            headers.insert("content-type", "application/json".parse().unwrap());
            bytes = body.to_string().into();
        }
        let answer = self.send(method.parse().unwrap(), path, headers, bytes).await;
        let content_type = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        self.contract.check(method, path, answer.status, content_type, &answer.bytes);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null).await.expect(200)
    }

    /// Sends a signed lead to the workspace's endpoint.
    pub(crate) async fn lead(&self, lead: Value) -> Value {
        self.lead_signed(&self.first.inbound_url, &self.first.inbound_secret, lead).await.expect(202)
    }

    pub(crate) async fn lead_signed(&self, url: &str, secret: &str, lead: Value) -> Answer {
        let body = lead.to_string();
        let secret = InboundSecret::new(secret).unwrap();
        let signed = Signer::new(&secret).sign(body.as_bytes(), seconds(&self.clock));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("x-agentflow-timestamp", signed.timestamp().parse().unwrap());
        headers.insert("x-agentflow-signature", signed.signature().parse().unwrap());
        let path = url.parse::<http::Uri>().unwrap().path().to_owned();
        let answer = self.send(Method::POST, &path, headers, body).await;
        let content_type = answer.headers["content-type"].to_str().unwrap();
        self.contract.check("POST", &path, answer.status, content_type, &answer.bytes);
        answer
    }
}

/// Settings of a server for tests: a free port, and destinations on this machine allowed.
pub(crate) fn config_in(folder: &tempfile::TempDir) -> Config {
    let mut config = Config::default();
    config.listen.set_port(0);
    config.data_dir = folder.path().join("data");
    config.delivery.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    config
}

fn trusting(first: &FirstStart) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&first.certificate_path).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A lead that is one of a kind by its email.
pub(crate) fn lead_of(name: &str) -> Value {
    serde_json::json!({
        "name": name,
        "email": format!("{}@stacklane.co", name.to_lowercase()),
        "company": "Stacklane",
        "message": "We are looking around.",
        "source": "website_contact_form",
        "seats": 40,
    })
}

/// The present time as signatures have it.
pub(crate) fn now() -> Timestamp {
    seconds(&Clock::system())
}

pub(crate) fn seconds(clock: &Clock) -> Timestamp {
    Timestamp::from_unix_seconds(u64::try_from(clock.now().unix_seconds()).unwrap())
}
