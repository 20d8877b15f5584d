//! A whole receiver: HTTPS, verified events, each done once, and a line on stdout for it.
//!
//! ```text
//! AGENTFLOW_OUTBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example receiver 127.0.0.1:8444 cert.pem key.pem
//! ```
//!
//! The certificate must be one that AgentFlow trusts: of a public authority, or named in `delivery.extra_ca`. Without one it makes
//! its own, anew at each start, and prints it.

mod body;
mod https;
mod self_test;

use std::convert::Infallible;
use std::env;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agentflow_events::idempotency::{Begin, IdempotencyStore, MemoryStore, Receipt, run_once};
use agentflow_events::{Event, EventError, IdempotencyKey, Moment};
use agentflow_signature::{Outbound, OutboundSecret, Timestamp, Verifier};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::time::interval;
use tokio_rustls::TlsAcceptor;

use crate::body::Refusal;
use crate::https::Failure;

/// Longer than the work ever takes, or somebody else begins it a second time.
const LEASE: Duration = Duration::from_secs(60);

/// How long finished work is remembered. AgentFlow tries for about a day; the rest is for resends by hand.
const REMEMBERED: Duration = Duration::from_secs(8 * 86_400);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (listen, acceptor) = match arguments[..] {
        ["--self-test"] => return check_itself().await,
        [listen] => {
            let made = https::self_made()?;
            println!("{}", made.certificate_pem);
            (listen, made.acceptor)
        }
        [listen, certificate, key] => {
            let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
            (listen, https::acceptor(chain, PrivateKeyDer::from_pem_file(key)?)?)
        }
        _ => return Err("usage: receiver LISTEN [CERTIFICATE KEY] | --self-test".into()),
    };
    let secret = env::var("AGENTFLOW_OUTBOUND_SECRET").map_err(
        |_| "AGENTFLOW_OUTBOUND_SECRET is not set: the outbound secret that the server's first start told",
    )?;
    let receiver = Arc::new(Receiver::new(OutboundSecret::new(secret)?));
    tokio::spawn(forget_old_work(Arc::clone(&receiver)));
    let listener = TcpListener::bind(listen).await?;
    println!("listening on https://{}", listener.local_addr()?);
    serve(listener, acceptor, receiver).await;
    Ok(())
}

/// What there is once for all requests.
struct Receiver {
    verifier: Verifier<Outbound>,
    /// Forgets all when the process ends. Where doing work twice does harm, keep it in the database that the work changes.
    store: MemoryStore,
}

impl Receiver {
    fn new(secret: OutboundSecret) -> Self {
        Self { verifier: Verifier::new(secret), store: MemoryStore::new() }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<String> {
        let event = match self.verified_event(request).await {
            Ok(event) => event,
            Err((status, code)) => {
                // The reason is for whoever runs this; a stranger gets no more than the code.
                eprintln!("refused: {code}");
                return body::reply(status, code);
            }
        };
        let key = IdempotencyKey::of(&event);
        match run_once(&self.store, key, LEASE, now, |_| work(&event)).await {
            Ok(receipt) => reply(&receipt),
        }
    }

    async fn verified_event(&self, request: Request<Incoming>) -> Result<Event, Refusal> {
        if request.method() != Method::POST {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
        }
        let (head, body) = request.into_parts();
        let body = body::read(body).await?;
        let verified = self
            .verifier
            .verify(&head.headers, &body, Timestamp::from(SystemTime::now()))
            .map_err(|error| (StatusCode::UNAUTHORIZED, error.code()))?;
        Event::parse(verified.body()).map_err(|error| match error {
            // A type that AgentFlow added later. Acknowledge it, or it will be sent again for a day.
            EventError::UnknownType { .. } => (StatusCode::OK, error.code()),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, error.code()),
        })
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, receiver: Arc<Receiver>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let receiver = Arc::clone(&receiver);
        async move { Ok::<_, Infallible>(receiver.answer(request).await) }
    });
    https::serve(listener, acceptor, service).await;
}

/// The work itself. It has ten seconds; what takes longer goes into a durable queue, and that is the work then.
async fn work(event: &Event) -> io::Result<()> {
    if event.test {
        // Sent by hand from the API, about nobody.
        return writeln!(io::stdout(), "{} {} test", event.id, event.event_type);
    }
    let score = event.data.qualification.score.value();
    // Ids, type and score only: the rest is somebody's personal data.
    writeln!(io::stdout(), "{} {} {} {score}", event.id, event.event_type, event.lead_id)
}

/// 200 promises that the work is done, and the event never comes again: everything else is 503.
fn reply(receipt: &Receipt<(), io::Error>) -> Response<String> {
    let code = match receipt {
        Receipt::Done(()) => "done",
        Receipt::AlreadyDone => "already_done",
        // It may still fail there.
        Receipt::InFlight { .. } => "in_flight",
        Receipt::Failed(_) => "failed",
        Receipt::TakenOver(()) => "taken_over",
    };
    let status = if receipt.is_acknowledged() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = body::reply(status, code);
    if let Some(wait) = receipt.retry_after(now()) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    }
    response
}

async fn forget_old_work(receiver: Arc<Receiver>) {
    let mut hourly = interval(Duration::from_secs(3600));
    loop {
        hourly.tick().await;
        let Ok(_) = receiver.store.purge(now().minus(REMEMBERED)).await;
    }
}

fn now() -> Moment {
    Moment::from(SystemTime::now())
}

async fn check_itself() -> Result<(), Failure> {
    let secret = OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let receiver = Arc::new(Receiver::new(secret.clone()));
    let (sender, listener, acceptor) = self_test::start().await?;
    tokio::spawn(serve(listener, acceptor, Arc::clone(&receiver)));

    sender.tampered(&secret, 401, "invalid_signature").await?;
    if !receiver.store.is_empty() {
        return Err("an event that nobody verified was remembered".into());
    }

    // Somebody else is at it, and then gives up.
    let key = IdempotencyKey::of(&Event::parse(self_test::EVENT)?);
    let Begin::Fresh(claim) = receiver.store.begin(key, now(), LEASE).await? else {
        return Err("a new event was taken for an old one".into());
    };
    let response = sender.signed(&secret, 503, "in_flight").await?;
    if !response.headers().contains_key(RETRY_AFTER) {
        return Err("503 without Retry-After".into());
    }
    receiver.store.abort(key, claim.token).await?;

    sender.signed(&secret, 200, "done").await?;
    sender.signed(&secret, 200, "already_done").await?;
    Ok(())
}
