//! Verification against another HMAC implementation, whole and in chunks.
//!
//! Input: a byte for the secret's length, a byte for the chunks' length, a byte for what to spoil, the secret, then the
//! body.
#![no_main]

use agentflow_signature::{OutboundSecret, SignatureHeaders, Signer, Timestamp, Verifier, VerifyError};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[secret_bytes, chunk_bytes, spoiled], rest)) = input.split_first_chunk() else { return };
    let (secret, body) = rest.split_at(rest.len().min(usize::from(secret_bytes)));
    let Ok(secret) = OutboundSecret::new(String::from_utf8_lossy(secret)) else { return };
    // Timestamps of every length, for they shift the body within its block.
    let now = Timestamp::from_unix_seconds(1_731_573_840_123 / 10_u64.pow(u32::from(spoiled >> 4)));

    let mut oracle = Hmac::<sha2::Sha256>::new_from_slice(secret.expose().as_bytes()).expect("any length");
    oracle.update(format!("{}.", now.as_unix_seconds()).as_bytes());
    oracle.update(body);
    let hex: String = oracle.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = Signer::new(&secret).sign(body, now);
    assert_eq!(signed.signature(), format!("sha256={hex}"));

    // A flipped bit in one of three places, or none.
    let mut timestamp = signed.timestamp().as_bytes().to_vec();
    let mut signature = signed.signature().as_bytes().to_vec();
    let mut received = body.to_vec();
    let victim = match spoiled & 3 {
        0 => None,
        1 => Some(&mut timestamp),
        2 => Some(&mut signature),
        _ => Some(&mut received),
    };
    let spoiled_at = victim.and_then(|bytes| {
        let at = usize::from(chunk_bytes) % bytes.len().max(1);
        bytes.get_mut(at).map(|byte| *byte ^= 1 << (spoiled >> 2 & 7))
    });

    let verifier =
        Verifier::new(OutboundSecret::new("another").expect("well formed")).or(secret).tolerance(u32::MAX);
    let headers = SignatureHeaders::new(&timestamp, &signature);
    let whole = verifier.verify(&headers, &received, now).map(|verified| verified.signed_at());
    assert_eq!(whole.is_ok(), spoiled_at.is_none());

    let chunked = verifier.begin(&headers, now).and_then(|mut streaming| {
        received.chunks(usize::from(chunk_bytes).max(1)).for_each(|chunk| streaming.update(chunk));
        Ok::<_, VerifyError>(streaming.finish()?.signed_at())
    });
    assert_eq!(chunked, whole);
});
