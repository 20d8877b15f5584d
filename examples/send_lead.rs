//! Sign a lead and send it to AgentFlow.
//!
//! ```text
//! AGENTFLOW_INBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example send_lead \
//!     https://localhost:8443/v1/inbound/TOKEN agentflow-data/cert.pem
//! ```
//!
//! The file is needed only where the server's certificate is not one that browsers trust. Ends with 0 where the lead was
//! accepted.

mod body;
mod https;

use std::convert::Infallible;
use std::env;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use agentflow_events::Moment;
use agentflow_lead::Submission;
use agentflow_signature::{Inbound, InboundSecret, Signer, Timestamp, Verifier};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::json;
use tokio::net::TcpListener;

use crate::body::Refusal;
use crate::https::{Client, Failure};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (url, authorities) = match arguments[..] {
        ["--self-test"] => return check_itself().await,
        [url] => (url, None),
        [url, file] => (url, Some(fs::read_to_string(file)?)),
        _ => return Err("usage: send_lead URL [CA_FILE] | --self-test".into()),
    };
    let secret = env::var("AGENTFLOW_INBOUND_SECRET").map_err(
        |_| "AGENTFLOW_INBOUND_SECRET is not set: the inbound secret that the server's first start told",
    )?;
    let client = https::client(authorities.as_deref())?;
    let response = send(&client, url, &InboundSecret::new(secret)?, lead()).await?;
    println!("{} {}", response.status(), response.body());
    if response.status().is_success() { Ok(()) } else { Err("the lead was not accepted".into()) }
}

/// Serialised once: these bytes are signed, and these bytes are sent.
fn lead() -> Bytes {
    let lead = json!({
        "name": "Jordan Ellis",
        "email": "jordan.ellis@stacklane.co",
        "company": "Stacklane",
        "message": "We are looking for a tool for 250 seats this quarter; our budget is $50k. Can we see a demo?",
        "source": "website_contact_form",
        "timestamp": Moment::from(SystemTime::now()).to_rfc3339(),
    });
    Bytes::from(lead.to_string())
}

/// One attempt. For another (after 429, 503 or no reply at all), call it again with the same bytes: each attempt is signed
/// anew, for a signature lasts five minutes, and AgentFlow knows the bytes as those of the same lead.
async fn send(
    client: &Client,
    url: &str,
    secret: &InboundSecret,
    body: Bytes,
) -> Result<Response<String>, Failure> {
    let signed = Signer::new(secret).sign(&body, Timestamp::from(SystemTime::now()));
    let mut request = Request::post(url).header(CONTENT_TYPE, "application/json").body(Full::new(body))?;
    signed.insert_into(request.headers_mut());
    https::send(client, request).await
}

/// Sends a lead to a receiver of this process that verifies and parses it as AgentFlow does.
async fn check_itself() -> Result<(), Failure> {
    let secret = InboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let made = https::self_made()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}/v1/inbound/token", listener.local_addr()?);
    let verifier = Arc::new(Verifier::new(secret.clone()));
    let service = service_fn(move |request: Request<Incoming>| {
        let verifier = Arc::clone(&verifier);
        async move {
            let (status, code) = match intake(&verifier, request).await {
                Ok(()) => (StatusCode::ACCEPTED, "received"),
                Err(refusal) => refusal,
            };
            Ok::<_, Infallible>(body::reply(status, code))
        }
    });
    tokio::spawn(https::serve(listener, made.acceptor, service));

    let client = https::client(Some(&made.certificate_pem))?;
    expect("signed lead", &send(&client, &url, &secret, lead()).await?, "202 received")?;
    let another = InboundSecret::new("whsec_another")?;
    let refused = send(&client, &url, &another, lead()).await?;
    expect("lead signed with another secret", &refused, "401 invalid_signature")?;

    let signed = Signer::new(&secret).sign(&lead(), Timestamp::from(SystemTime::now()));
    let mut tampered = Request::post(&url).body(Full::new(Bytes::from_static(b"{}")))?;
    signed.insert_into(tampered.headers_mut());
    expect("tampered lead", &https::send(&client, tampered).await?, "401 invalid_signature")?;

    let stranger = https::client(None)?;
    match send(&stranger, &url, &secret, lead()).await {
        Err(_) => println!("a server that nobody vouches for: nothing sent"),
        Ok(_) => return Err("a certificate that is not trusted was accepted".into()),
    }
    match send(&client, &url.replacen("https", "http", 1), &secret, lead()).await {
        Err(_) => println!("plain HTTP: nothing sent"),
        Ok(_) => return Err("a lead was sent in the clear".into()),
    }
    Ok(())
}

async fn intake(verifier: &Verifier<Inbound>, request: Request<Incoming>) -> Result<(), Refusal> {
    let (head, body) = request.into_parts();
    let body = body::read(body).await?;
    let verified = verifier
        .verify(&head.headers, &body, Timestamp::from(SystemTime::now()))
        .map_err(|error| (StatusCode::UNAUTHORIZED, error.code()))?;
    Submission::parse(verified.body()).map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.code()))?;
    Ok(())
}

fn expect(what: &str, response: &Response<String>, expected: &str) -> Result<(), Failure> {
    let found = format!("{} {}", response.status().as_u16(), response.body().trim());
    println!("{what}: {found}");
    if found == expected { Ok(()) } else { Err(format!("{what}: was to be {expected}").into()) }
}
