//! What is timed: our verifier, and two that compare as the guide warns against.

use std::hint::black_box;
use std::time::Instant;

use agentflow_signature::{Outbound, OutboundSecret, SignatureHeaders, Signer, Timestamp, Verifier};

use crate::Random;
use crate::verify::SECRET;

/// Verifications in one sample: the clock costs about as much as a tenth of them.
pub const BATCH: u32 = 16;

/// Signatures of each class.
const INPUTS: usize = 1024;

const NOW: u64 = 1_731_573_840;

/// A signature header's value.
type Signature = [u8; 71];

/// Times a batch; nanoseconds of one verification.
type Batch = fn(&Keys, &Signature) -> f64;

/// One verifier, and two classes of signatures that it refuses.
pub struct Subject {
    /// The verifier.
    pub verifier: &'static str,
    /// The classes.
    pub classes: &'static str,
    /// What is to be found.
    pub expected: Expected,
    inputs: [Vec<Signature>; 2],
    /// Both classes are read from here, so that neither has a cache of its own.
    slot: Box<Signature>,
    batch: Batch,
    keys: Keys,
}

/// What a measurement of a subject must find, if it is sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// No difference.
    Nothing,
    /// A difference, and a large one: else the measurement sees nothing at all.
    Difference,
    /// Either; told for comparison.
    Either,
}

#[derive(Clone)]
struct Keys {
    verifier: Verifier<Outbound>,
    signer: Signer<Outbound>,
    timestamp: String,
}

/// Every verifier with every pair of classes. The body is empty: the comparison's share of the time is largest there.
///
/// # Panics
/// The verifiers do not refuse what they are to refuse.
pub fn subjects(random: &mut Random) -> Vec<Subject> {
    let secret = OutboundSecret::new(SECRET).expect("the secret is well formed");
    let now = Timestamp::from_unix_seconds(NOW);
    let signer = Signer::new(&secret);
    let signed = signer.sign(b"", now);
    let right: Signature = signed.signature().as_bytes().try_into().expect("71 bytes");
    let keys = Keys { verifier: Verifier::new(secret), signer, timestamp: signed.timestamp().to_owned() };

    let mut random_tags = || (0..INPUTS).map(|_| random_signature(random)).collect::<Vec<_>>();
    let ends = [vec![changed(right, 7); INPUTS], vec![changed(right, 70); INPUTS]];
    let tags = [vec![changed(right, 70); INPUTS], random_tags()];
    let verifiers: [(_, Batch, _); 3] = [
        ("agentflow-signature", |keys, signature| timed(|| keys.ours(signature)), Expected::Nothing),
        (
            "control: byte by byte",
            |keys, signature| timed(|| keys.byte_by_byte(signature)),
            Expected::Difference,
        ),
        ("control: ==", |keys, signature| timed(|| keys.equals(signature)), Expected::Either),
    ];
    let mut subjects = Vec::new();
    for (verifier, batch, expected) in verifiers {
        for (classes, inputs) in [("first or last digit wrong", &ends), ("nearly right or random", &tags)] {
            let (keys, slot) = (keys.clone(), Box::new(right));
            assert!(keys.ours(&right) && keys.byte_by_byte(&right) && keys.equals(&right), "the right one");
            subjects.push(Subject { verifier, classes, expected, inputs: inputs.clone(), slot, batch, keys });
        }
    }
    subjects
}

impl Subject {
    /// Times a batch with a signature of this class, 0 or 1. Nanoseconds of one verification.
    pub fn sample(&mut self, class: usize, random: &mut Random) -> f64 {
        *self.slot = self.inputs[class][random.below(INPUTS as u64) as usize];
        (self.batch)(&self.keys, black_box(&self.slot))
    }
}

#[inline]
fn timed(verify: impl Fn() -> bool) -> f64 {
    let begun = Instant::now();
    for _ in 0..BATCH {
        black_box(verify());
    }
    begun.elapsed().as_nanos() as f64 / f64::from(BATCH)
}

impl Keys {
    fn ours(&self, signature: &Signature) -> bool {
        let headers = SignatureHeaders::new(self.timestamp.as_bytes(), black_box(signature));
        self.verifier.verify(&headers, black_box(b""), Timestamp::from_unix_seconds(NOW)).is_ok()
    }

    /// Ends at the first difference, as comparisons of text did before they were vectorised.
    fn byte_by_byte(&self, signature: &Signature) -> bool {
        let expected = self.signer.sign(black_box(b""), Timestamp::from_unix_seconds(NOW));
        for (expected, claimed) in expected.signature().bytes().zip(black_box(signature)) {
            if black_box(expected) != black_box(*claimed) {
                return false;
            }
        }
        true
    }

    /// The library's comparison, which takes many bytes at a time.
    fn equals(&self, signature: &Signature) -> bool {
        let expected = self.signer.sign(black_box(b""), Timestamp::from_unix_seconds(NOW));
        expected.signature().as_bytes() == black_box(signature)
    }
}

/// With the digit at this place replaced by another one.
fn changed(mut signature: Signature, place: usize) -> Signature {
    signature[place] = if signature[place] == b'0' { b'1' } else { b'0' };
    signature
}

fn random_signature(random: &mut Random) -> Signature {
    let mut signature = *b"sha256=0000000000000000000000000000000000000000000000000000000000000000";
    signature[7..].fill_with(|| b"0123456789abcdef"[random.below(16) as usize]);
    signature
}
