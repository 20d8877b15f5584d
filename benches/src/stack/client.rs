//! Sends signed leads and asks the management API, over keep-alive connections.

use std::sync::Arc;
use std::time::SystemTime;

use agentflow_signature::{
    Inbound, InboundSecret, SIGNATURE_HEADER_LOWERCASE, Signer, TIMESTAMP_HEADER_LOWERCASE, Timestamp,
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Credentials, Fault, tls};

/// One server's senders and operators; cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Parts>);

struct Parts {
    tls: TlsConnector,
    port: u16,
    host: String,
    inbound_path: String,
    signer: Signer<Inbound>,
    bearer: String,
}

/// The answer to an accepted lead.
#[derive(Clone, Debug, Deserialize)]
pub struct Accepted {
    /// The lead it belongs to.
    pub lead_id: String,
    /// Whether the body was accepted before.
    pub duplicate: bool,
}

/// The answer to a lead.
#[derive(Clone, Debug)]
pub enum LeadReply {
    /// 202, or 200 for a duplicate.
    Accepted(Accepted),
    /// Anything else, in one line.
    Refused(String),
}

/// One connection, on which one request follows another.
pub struct Connection {
    client: Client,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// A client for the server at `port` of this machine.
    ///
    /// # Errors
    /// The server's certificate or its secret cannot be read.
    pub fn new(credentials: &Credentials, port: u16) -> Result<Self, Fault> {
        let host = format!("127.0.0.1:{port}");
        let inbound_path = credentials.inbound_url.split_once(&host).map(|(_, path)| path.to_owned());
        Ok(Self(Arc::new(Parts {
            tls: tls::connector(&credentials.certificate_path)?,
            port,
            inbound_path: inbound_path.ok_or("the inbound URL is not at the address that was asked for")?,
            host,
            signer: Signer::new(&InboundSecret::new(credentials.inbound_secret.as_str())?),
            bearer: format!("Bearer {}", credentials.api_token),
        })))
    }

    /// Opens a connection, says the beginning of a request on it and falls silent.
    ///
    /// # Errors
    /// See [`connect`](Self::connect).
    pub async fn stall(&self) -> Result<TlsStream<TcpStream>, Fault> {
        let mut stream = self.open().await?;
        stream
            .write_all(
                format!("POST {} HTTP/1.1\r\nHost: {}\r\n", self.0.inbound_path, self.0.host).as_bytes(),
            )
            .await?;
        stream.flush().await?;
        Ok(stream)
    }

    /// Name and port, as the `Host` header has them.
    pub(super) fn host(&self) -> &str {
        &self.0.host
    }

    async fn open(&self) -> Result<TlsStream<TcpStream>, Fault> {
        let socket = TcpStream::connect(("127.0.0.1", self.0.port)).await?;
        socket.set_nodelay(true)?;
        Ok(self.0.tls.connect(ServerName::try_from("127.0.0.1")?, socket).await?)
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Nobody listens, or it is not the server that is known.
    pub async fn connect(&self) -> Result<Connection, Fault> {
        let (sender, connection) = handshake(TokioIo::new(self.open().await?)).await?;
        // Ends with the connection; whoever waits for an answer learns why.
        tokio::spawn(connection);
        Ok(Connection { client: self.clone(), sender })
    }

    /// Every item of a list of the API, in its order.
    ///
    /// # Errors
    /// The API does not answer, or not with such items.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Fault> {
        #[derive(Deserialize)]
        struct Page<T> {
            items: Vec<T>,
            next_cursor: Option<String>,
        }
        let mut connection = self.connect().await?;
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{path}?limit=100{cursor}");
            let (status, body) = connection.api(Method::GET, &path, Bytes::new()).await?;
            if status != StatusCode::OK {
                return Err(line(status, &body).into());
            }
            let page: Page<T> = serde_json::from_slice(&body)?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Sends all three events to `url` from now on.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn add_destination(&self, url: &str) -> Result<(), Fault> {
        let body = serde_json::json!({
            "url": url,
            "event_types": ["lead.qualified", "lead.rejected", "lead.review_requested"],
            "enabled": true,
        });
        let mut connection = self.connect().await?;
        let (status, answer) =
            connection.api(Method::POST, "/api/v1/destinations", body.to_string().into()).await?;
        if status == StatusCode::CREATED { Ok(()) } else { Err(line(status, &answer).into()) }
    }
}

impl Connection {
    /// Signs a lead now and sends it.
    ///
    /// # Errors
    /// No answer came; whether the lead was stored is not known.
    pub async fn send_lead(&mut self, body: Bytes) -> Result<LeadReply, Fault> {
        self.send_lead_at(body, SystemTime::now()).await
    }

    /// As [`send_lead`](Self::send_lead), signed as if it were then.
    ///
    /// # Errors
    /// See [`send_lead`](Self::send_lead).
    pub async fn send_lead_at(&mut self, body: Bytes, at: SystemTime) -> Result<LeadReply, Fault> {
        let parts = &self.client.0;
        let signed = parts.signer.sign(&body, Timestamp::from(at));
        let request = Request::post(&parts.inbound_path)
            .header(HOST, &parts.host)
            .header(CONTENT_TYPE, "application/json")
            .header(TIMESTAMP_HEADER_LOWERCASE, signed.timestamp())
            .header(SIGNATURE_HEADER_LOWERCASE, signed.signature())
            .body(Full::new(body))?;
        let (status, body) = self.send(request).await?;
        Ok(match status {
            StatusCode::ACCEPTED | StatusCode::OK => {
                let accepted: Accepted = serde_json::from_slice(&body)?;
                if accepted.duplicate == (status == StatusCode::OK) {
                    LeadReply::Accepted(accepted)
                } else {
                    LeadReply::Refused(line(status, &body))
                }
            }
            status => LeadReply::Refused(line(status, &body)),
        })
    }

    /// Asks the API, or whatever else is at `path`.
    ///
    /// # Errors
    /// No answer came.
    pub async fn api(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Fault> {
        let parts = &self.client.0;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &parts.host)
            .header(AUTHORIZATION, &parts.bearer);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body))?;
        self.send(request).await
    }

    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Fault> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Fault> {
        let answer = self.exchange(request).await?;
        Ok((answer.status(), answer.into_body().collect().await?.to_bytes()))
    }
}

fn line(status: StatusCode, body: &[u8]) -> String {
    format!("{status}: {}", String::from_utf8_lossy(body))
}
