//! A whole receiver: HTTPS, verified events, each done once, and a line on stdout for it.
//!
//! ```text
//! AGENTFLOW_OUTBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example receiver 127.0.0.1:8444 cert.pem key.pem
//! ```
//!
//! The certificate must be one that AgentFlow trusts: of a public authority, or named in `delivery.extra_ca`. Without one it makes
//! its own at the first start, keeps it as `self-made.pem` in the folder that it is started in, and prints it.

mod https;
mod self_test;

use std::env;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use agentflow_events::idempotency::{Begin, IdempotencyStore, MemoryStore};
use agentflow_events::{Event, IdempotencyKey, Moment};
use agentflow_receiver::{Handler, Received, Receiver};
use agentflow_signature::OutboundSecret;
use http::header::RETRY_AFTER;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::https::Failure;

/// Longer than the work ever takes, or somebody else begins it a second time.
const LEASE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (listen, acceptor) = match arguments[..] {
        ["--self-test"] => return check_itself().await,
        [listen] => {
            let made = https::self_made(Some(".".as_ref()))?;
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
    let handler = handler();
    let purging = handler.clone();
    tokio::spawn(
        async move { purging.keep_purging(Duration::from_secs(3600), |never| match never {}).await },
    );
    let listener = TcpListener::bind(listen).await?;
    println!("listening on https://{}", listener.local_addr()?);
    serve(listener, acceptor, Receiver::new(OutboundSecret::new(secret)?), handler).await;
    Ok(())
}

/// Forgets all when the process ends. Where doing work twice does harm, keep it in the database that the work changes.
fn handler() -> Handler<MemoryStore> {
    // Test events are sent by hand from the API, about nobody: here they are work like any other.
    Handler::new(MemoryStore::new()).lease(LEASE).run_test_events(true)
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    receiver: Receiver,
    handler: Handler<MemoryStore>,
) {
    https::serve(listener, acceptor, TowerToHyperService::new(handler.service(receiver, work))).await;
}

/// The work itself. It has ten seconds; what takes longer goes into a durable queue, and that is the work then.
async fn work(received: Received) -> io::Result<()> {
    let event = received.event();
    if event.test {
        return writeln!(io::stdout(), "{} {} test", event.id, event.event_type);
    }
    let score = event.data.qualification.score.value();
    // Ids, type and score only: the rest is somebody's personal data.
    writeln!(io::stdout(), "{} {} {} {score}", event.id, event.event_type, event.lead_id)
}

fn now() -> Moment {
    Moment::from(SystemTime::now())
}

async fn check_itself() -> Result<(), Failure> {
    let secret = OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let handler = handler();
    let (sender, listener, acceptor) = self_test::start().await?;
    tokio::spawn(serve(listener, acceptor, Receiver::new(secret.clone()), handler.clone()));

    sender.tampered(&secret, 401, "invalid_signature").await?;
    if !handler.store().is_empty() {
        return Err("an event that nobody verified was remembered".into());
    }

    // Somebody else is at it, and then gives up.
    let key = IdempotencyKey::of(&Event::parse(self_test::EVENT)?);
    let Begin::Fresh(claim) = handler.store().begin(key, now(), LEASE).await? else {
        return Err("a new event was taken for an old one".into());
    };
    let response = sender.signed(&secret, 503, "in_flight").await?;
    if !response.headers().contains_key(RETRY_AFTER) {
        return Err("503 without Retry-After".into());
    }
    handler.store().abort(key, claim.token).await?;

    sender.signed(&secret, 200, "done").await?;
    sender.signed(&secret, 200, "already_done").await?;
    Ok(())
}
