//! The doctor: no input makes it panic, it is silent exactly where a verifier accepts, and it finds a mistake that was made.
//!
//! Input: a byte each for the lengths of secret, timestamp and signature, a byte for the mistake to make, then the four
//! parts, the body last.
#![no_main]

use agentflow_signature::explain::{Doctor, Mistake};
use agentflow_signature::{InboundSecret, OutboundSecret, SignatureHeaders, Timestamp, Verifier};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_731_573_840);

fuzz_target!(|input: &[u8]| {
    let Some((&[secret_bytes, timestamp_bytes, signature_bytes, mistake], rest)) = input.split_first_chunk()
    else {
        return;
    };
    let cut = |from: &'_ [u8], bytes: u8| from.len().min(usize::from(bytes));
    let (secret, rest) = rest.split_at(cut(rest, secret_bytes));
    let (timestamp, rest) = rest.split_at(cut(rest, timestamp_bytes));
    let (signature, body) = rest.split_at(cut(rest, signature_bytes));
    let Ok(secret) = InboundSecret::new(String::from_utf8_lossy(secret)) else { return };
    let doctor = Doctor::new(&secret).other_direction(&OutboundSecret::new("another").expect("well formed"));

    let after: &[u8] = match mistake & 3 {
        0 => b"\n",
        1 => b"\r\n",
        _ => b"",
    };
    let mut oracle = Hmac::<sha2::Sha256>::new_from_slice(secret.expose().as_bytes()).expect("any length");
    [timestamp, b".", body, after].iter().for_each(|piece| oracle.update(piece));
    let hex: String = oracle.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = format!("sha256={hex}");
    let is_signed = mistake & 3 != 3;
    let headers = SignatureHeaders::new(timestamp, if is_signed { signed.as_bytes() } else { signature });

    let finding = doctor.explain(&headers, body, NOW);
    let accepted = Verifier::new(secret).verify(&headers, body, NOW).is_ok();
    assert_eq!(finding.is_none(), accepted);
    if let Some(finding) = finding {
        assert!(!finding.mistakes().is_empty() && !finding.to_string().is_empty());
        if !after.is_empty() && is_signed {
            assert!(finding.is_proven());
            let same =
                |mistake: &Mistake| matches!(mistake, Mistake::NewlineNotSent | Mistake::JsonRewritten(_));
            assert!(finding.mistakes().iter().any(same), "{finding}");
        }
    }
});
