//! One verification of a webhook: ours, the limit that hashing sets, and other crates doing the same work.

#[cfg(feature = "peers")]
mod peers;

use std::hint::black_box;
use std::time::SystemTime;

use agentflow_signature::{OutboundSecret, SignatureHeaders, Signer, Timestamp, Verifier};
use sha2::block_api::compress256;

/// Body lengths that are measured.
pub const BODY_BYTES: [usize; 6] = [0, 256, 512, 1024, 4096, 65536];

/// The key of all rows: of the form that the Standard Webhooks crates decode, too.
pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD8Zm5vXoKzQw=";

/// One way to verify a body.
pub struct Row {
    /// How tables call it.
    pub name: &'static str,
    /// Verifies the prepared request once; whether it was accepted.
    pub verify: Box<dyn Fn() -> bool>,
}

impl Row {
    fn new(name: &'static str, verify: impl Fn() -> bool + 'static) -> Self {
        Self { name, verify: Box::new(verify) }
    }
}

/// The name of our row.
pub const OURS: &str = "agentflow-signature";

/// The name of the row that bounds it: bare compression of the blocks that HMAC needs, from prepared states.
pub const LIMIT: &str = "limit";

/// Every row for one body length, signed at the present second. The limit comes first, ours second.
///
/// # Panics
///
/// If a row refuses its own request: it would be measured doing something else.
#[must_use]
pub fn rows(body_bytes: usize) -> Vec<Row> {
    // Most of what is signed is JSON, and some crates demand UTF-8.
    let body: Vec<u8> = (0..body_bytes).map(|at| b' ' + (at % 94) as u8).collect();
    let now = Timestamp::from(SystemTime::now());
    #[cfg_attr(not(feature = "peers"), expect(unused_mut, reason = "extended by the peers"))]
    let mut rows = vec![limit(&body), ours(&body, now)];
    #[cfg(feature = "peers")]
    rows.extend(peers::rows(&body, now));
    for row in &rows {
        assert!((row.verify)(), "{} refuses its request", row.name);
    }
    rows
}

fn limit(body: &[u8]) -> Row {
    // The timestamp, its dot and the padding; the inner key block is prepared.
    let blocks = (10 + 1 + body.len() + 9).div_ceil(64);
    // All of it prepared: what is written right before it is hashed may have to be waited for, as chance has it.
    let (begin, message, last) = (vec![0x0123_4567; 8], vec![[0x5a_u8; 64]; blocks], vec![[0x5a_u8; 64]]);
    Row::new(LIMIT, move || {
        let mut state = [0; 8];
        state.copy_from_slice(black_box(&begin));
        compress256(&mut state, black_box(&message));
        // On from the same state: HMAC's outer hash cannot begin before the inner one has ended, either. From a
        // state of its own the processor would run both at once, which no HMAC can.
        compress256(&mut state, black_box(&last));
        black_box(state);
        true
    })
}

fn ours(body: &[u8], now: Timestamp) -> Row {
    let secret = OutboundSecret::new(SECRET).expect("the secret is well formed");
    let signed = Signer::new(&secret).sign(body, now);
    let verifier = Verifier::new(secret);
    let (timestamp, signature) = (signed.timestamp().to_owned(), signed.signature().to_owned());
    let body = body.to_vec();
    Row::new(OURS, move || {
        let headers = SignatureHeaders::new(timestamp.as_bytes(), signature.as_bytes());
        verifier.verify(black_box(&headers), black_box(&body), black_box(now)).is_ok()
    })
}
