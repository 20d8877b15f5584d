//! The committed vectors for other languages are exactly what this crate signs, accepts and refuses.
//!
//! `UPDATE_VECTORS=1 cargo test -p agentflow-signature --test vectors` writes them anew.

use agentflow_signature::{OutboundSecret, Signer, Timestamp, Verifier};
use serde_json::{Value, json};

const NOW: u64 = 1_731_573_840;
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD8Zm5vXoKzQw=";
const PREVIOUS: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = br#"{"id":"evt_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f","type":"lead.qualified"}"#;

fn secret(text: &str) -> OutboundSecret {
    OutboundSecret::new(text).expect("well formed")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `text` for reading along where the body is text; `body_hex` is what counts.
fn body(bytes: &[u8]) -> (String, Value) {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= 200);
    (hex(bytes), text.map_or(Value::Null, Value::from))
}

fn signing() -> Value {
    let long = "a secret that is longer than one block of the hash function, which is sixty-four bytes";
    let every_byte: Vec<u8> = (0..=255).collect();
    let cases: [(&str, &str, &[u8], u64); 12] = [
        ("a JSON body", SECRET, BODY, NOW),
        ("an empty body", SECRET, b"", NOW),
        ("a body that ends a block with its padding", SECRET, &[b'a'; 44], NOW),
        ("a body whose padding needs a block of its own", SECRET, &[b'a'; 45], NOW),
        ("a body that fills its first block", SECRET, &[b'a'; 53], NOW),
        ("a body of many blocks", SECRET, &[b'a'; 1000], NOW),
        ("a body that is no UTF-8", SECRET, &every_byte, NOW),
        ("a body with non-ASCII text", SECRET, "{\"name\":\"Zoë 日本\"}".as_bytes(), NOW),
        ("a body with a line end, which counts", SECRET, b"{}\n", NOW),
        ("the smallest timestamp", SECRET, b"{}", 0),
        ("the largest timestamp", SECRET, b"{}", 999_999_999_999),
        ("a secret longer than a block", long, b"{}", NOW),
    ];
    let cases = cases.map(|(name, text, bytes, at)| {
        let signer = Signer::new(&secret(text));
        let at = Timestamp::from_unix_seconds(at);
        let (signed, standard) = (signer.sign(bytes, at), signer.sign_standard("evt_1", bytes, at));
        let (body_hex, body_text) = body(bytes);
        json!({
            "name": name, "secret": text, "timestamp": signed.timestamp(),
            "body_hex": body_hex, "body_text": body_text, "signature": signed.signature(),
            "standard_webhooks": { "id": "evt_1", "signature": standard.signature() },
        })
    });
    json!({ "what": "Sign body at timestamp with secret: the signature header's value.", "cases": cases })
}

/// One request and what must become of it: the index of the matching secret, or the reason code.
struct Verifying {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    now: u64,
    expected: Result<usize, &'static str>,
}

