//! Any headers, as pairs and as an `http::HeaderMap`: no panic, and both sources say the same.
//!
//! Input: lines of `name:value`.
#![no_main]

use agentflow_signature::{Headers, OutboundSecret, SIGNATURE_HEADER, TIMESTAMP_HEADER, Timestamp, Verifier};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let pairs: Vec<(&[u8], &[u8])> = input
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], &line[colon + 1..]))
        })
        .collect();
    let found = pairs.signature_headers();

    let count =
        |wanted: &str| pairs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes())).count();
    let (signatures, timestamps) = (count(SIGNATURE_HEADER), count(TIMESTAMP_HEADER));
    assert_eq!(found.is_ok(), signatures == 1 && timestamps == 1);

    let now = Timestamp::from_unix_seconds(1_731_573_840);
    let verifier = Verifier::new(OutboundSecret::new("whsec_fuzz").expect("well formed"));
    let from_pairs = verifier.verify(&pairs, b"{}", now).map(|verified| verified.signed_at());

    let mut map = HeaderMap::new();
    for (name, value) in &pairs {
        match (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            (Ok(name), Ok(value)) => map.append(name, value),
            _ => return,
        };
    }
    let from_map = verifier.verify(&map, b"{}", now).map(|verified| verified.signed_at());
    assert_eq!(from_pairs, from_map);
});
