//! What `Debug` shows and what it does not, and accessors that no other test looks at.

use agentflow_signature::{InboundSecret, OutboundSecret, Signer, Timestamp, Verifier, VerifyError};
use hmac::{Hmac, KeyInit, Mac};

const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const NOW: Timestamp = Timestamp::from_unix_seconds(1_731_573_840);

fn secret() -> OutboundSecret {
    OutboundSecret::new(TEXT).expect("visible characters")
}

#[test]
fn secrets_and_what_is_made_of_them_show_their_direction_alone() {
    let inbound = InboundSecret::new(TEXT).expect("visible characters");
    assert_eq!(format!("{:?}", secret()), "Secret<Outbound>(redacted)");
    assert_eq!(format!("{inbound:?}"), "Secret<Inbound>(redacted)");
    assert_eq!(format!("{:?}", Signer::new(&secret())), "Signer<Outbound>(redacted)");
    let verifier = format!("{:?}", Verifier::new(secret()).or(secret()).tolerance(7));
    assert!(
        verifier.starts_with("Verifier") && verifier.contains('2') && verifier.contains('7'),
        "{verifier}"
    );
}

#[test]
fn what_crosses_the_wire_is_shown() {
    let signed = Signer::new(&secret()).sign(b"{}", NOW);
    let shown = format!("{signed:?}");
    assert!(shown.contains("1731573840") && shown.contains(signed.signature()), "{shown}");
    let standard = Signer::new(&secret()).sign_standard("evt_1", b"{}", NOW);
    let shown = format!("{standard:?}");
    assert!(shown.contains("1731573840") && shown.contains(standard.signature()), "{shown}");
    assert_eq!(standard.timestamp(), "1731573840");
}

#[test]
fn proofs_show_a_length_and_no_body() {
    let body = br#"{"name":"Jordan"}"#;
    let signed = Signer::new(&secret()).sign(body, NOW);
    let verifier = Verifier::new(secret());
    let verified = format!("{:?}", verifier.verify(&signed, body, NOW).expect("verifies"));
    let owned = verifier.verify_owned(&signed, body.to_vec(), NOW).expect("verifies");
    assert_eq!(format!("{owned:?}"), verified);
    let mut streaming = verifier.begin(&signed, NOW).expect("well formed");
    streaming.update(body);
    let under_way = format!("{streaming:?}");
    let stream = format!("{:?}", streaming.finish().expect("verifies"));
    for shown in [&verified, &under_way, &stream] {
        assert!(shown.contains("17") && shown.contains("Outbound") && !shown.contains("Jordan"), "{shown}");
    }
    assert_eq!(owned.into_body(), body);
}

#[test]
fn an_owned_proof_demands_what_a_borrowed_one_does() {
    let signed = Signer::new(&secret()).sign(b"{}", NOW);
    let refused = Verifier::new(secret()).verify_owned(&signed, b"{ }".to_vec(), NOW).map(drop);
    assert_eq!(refused, Err(VerifyError::InvalidSignature));
}

#[test]
fn differences_that_are_alike_do_not_cancel_out() {
    let signed = Signer::new(&secret()).sign(b"{}", NOW);
    let right = signed.signature().as_bytes();
    for (one, other) in [(7, 15), (7, 63), (14, 70), (22, 30)] {
        let mut wrong = right.to_vec();
        for at in [one, other] {
            // Another digit, by the same bit in both places.
            let digit = char::from(wrong[at]).to_digit(16).expect("hex") ^ 1;
            wrong[at] = char::from_digit(digit, 16).expect("below 16") as u8;
        }
        let headers =
            [("X-AgentFlow-Timestamp", signed.timestamp().as_bytes()), ("X-AgentFlow-Signature", &wrong)];
        let refused = Verifier::new(secret()).verify(&headers, b"{}", NOW).map(drop);
        assert_eq!(refused, Err(VerifyError::InvalidSignature), "{one} and {other}");
    }
}

#[test]
fn a_standard_key_that_decodes_to_nothing_is_the_whole_text() {
    let signed = Signer::new(&OutboundSecret::new("whsec_").expect("visible characters"))
        .sign_standard("evt_1", b"{}", NOW);
    let mut oracle = Hmac::<sha2::Sha256>::new_from_slice(b"whsec_").expect("any length");
    oracle.update(b"evt_1.1731573840.{}");
    let tag = oracle.finalize().into_bytes();
    use base64ct::Encoding;
    assert_eq!(signed.signature(), format!("v1,{}", base64ct::Base64::encode_string(&tag)));
}