fn verifying_cases() -> Vec<Verifying> {
    const T: &str = "X-AgentFlow-Timestamp";
    const S: &str = "X-AgentFlow-Signature";
    let sign = |text, at| {
        let signed = Signer::new(&secret(text)).sign(BODY, Timestamp::from_unix_seconds(at));
        signed.signature().to_owned()
    };
    let right = sign(SECRET, NOW);
    let case = |name, headers: Vec<(&'static str, String)>, expected| Verifying {
        name,
        headers,
        body: BODY.to_vec(),
        now: NOW,
        expected,
    };
    let at = |name, now, expected| Verifying {
        now,
        ..case(name, vec![(T, NOW.to_string()), (S, right.clone())], expected)
    };
    let with_timestamp = |name, timestamp: &str, expected| {
        case(name, vec![(T, timestamp.to_owned()), (S, right.clone())], Err(expected))
    };
    let with_signature = |name, signature: String, expected| {
        case(name, vec![(T, NOW.to_string()), (S, signature)], Err(expected))
    };
    let with_body = |name, body: Vec<u8>| Verifying {
        body,
        ..case(name, vec![(T, NOW.to_string()), (S, right.clone())], Err("invalid_signature"))
    };
    let digits = &right["sha256=".len()..];
    let mut cases = vec![
        at("signed now", NOW, Ok(0)),
        at("300 seconds old", NOW + 300, Ok(0)),
        at("301 seconds old", NOW + 301, Err("stale_timestamp")),
        at("300 seconds ahead", NOW - 300, Ok(0)),
        at("301 seconds ahead", NOW - 301, Err("future_timestamp")),
        case("the previous secret", vec![(T, NOW.to_string()), (S, sign(PREVIOUS, NOW))], Ok(1)),
        case(
            "header names in lower case",
            vec![("x-agentflow-timestamp", NOW.to_string()), ("x-agentflow-signature", right.clone())],
            Ok(0),
        ),
        case("no headers", vec![], Err("missing_signature")),
        case("no signature", vec![(T, NOW.to_string())], Err("missing_signature")),
        case("no timestamp", vec![(S, right.clone())], Err("missing_timestamp")),
        case(
            "two signatures",
            vec![(T, NOW.to_string()), (S, right.clone()), (S, right.clone())],
            Err("malformed_signature"),
        ),
        case(
            "two timestamps",
            vec![(T, NOW.to_string()), (T, NOW.to_string()), (S, right.clone())],
            Err("malformed_timestamp"),
        ),
        case("both headers malformed", vec![(T, "x".into()), (S, "x".into())], Err("malformed_signature")),
        case(
            "malformed signature, stale timestamp",
            vec![(T, "1".into()), (S, "x".into())],
            Err("malformed_signature"),
        ),
        case(
            "wrong signature, stale timestamp",
            vec![(T, "1".into()), (S, right.clone())],
            Err("stale_timestamp"),
        ),
        case(
            "a stranger's secret",
            vec![(T, NOW.to_string()), (S, sign("stranger", NOW))],
            Err("invalid_signature"),
        ),
        case(
            "another second than was signed",
            vec![(T, (NOW - 1).to_string()), (S, right.clone())],
            Err("invalid_signature"),
        ),
        with_body(
            "re-serialised JSON",
            BODY.escape_ascii().to_string().replace("\\\"", "\"").replace(':', ": ").into_bytes(),
        ),
        with_body("a line end more", [BODY, b"\n"].concat()),
        with_body("an empty body", Vec::new()),
        with_signature("upper-case hex", format!("sha256={}", digits.to_uppercase()), "malformed_signature"),
        with_signature("no scheme", digits.to_owned(), "malformed_signature"),
        with_signature("another scheme", format!("sha1={digits}"), "malformed_signature"),
        with_signature("upper-case scheme", format!("SHA256={digits}"), "malformed_signature"),
        with_signature("63 digits", right[..right.len() - 1].to_owned(), "malformed_signature"),
        with_signature("65 digits", format!("{right}0"), "malformed_signature"),
        with_signature(
            "a digit that is none",
            format!("{}g", &right[..right.len() - 1]),
            "malformed_signature",
        ),
        with_signature("a comma list", format!("{right},{right}"), "malformed_signature"),
        with_signature("an empty signature", String::new(), "malformed_signature"),
        with_signature("a signature of zeros", format!("sha256={}", "0".repeat(64)), "invalid_signature"),
    ];
    for (name, timestamp) in [
        ("an empty timestamp", ""),
        ("a plus sign", "+1731573840"),
        ("a minus sign", "-1731573840"),
        ("a leading zero", "01731573840"),
        ("a space before", " 1731573840"),
        ("a space after", "1731573840 "),
        ("a fraction", "1731573840.0"),
        ("an underscore", "1_731_573_840"),
        ("an exponent", "1e9"),
        ("thirteen digits", "1731573840000"),
        ("non-ASCII digits", "１７３１５７３８４０"),
        ("a comma list of timestamps", "1731573840,1731573840"),
        ("an ISO 8601 timestamp", "2024-11-14T08:44:00Z"),
        ("the least 64-bit number", "-9223372036854775808"),
    ] {
        cases.push(with_timestamp(name, timestamp, "malformed_timestamp"));
    }
    cases
}

fn verifying() -> Value {
    let verifier = Verifier::new(secret(SECRET)).or(secret(PREVIOUS));
    let cases = verifying_cases().into_iter().map(|case| {
        let result = verifier.verify(&case.headers, &case.body, Timestamp::from_unix_seconds(case.now));
        let result = result.map(|verified| verified.secret_index()).map_err(|error| error.code());
        assert_eq!(result, case.expected, "{}", case.name);
        let (body_hex, body_text) = body(&case.body);
        json!({
            "name": case.name, "headers": case.headers, "body_hex": body_hex, "body_text": body_text,
            "now": case.now, "accept": result.is_ok(), "secret_index": result.ok(), "code": result.err(),
        })
    });
    let cases: Vec<Value> = cases.collect();
    json!({
        "what": "Verify headers and body at now: accepted with which secret, or refused with which code.",
        "secrets": [SECRET, PREVIOUS], "tolerance_seconds": 300, "cases": cases,
    })
}

#[track_caller]
fn check(file: &str, vectors: &Value) {
    let path = format!("{}/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = format!("{vectors:#}\n");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text).expect("the folder is writable");
    }
    let committed = std::fs::read_to_string(&path).expect("the file is committed");
    assert_eq!(committed, text, "{file} is not what the crate does: a change of the wire format?");
}

#[test]
fn the_signing_vectors_are_what_the_crate_signs() {
    check("sign.json", &signing());
}

#[test]
fn the_verifying_vectors_are_what_the_crate_accepts_and_refuses() {
    check("verify.json", &verifying());
}
