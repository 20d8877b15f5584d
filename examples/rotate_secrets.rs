//! Change the outbound secret without losing an event: accept both for a while, and see when the old one falls silent.
//!
//! ```text
//! AGENTFLOW_OUTBOUND_SECRET=whsec_new AGENTFLOW_OUTBOUND_SECRET_PREVIOUS=whsec_old \
//!     cargo run -p agentflow-examples --example rotate_secrets 127.0.0.1:8444
//! ```
//!
//! Rotate in AgentFlow, start this with both secrets, and drop the previous one once nothing is signed with it any more.

mod body;
mod https;
mod self_test;

use std::convert::Infallible;
use std::env;
use std::sync::Arc;
use std::time::SystemTime;

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
            let present = env::var("AGENTFLOW_OUTBOUND_SECRET")
                .map_err(|_| "AGENTFLOW_OUTBOUND_SECRET is not set: the outbound secret that the server's first start told")?;
            let mut verifier = Verifier::new(OutboundSecret::new(present)?);
            if let Ok(previous) = env::var("AGENTFLOW_OUTBOUND_SECRET_PREVIOUS") {
                verifier = verifier.or(OutboundSecret::new(previous)?);
            }
            let made = https::self_made(Some(".".as_ref()))?;
            println!("{}", made.certificate_pem);
            serve(TcpListener::bind(listen).await?, made.acceptor, verifier).await;
            Ok(())
        }
        None => Err("usage: rotate_secrets LISTEN | --self-test".into()),
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, verifier: Verifier<Outbound>) {
    let verifier = Arc::new(verifier);
    let service = service_fn(move |request: Request<Incoming>| {
        let verifier = Arc::clone(&verifier);
        async move { Ok::<_, Infallible>(answer(&verifier, request).await) }
    });
    https::serve(listener, acceptor, service).await;
}

async fn answer(verifier: &Verifier<Outbound>, request: Request<Incoming>) -> Response<String> {
    match matching_secret(verifier, request).await {
        Ok(secret) => {
            println!("{secret}");
            body::reply(StatusCode::OK, secret)
        }
        Err((status, code)) => body::reply(status, code),
    }
}

/// Which of the two secrets signed this.
async fn matching_secret(
    verifier: &Verifier<Outbound>,
    request: Request<Incoming>,
) -> Result<&'static str, Refusal> {
    if request.method() != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    }
    let (head, body) = request.into_parts();
    let body = body::read(body).await?;
    let now = Timestamp::from(SystemTime::now());
    let verified = verifier
        .verify(&head.headers, &body, now)
        .map_err(|error| (StatusCode::UNAUTHORIZED, error.code()))?;
    // Secrets are numbered as they were given to the verifier.
    Ok(if verified.secret_index() == 0 { "present_secret" } else { "previous_secret" })
}

async fn check_itself() -> Result<(), Failure> {
    let present = OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let previous = OutboundSecret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")?;
    let (sender, listener, acceptor) = self_test::start().await?;
    let verifier = Verifier::new(present.clone()).or(previous.clone());
    tokio::spawn(serve(listener, acceptor, verifier));

    sender.signed(&previous, 200, "previous_secret").await?;
    sender.signed(&present, 200, "present_secret").await?;
    sender.tampered(&present, 401, "invalid_signature").await?;
    sender.tampered(&previous, 401, "invalid_signature").await?;
    sender.signed(&OutboundSecret::new("whsec_another")?, 401, "invalid_signature").await?;
    Ok(())
}
