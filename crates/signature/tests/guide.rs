//! The guide's own pseudocode, run by python3 over the same requests as this crate.
//!
//! The requests keep to what the contract calls well formed: the guide's `int(timestamp)` also reads `+5`, ` 5`,
//! `1_0` and other scripts' digits, and its `decode('utf-8')` fails on other bodies. There this crate is stricter, and
//! more lenient, on purpose.

use std::io::Write;
use std::process::{Command, Stdio};

use agentflow_signature::{OutboundSecret, SignatureHeaders, Signer, Timestamp, Verifier};

struct Request {
    secret: &'static str,
    timestamp: String,
    signature: String,
    body: String,
    now: u64,
}

const NOW: u64 = 1_731_573_840;

fn requests() -> Vec<Request> {
    let bodies =
        ["", "{}", "{\"name\":\"Jordan Ellis\"}", "naïve — 日本語 🦀", "line\r\nline\n", &"x".repeat(3000)]
            .map(str::to_owned);
    let secrets = [
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "k",
        concat!("a secret that is longer than ", "one block of the hash function, which is sixty-four bytes"),
    ];
    let mut requests = Vec::new();
    for secret in secrets {
        for body in &bodies {
            for (signed_at, now) in [
                (NOW, NOW),
                (NOW - 300, NOW),
                (NOW - 301, NOW),
                (NOW + 300, NOW),
                (NOW + 301, NOW),
                (0, 0),
                (7, 300),
                (999_999_999, 1_000_000_000),
                (999_999_999_999, 999_999_999_999),
            ] {
                let signer = Signer::new(&OutboundSecret::new(secret).expect("well formed"));
                let signed = signer.sign(body.as_bytes(), Timestamp::from_unix_seconds(signed_at));
                let right = Request {
                    secret,
                    timestamp: signed.timestamp().to_owned(),
                    signature: signed.signature().to_owned(),
                    body: body.clone(),
                    now,
                };
                let mut flipped = signed.signature().to_owned().into_bytes();
                let digit = flipped.last_mut().expect("not empty");
                *digit = if *digit == b'0' { b'1' } else { b'0' };
                requests.extend([
                    Request {
                        signature: String::from_utf8(flipped).expect("ASCII"),
                        timestamp: right.timestamp.clone(),
                        body: right.body.clone(),
                        ..right
                    },
                    Request {
                        timestamp: (signed_at ^ 1).to_string(),
                        signature: right.signature.clone(),
                        body: right.body.clone(),
                        ..right
                    },
                    Request {
                        body: format!("{body} "),
                        timestamp: right.timestamp.clone(),
                        signature: right.signature.clone(),
                        ..right
                    },
                    Request {
                        secret: "another",
                        timestamp: right.timestamp.clone(),
                        signature: right.signature.clone(),
                        body: right.body.clone(),
                        ..right
                    },
                    right,
                ]);
            }
        }
    }
    requests
}

fn ours(request: &Request) -> bool {
    let verifier = Verifier::new(OutboundSecret::new(request.secret).expect("well formed"));
    let headers = SignatureHeaders::new(request.timestamp.as_bytes(), request.signature.as_bytes());
    verifier.verify(&headers, request.body.as_bytes(), Timestamp::from_unix_seconds(request.now)).is_ok()
}

fn guides(requests: &[Request]) -> Vec<bool> {
    let mut python = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guide.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed to run the guide's pseudocode");
    let mut input = python.stdin.take().expect("piped");
    let lines: String = requests
        .iter()
        .map(|request| {
            let body: String = request.body.bytes().map(|byte| format!("{byte:02x}")).collect();
            let line = serde_json::json!({
                "secret": request.secret, "timestamp": request.timestamp, "signature": request.signature,
                "body": body, "now": request.now,
            });
            format!("{line}\n")
        })
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().expect("runs");
    writer.join().expect("does not panic").expect("python reads it all");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("text");
    answers.lines().map(|line| line.parse().expect("true or false")).collect()
}

#[test]
fn accepts_and_refuses_what_the_guides_pseudocode_does() {
    let requests = requests();
    let guides = guides(&requests);
    assert_eq!(guides.len(), requests.len());
    for (request, guides) in requests.iter().zip(&guides) {
        assert_eq!(
            ours(request),
            *guides,
            "timestamp {}, now {}, body of {} bytes",
            request.timestamp,
            request.now,
            request.body.len()
        );
    }
    let accepted = guides.iter().filter(|accepted| **accepted).count();
    assert!(accepted > 100 && guides.len() - accepted > 500, "{accepted} of {}", guides.len());
}
