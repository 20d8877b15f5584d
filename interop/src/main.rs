//! `agentflow-interop agentflow | standardwebhooks`: judges the requests on standard input, a JSON object a line, and
//! answers a line each: true or false. The other verifiers of this folder take the same lines.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufWriter, Write};

use agentflow_signature::{OutboundSecret, SignatureHeaders, Timestamp, Verifier};
use http::HeaderMap;
use serde::Deserialize;

#[derive(Deserialize)]
struct Request {
    secret: String,
    /// The guide's two headers.
    timestamp: String,
    signature: String,
    /// Hex.
    body: String,
    /// Unix seconds. What goes by the clock of its own takes no notice.
    now: u64,
    /// Those of Standard Webhooks, in lower case.
    headers: HashMap<String, String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let judge = match std::env::args().nth(1).as_deref() {
        Some("agentflow") => agentflow,
        Some("standardwebhooks") => standard_webhooks,
        _ => return Err("usage: agentflow-interop agentflow | standardwebhooks".into()),
    };
    let mut answers = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let body = hex::decode(&request.body)?;
        writeln!(answers, "{}", judge(&request, &body)?)?;
    }
    Ok(answers.flush()?)
}

fn agentflow(request: &Request, body: &[u8]) -> Result<bool, Box<dyn Error>> {
    let verifier = Verifier::new(OutboundSecret::new(request.secret.as_str())?);
    let headers = SignatureHeaders::new(request.timestamp.as_bytes(), request.signature.as_bytes());
    Ok(verifier.verify(&headers, body, Timestamp::from_unix_seconds(request.now)).is_ok())
}

fn standard_webhooks(request: &Request, body: &[u8]) -> Result<bool, Box<dyn Error>> {
    let headers: HeaderMap = (&request.headers).try_into()?;
    Ok(standardwebhooks::Webhook::new(&request.secret)?.verify(body, &headers).is_ok())
}
