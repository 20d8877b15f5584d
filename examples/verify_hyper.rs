//! Verify AgentFlow's events in a hyper service.
//!
//! ```text
//! AGENTFLOW_OUTBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example verify_hyper 127.0.0.1:8444
//! ```
//!
//! Every event that verifies is done anew, however often it comes: `receiver.rs` shows how to do each once.

mod body;
mod https;
mod self_test;

use std::convert::Infallible;
use std::env;
use std::sync::Arc;
use std::time::SystemTime;

use agentflow_events::{Event, EventError};
use agentflow_signature::{Outbound, OutboundSecret, Timestamp, Verifier};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::body::Refusal;
use crate::https::Failure;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match env::args().nth(1).as_deref() {
        Some("--self-test") => check_itself().await,
        Some(listen) => {
            let secret = env::var("AGENTFLOW_OUTBOUND_SECRET")
                .map_err(|_| "AGENTFLOW_OUTBOUND_SECRET is not set: the outbound secret that the server's first start told")?;
            let verifier = Verifier::new(OutboundSecret::new(secret)?);
            let made = https::self_made(Some(".".as_ref()))?;
            println!("{}", made.certificate_pem);
            serve(TcpListener::bind(listen).await?, made.acceptor, verifier).await;
            Ok(())
        }
        None => Err("usage: verify_hyper LISTEN | --self-test".into()),
    }
}

/// The verifier is made once: it holds the prepared keys.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, verifier: Verifier<Outbound>) {
    let verifier = Arc::new(verifier);
    let service = service_fn(move |request: Request<Incoming>| {
        let verifier = Arc::clone(&verifier);
        async move { Ok::<_, Infallible>(answer(&verifier, request).await) }
    });
    https::serve(listener, acceptor, service).await;
}

async fn answer(verifier: &Verifier<Outbound>, request: Request<Incoming>) -> Response<String> {
    match receive(verifier, request).await {
        Ok(event) => {
            // Ids and types only: the rest is somebody's personal data.
            // A test is sent by hand, about nobody: acknowledged, and nothing done.
            if !event.test {
                println!("{} {} {}", event.id, event.event_type, event.lead_id);
            }
            body::reply(StatusCode::OK, "received")
        }
        Err((status, code)) => body::reply(status, code),
    }
}

async fn receive(verifier: &Verifier<Outbound>, request: Request<Incoming>) -> Result<Event, Refusal> {
    if request.method() != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    }
    let (head, body) = request.into_parts();
    let body = body::read(body).await?;

    let now = Timestamp::from(SystemTime::now());
    let verified = verifier
        .verify(&head.headers, &body, now)
        .map_err(|error| (StatusCode::UNAUTHORIZED, error.code()))?;

    Event::parse(verified.body()).map_err(|error| match error {
        // A type that AgentFlow added later. Acknowledge it, or it will be sent again for a day.
        EventError::UnknownType { .. } => (StatusCode::OK, error.code()),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, error.code()),
    })
}

async fn check_itself() -> Result<(), Failure> {
    let secret = OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let (sender, listener, acceptor) = self_test::start().await?;
    tokio::spawn(serve(listener, acceptor, Verifier::new(secret.clone())));

    sender.signed(&secret, 200, "received").await?;
    sender.tampered(&secret, 401, "invalid_signature").await?;
    sender.signed(&OutboundSecret::new("whsec_another")?, 401, "invalid_signature").await?;
    Ok(())
}
