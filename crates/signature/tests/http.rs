//! The headers of the `http` crate.
#![cfg(feature = "http")]

use agentflow_signature::{Headers, InboundSecret, Signer, Timestamp, Verifier, VerifyError};
use http::{HeaderMap, HeaderValue};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_731_573_840);

fn secret() -> InboundSecret {
    InboundSecret::new("whsec_inbound").expect("well formed")
}

fn signed() -> HeaderMap {
    let mut headers = HeaderMap::new();
    Signer::new(&secret()).sign(b"{}", NOW).insert_into(&mut headers);
    headers
}

#[test]
fn verifies_from_a_header_map() {
    assert!(Verifier::new(secret()).verify(&signed(), b"{}", NOW).is_ok());
}

#[test]
fn inserting_replaces_an_earlier_attempts_headers() {
    let mut headers = signed();
    Signer::new(&secret()).sign(b"[]", NOW).insert_into(&mut headers);
    assert!(Verifier::new(secret()).verify(&headers, b"[]", NOW).is_ok());
}

#[test]
fn refuses_a_repeated_header() {
    for (name, error) in [
        ("x-agentflow-timestamp", VerifyError::MalformedTimestamp),
        ("x-agentflow-signature", VerifyError::MalformedSignature),
    ] {
        let mut headers = signed();
        let value = headers[name].clone();
        headers.append(name, value);
        assert_eq!(headers.signature_headers().unwrap_err(), error);
    }
}

#[test]
fn a_header_that_is_no_text_is_malformed() {
    let mut headers = signed();
    headers.insert("x-agentflow-signature", HeaderValue::from_bytes(b"sha256=\xff\xfe").expect("a value"));
    assert_eq!(
        Verifier::new(secret()).verify(&headers, b"{}", NOW).unwrap_err(),
        VerifyError::MalformedSignature
    );
}

#[test]
fn missing_headers_are_missing() {
    let mut headers = signed();
    headers.remove("x-agentflow-timestamp");
    assert_eq!(headers.signature_headers().unwrap_err(), VerifyError::MissingTimestamp);
    headers.remove("x-agentflow-signature");
    assert_eq!(headers.signature_headers().unwrap_err(), VerifyError::MissingSignature);
}
