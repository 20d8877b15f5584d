//! Verify AgentFlow's events in axum: an extractor, so that a handler sees nothing that was not verified.
//!
//! ```text
//! AGENTFLOW_OUTBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example verify_axum 127.0.0.1:8444
//! ```
//!
//! Events go to `/agentflow`. Each that verifies is done anew, however often it comes: `receiver.rs` shows how to do
//! each once.

mod https;
mod self_test;

use std::env;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agentflow_events::{Event, EventError};
use agentflow_signature::{Outbound, OutboundSecret, Timestamp, Verifier};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::https::Failure;

/// Generous: a lead has at most 256 KiB, and an event carries one lead.
const BODY_BYTES_MAX: usize = 1024 * 1024;

const BODY_DEADLINE: Duration = Duration::from_secs(10);

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
        None => Err("usage: verify_axum LISTEN | --self-test".into()),
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, verifier: Verifier<Outbound>) {
    let router = Router::new()
        .route("/agentflow", post(receive))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(verifier));
    https::serve(listener, acceptor, TowerToHyperService::new(router)).await;
}

async fn receive(Authentic(event): Authentic) -> &'static str {
    if event.test {
        return "received\n";
    }
    // Ids and types only: the rest is somebody's personal data.
    println!("{} {} {}", event.id, event.event_type, event.lead_id);
    "received\n"
}

/// An event whose signature holds.
struct Authentic(Event);

impl FromRequest<Arc<Verifier<Outbound>>> for Authentic {
    type Rejection = Refused;

    async fn from_request(request: Request, verifier: &Arc<Verifier<Outbound>>) -> Result<Self, Refused> {
        let headers = request.headers().clone();
        // The raw bytes. `Json` would lose them, and with them the signature.
        let body = timeout(BODY_DEADLINE, Bytes::from_request(request, verifier))
            .await
            .map_err(|_| Refused(StatusCode::REQUEST_TIMEOUT, "bad_request"))?
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Refused(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
                _ => Refused(StatusCode::BAD_REQUEST, "bad_request"),
            })?;

        let now = Timestamp::from(SystemTime::now());
        let verified = verifier
            .verify(&headers, &body, now)
            .map_err(|error| Refused(StatusCode::UNAUTHORIZED, error.code()))?;

        Event::parse(verified.body()).map(Self).map_err(|error| match error {
            // A type that AgentFlow added later. Acknowledge it, or it will be sent again for a day.
            EventError::UnknownType { .. } => Refused(StatusCode::OK, error.code()),
            _ => Refused(StatusCode::UNPROCESSABLE_ENTITY, error.code()),
        })
    }
}

/// A status, and the code that says why.
struct Refused(StatusCode, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, code) = self;
        let challenge = (status == StatusCode::UNAUTHORIZED).then_some([(WWW_AUTHENTICATE, "AgentFlow")]);
        match challenge {
            Some(challenge) => (status, challenge, format!("{code}\n")).into_response(),
            None => (status, format!("{code}\n")).into_response(),
        }
    }
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
