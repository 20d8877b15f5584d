//! An HTTPS listener that answers each connection as the script says, and remembers what it was sent.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentflow_client::{Client, ClientBuilder, InboundSecret};
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Signs what is sent to the script.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What becomes of one connection, once its request was read.
#[derive(Clone)]
pub(crate) enum Step {
    /// These bytes, then the connection is closed in good order.
    Say(String),
    /// These bytes, then the connection is reset.
    Reset(String),
    /// These bytes, then nothing more, and the connection stays open.
    Hang(String),
    /// These bytes, then one kilobyte after the other for as long as anyone listens.
    Flood(String),
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Script {
    pub(crate) url: String,
    certificate: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// One step a connection, in their order; a connection more is closed unanswered.
    pub(crate) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::start_as("127.0.0.1", steps).await
    }

    /// The same with a certificate for this name, at an address all the same.
    pub(crate) async fn start_as(name: &str, steps: impl IntoIterator<Item = Step>) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let acceptor = acceptor(&made);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/v1/inbound/TOKEN", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let steps = Mutex::new(steps.into_iter().collect::<VecDeque<_>>());
        let requests = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                // A client may lose patience at any time, on busy cores before it has sent its request.
                let Ok(request) = read(&mut stream).await else { continue };
                requests.lock().unwrap().push(request);
                let step = steps.lock().unwrap().pop_front();
                if let Some(step) = step {
                    tokio::spawn(act(stream, step));
                }
            }
        });
        Self { url, certificate: made.cert.pem(), seen }
    }

    /// Settings of a client that trusts this listener and does not wait between attempts.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let secret = InboundSecret::new(SECRET).unwrap();
        Client::builder(&self.url, secret)
            .only_ca(self.certificate.as_str())
            .backoff(Duration::from_micros(1), Duration::from_micros(1))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A reply with a body of the right length, after which the connection is closed.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Step {
    let length = body.len();
    Step::Say(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

pub(crate) fn problem(status: &str, headers: &str, body: &str) -> Step {
    reply(status, &format!("Content-Type: application/problem+json\r\n{headers}"), body)
}

pub(crate) fn accepted() -> Step {
    let body = r#"{"status":"received","lead_id":"lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f","duplicate":false}"#;
    reply("202 Accepted", "Content-Type: application/json\r\n", body)
}

fn acceptor(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn read(stream: &mut TlsStream<TcpStream>) -> io::Result<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    }
    let length = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Seen { line, headers, body })
}

async fn act(mut stream: TlsStream<TcpStream>, step: Step) {
    let (Step::Say(text) | Step::Reset(text) | Step::Hang(text) | Step::Flood(text)) = &step;
    // The client may hang up at any time; what it makes of it is what the tests look at.
    stream.write_all(text.as_bytes()).await.ok();
    stream.flush().await.ok();
    match step {
        Step::Say(_) => {
            stream.shutdown().await.ok();
        }
        Step::Reset(_) => stream.get_ref().0.set_zero_linger().unwrap(),
        Step::Hang(_) => std::future::pending().await,
        Step::Flood(_) => {
            let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        }
    }
}
