//! A destination: verifies and parses what it is sent, remembers it, and answers at once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use agentflow_events::Event;
use agentflow_signature::{Outbound, OutboundSecret, Timestamp, Verifier};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Fault, tls};

/// One event, as often as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its lead.
    pub lead_id: String,
    /// Its type.
    pub event_type: String,
    /// When it first came.
    pub at: Instant,
    /// How often it came.
    pub times: u32,
}

/// An HTTPS receiver on a free port of this machine; it stays up until the process ends.
pub struct Receiver {
    url: String,
    authority_pem: String,
    inbox: Arc<Inbox>,
}

struct Inbox {
    verifier: Verifier<Outbound>,
    received: Mutex<HashMap<String, Received>>,
    refused: Mutex<Vec<String>>,
}

impl Receiver {
    /// Starts to receive what is signed with this secret.
    ///
    /// # Errors
    /// There is no port, or the secret is none.
    pub async fn start(outbound_secret: &str) -> Result<Self, Fault> {
        let (acceptor, authority_pem) = tls::acceptor()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}/agentflow", listener.local_addr()?.port());
        let inbox = Arc::new(Inbox {
            verifier: Verifier::new(OutboundSecret::new(outbound_secret)?),
            received: Mutex::default(),
            refused: Mutex::default(),
        });
        tokio::spawn(accept(listener, acceptor, Arc::clone(&inbox)));
        Ok(Self { url, authority_pem, inbox })
    }

    /// Where events are to be sent.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that its senders must trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// How many different events came.
    pub fn count(&self) -> usize {
        locked(&self.inbox.received).len()
    }

    /// Every event that came, by its id.
    pub fn received(&self) -> HashMap<String, Received> {
        locked(&self.inbox.received).clone()
    }

    /// What came and was no event of the server's, with the reason.
    pub fn refused(&self) -> Vec<String> {
        locked(&self.inbox.refused).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, inbox: Arc<Inbox>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let (acceptor, inbox) = (acceptor.clone(), Arc::clone(&inbox));
        tokio::spawn(async move {
            socket.set_nodelay(true).ok();
            // A server that is killed breaks off anywhere; it will send again.
            let Ok(stream) = acceptor.accept(socket).await else { return };
            let service = service_fn(|request| receive(&inbox, request));
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn receive(inbox: &Inbox, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = match body.collect().await {
        Ok(body) => match inbox.take(&head.headers, &body.to_bytes()) {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(fault) => {
                locked(&inbox.refused).push(fault.to_string());
                StatusCode::BAD_REQUEST
            }
        },
        Err(_) => StatusCode::BAD_REQUEST,
    };
    Ok(answer)
}

impl Inbox {
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Fault> {
        let at = Instant::now();
        let verified = self.verifier.verify(headers, body, Timestamp::from(SystemTime::now()))?;
        let event = Event::parse(verified.body())?;
        let (id, event_type) = (event.id.to_string(), event.event_type.to_string());
        for (name, expected) in [("x-agentflow-event-id", &id), ("x-agentflow-event-type", &event_type)] {
            if headers.get(name).is_none_or(|value| value.as_bytes() != expected.as_bytes()) {
                return Err(format!("{name} is not {expected}").into());
            }
        }
        let mut received = locked(&self.received);
        let first = Received { lead_id: event.lead_id.to_string(), event_type, at, times: 0 };
        received.entry(id).or_insert(first).times += 1;
        Ok(())
    }
}
