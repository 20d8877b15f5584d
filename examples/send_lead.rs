//! Send a lead to AgentFlow.
//!
//! ```text
//! AGENTFLOW_INBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example send_lead \
//!     https://localhost:8443/v1/inbound/TOKEN agentflow-data/cert.pem
//! ```
//!
//! The file is needed only where the server's certificate is not one that browsers trust. Ends with 0 where the lead was
//! accepted.

mod https;

use std::convert::Infallible;
use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use agentflow_client::{Client, Error, InboundSecret, Lead};
use agentflow_events::Moment;
use agentflow_lead::{Submission, limits};
use agentflow_signature::{Inbound, Timestamp, Verifier};
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;

use crate::https::Failure;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (url, authorities) = match arguments[..] {
        ["--self-test"] => return check_itself().await,
        [url] => (url, None),
        [url, file] => (url, Some(fs::read(file)?)),
        _ => return Err("usage: send_lead URL [CA_FILE] | --self-test".into()),
    };
    let secret = env::var("AGENTFLOW_INBOUND_SECRET").map_err(
        |_| "AGENTFLOW_INBOUND_SECRET is not set: the inbound secret that the server's first start told",
    )?;
    let mut builder = Client::builder(url, InboundSecret::new(secret)?).user_agent_suffix("send_lead");
    if let Some(pem) = authorities {
        builder = builder.extra_ca(pem);
    }
    // The text says what to do about it, and shows neither the lead nor a credential.
    let accepted = builder.build()?.send(&lead()?).await.map_err(|error| error.to_string())?;
    println!("{}{}", accepted.lead_id, if accepted.duplicate { ", known already" } else { "" });
    Ok(())
}

fn lead() -> Result<Lead, Error> {
    let lead = Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co")
        .company("Stacklane")
        .message(
            "We are looking for a tool for 250 seats this quarter; our budget is $50k. Can we see a demo?",
        )
        .source("website_contact_form")
        .timestamp(Moment::from(SystemTime::now()).to_rfc3339())
        .field("seats", 250)?;
    Ok(lead)
}

/// Sends leads to a receiver of this process that verifies and parses them as AgentFlow does.
async fn check_itself() -> Result<(), Failure> {
    let secret = InboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let made = https::self_made(None)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}/v1/inbound/token", listener.local_addr()?);
    let receiver = Arc::new(Receiver { verifier: Verifier::new(secret.clone()), is_warm: false.into() });
    let service = service_fn(move |request: Request<Incoming>| {
        let receiver = Arc::clone(&receiver);
        async move { Ok::<_, Infallible>(receiver.receive(request).await) }
    });
    tokio::spawn(https::serve(listener, made.acceptor, service));

    let builder = |secret: &InboundSecret| {
        let patience = Duration::from_millis(10);
        Client::builder(&url, secret.clone())
            .only_ca(made.certificate_pem.as_str())
            .backoff(patience, patience)
    };
    let accepted = builder(&secret).build()?.send(&lead()?).await?;
    println!("signed lead: {} in attempt {}", accepted.lead_id, accepted.attempts);
    if accepted.attempts != 2 {
        return Err("the receiver was to be busy at first".into());
    }
    let another = InboundSecret::new("whsec_another")?;
    expect("another secret", builder(&another).build()?.send(&lead()?).await, "invalid_signature")?;
    let nobody = Lead::new("Jordan Ellis", "jordan.ellis");
    expect("no email", builder(&secret).build()?.send(&nobody).await, "validation_failed")?;
    let stranger = Client::new(&url, secret.clone())?.send(&lead()?).await;
    expect("a server that nobody vouches for", stranger, "untrusted_certificate")?;
    expect("plain HTTP", Client::new(&url.replacen("https", "http", 1), secret), "invalid_endpoint")
}

fn expect<T>(what: &str, outcome: Result<T, Error>, code: &str) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.code() == code => {
            println!("{what}: {error}");
            Ok(())
        }
        Err(error) => Err(format!("{what}: was to be {code}: {error}").into()),
        Ok(_) => Err(format!("{what}: was to be {code}").into()),
    }
}

struct Receiver {
    verifier: Verifier<Inbound>,
    /// The first lead is told to come again.
    is_warm: AtomicBool,
}

impl Receiver {
    async fn receive(&self, request: Request<Incoming>) -> Response<String> {
        let (status, media_type, body) = match self.check(request).await {
            Ok(()) => {
                let id = "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f";
                let body = format!(r#"{{"status":"received","lead_id":"{id}","duplicate":false}}"#);
                (StatusCode::ACCEPTED, "application/json", body)
            }
            Err((status, reason)) => {
                (status, "application/problem+json", format!(r#"{{"reason":"{reason}"}}"#))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
        response
    }

    async fn check(&self, request: Request<Incoming>) -> Result<(), (StatusCode, &'static str)> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, limits::BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"))?.to_bytes();
        let verified = self
            .verifier
            .verify(&head.headers, &body, Timestamp::from(SystemTime::now()))
            .map_err(|error| (StatusCode::UNAUTHORIZED, error.code()))?;
        Submission::parse(verified.body())
            .map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.code()))?;
        if self.is_warm.swap(true, Ordering::Relaxed) {
            Ok(())
        } else {
            Err((StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"))
        }
    }
}
