//! Laws, over bodies, secrets, times and ways to cut a body.

use agentflow_signature::{
    OutboundSecret, SignatureHeaders, SignedHeaders, Signer, Timestamp, Verifier, VerifyError,
};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..700)
}

fn secrets() -> impl Strategy<Value = OutboundSecret> {
    "[!-~]{1,100}".prop_map(|text| OutboundSecret::new(text).expect("visible characters"))
}

fn times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![1_000_000_000_u64..10_000_000_000, 0_u64..1_000_000_000_000]
        .prop_map(Timestamp::from_unix_seconds)
}

fn headers(signed: &SignedHeaders) -> (Vec<u8>, Vec<u8>) {
    (signed.timestamp().as_bytes().to_vec(), signed.signature().as_bytes().to_vec())
}

fn streamed(
    verifier: &Verifier<agentflow_signature::Outbound>,
    signed: &SignatureHeaders<'_>,
    body: &[u8],
    cuts: &[usize],
    now: Timestamp,
) -> Result<usize, VerifyError> {
    let mut streaming = verifier.begin(signed, now)?;
    let mut rest = body;
    for cut in cuts {
        let (chunk, after) = rest.split_at(cut % (rest.len() + 1));
        streaming.update(chunk);
        rest = after;
    }
    streaming.update(rest);
    let verified = streaming.finish()?;
    assert_eq!(verified.body_bytes(), body.len() as u64);
    Ok(verified.secret_index())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_verifies_and_is_what_hmac_says(body in bodies(), secret in secrets(), now in times()) {
        let signed = Signer::new(&secret).sign(&body, now);
        let mut oracle = Hmac::<sha2::Sha256>::new_from_slice(secret.expose().as_bytes()).expect("any length");
        oracle.update(format!("{}.", now.as_unix_seconds()).as_bytes());
        oracle.update(&body);
        let hex: String = oracle.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(signed.signature(), format!("sha256={hex}"));
        let verifier = Verifier::new(secret);
        let verified = verifier.verify(&signed, &body, now).expect("verifies");
        prop_assert_eq!((verified.body(), verified.signed_at()), (&body[..], now));
    }

    #[test]
    fn chunks_verify_exactly_as_the_whole(
        body in bodies(), secret in secrets(), now in times(),
        cuts in prop::collection::vec(any::<usize>(), 0..12), flip in any::<Option<u16>>(),
    ) {
        let signed = Signer::new(&secret).sign(&body, now);
        let (timestamp, signature) = headers(&signed);
        let signed = SignatureHeaders::new(&timestamp, &signature);
        let mut received = body;
        if let (Some(flip), false) = (flip, received.is_empty()) {
            let bit = usize::from(flip) % (8 * received.len());
            received[bit / 8] ^= 1 << (bit % 8);
        }
        let verifier = Verifier::new(OutboundSecret::new("other").expect("well formed")).or(secret);
        let whole = verifier.verify(&signed, &received, now).map(|verified| verified.secret_index());
        prop_assert_eq!(streamed(&verifier, &signed, &received, &cuts, now), whole);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused(body in bodies(), secret in secrets(), now in times(), at in any::<usize>()) {
        let verifier = Verifier::new(secret.clone()).tolerance(u32::MAX);
        let (timestamp, signature) = headers(&Signer::new(&secret).sign(&body, now));
        let mut message = [timestamp.as_slice(), &signature, &body].concat();
        let bit = at % (8 * message.len());
        message[bit / 8] ^= 1 << (bit % 8);
        let (timestamp, rest) = message.split_at(timestamp.len());
        let (signature, body) = rest.split_at(signature.len());
        prop_assert!(verifier.verify(&SignatureHeaders::new(timestamp, signature), body, now).is_err());
    }

    #[test]
    fn a_moved_second_is_refused(body in bodies(), secret in secrets(), seconds in 1_000_u64..900_000_000_000) {
        let signed = Signer::new(&secret).sign(&body, Timestamp::from_unix_seconds(seconds));
        let verifier = Verifier::new(secret);
        for moved in [seconds - 1, seconds + 1] {
            let text = moved.to_string();
            let headers = SignatureHeaders::new(text.as_bytes(), signed.signature().as_bytes());
            let result = verifier.verify(&headers, &body, Timestamp::from_unix_seconds(moved));
            prop_assert_eq!(result.unwrap_err(), VerifyError::InvalidSignature);
        }
    }

    #[test]
    fn bytes_moved_between_timestamp_and_body_are_refused(body in bodies(), secret in secrets()) {
        let verifier = Verifier::new(secret.clone()).tolerance(u32::MAX);
        let now = Timestamp::from_unix_seconds(1_731_573_840);
        let signed = Signer::new(&secret).sign(&body, now);
        let headers = SignatureHeaders::new(b"173157384", signed.signature().as_bytes());
        prop_assert!(verifier.verify(&headers, &[b"0.", &body[..]].concat(), now).is_err());
    }

    #[test]
    fn a_swapped_secret_is_refused(body in bodies(), one in secrets(), two in secrets(), now in times()) {
        prop_assume!(one.expose() != two.expose());
        let signed = Signer::new(&one).sign(&body, now);
        prop_assert_eq!(Verifier::new(two).verify(&signed, &body, now).unwrap_err(), VerifyError::InvalidSignature);
    }

    #[test]
    fn no_header_panics(timestamp in any::<Vec<u8>>(), signature in any::<Vec<u8>>(), name in any::<Vec<u8>>()) {
        let verifier = Verifier::new(OutboundSecret::new("x").expect("well formed"));
        let now = Timestamp::from_unix_seconds(1_731_573_840);
        prop_assert!(verifier.verify(&SignatureHeaders::new(&timestamp, &signature), b"", now).is_err());
        prop_assert!(verifier.verify(&[(&name, &signature)], b"", now).is_err());
    }
}
