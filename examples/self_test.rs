//! `--self-test`: the example serves on a free port of this machine, and is sent signed and tampered events over HTTPS.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agentflow_signature::{OutboundSecret, Signer, Timestamp};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::https::{self, Failure};

/// For a whole exchange.
const REPLY_DEADLINE: Duration = Duration::from_secs(30);

const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Sends over HTTPS alone.
type Client = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// An event as AgentFlow sends it.
pub(crate) const EVENT: &[u8] = include_bytes!("../crates/events/tests/golden/lead_qualified.json");

/// A sender, and what it found out so far.
pub(crate) struct SelfTest {
    client: Client,
    url: String,
}

/// Makes the sender, and what the example has to serve with.
pub(crate) async fn start() -> Result<(SelfTest, TcpListener, TlsAcceptor), Failure> {
    let made = https::self_made(None)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = client(&made.certificate_pem)?;
    let url = format!("https://{}/agentflow", listener.local_addr()?);
    Ok((SelfTest { client, url }, listener, made.acceptor))
}

impl SelfTest {
    /// Sends the event, signed now, and demands this status and code.
    pub(crate) async fn signed(
        &self,
        secret: &OutboundSecret,
        status: u16,
        code: &str,
    ) -> Result<Response<String>, Failure> {
        self.send("signed", secret, EVENT, status, code).await
    }

    /// The same, but the score was raised on the way.
    pub(crate) async fn tampered(
        &self,
        secret: &OutboundSecret,
        status: u16,
        code: &str,
    ) -> Result<Response<String>, Failure> {
        let tampered = String::from_utf8(EVENT.to_vec())?.replacen(r#""score":82"#, r#""score":99"#, 1);
        assert_ne!(tampered.as_bytes(), EVENT, "the event has that score");
        self.send("tampered", secret, tampered.as_bytes(), status, code).await
    }

    async fn send(
        &self,
        what: &str,
        secret: &OutboundSecret,
        body: &[u8],
        status: u16,
        code: &str,
    ) -> Result<Response<String>, Failure> {
        let mut request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::copy_from_slice(body)))?;
        Signer::new(secret)
            .sign(EVENT, Timestamp::from(SystemTime::now()))
            .insert_into(request.headers_mut());

        let response = send(&self.client, request).await?;
        let found = format!("{} {}", response.status().as_u16(), code_of(response.body()));
        println!("{what} event: {found}");
        if found == format!("{status} {code}") {
            Ok(response)
        } else {
            Err(format!("the {what} event was to be answered with {status} {code}").into())
        }
    }
}

/// What a reply says: the `reason` of a JSON object, or all of a text.
fn code_of(body: &str) -> String {
    let object: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let reason = object.as_ref().and_then(|object| object["reason"].as_str());
    reason.unwrap_or(body.trim()).to_owned()
}

/// A client that trusts this certificate.
fn client(certificate_pem: &str) -> Result<Client, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate_pem.as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    Ok(legacy::Client::builder(TokioExecutor::new()).build(connector))
}

/// Sends a request and reads the reply, both within a deadline.
async fn send(client: &Client, request: Request<Full<Bytes>>) -> Result<Response<String>, Failure> {
    let exchange = async {
        let (head, body) = client.request(request).await?.into_parts();
        let body = Limited::new(body, REPLY_BYTES_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(head, String::from_utf8_lossy(&body).into_owned()))
    };
    timeout(REPLY_DEADLINE, exchange).await.map_err(|_| "no reply in time")?
}
