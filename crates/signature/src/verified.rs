//! Proofs: what only a verifier can make.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crate::{Direction, Timestamp};

/// Proof that a body was signed with one of the verifier's secrets for direction `D`, within the tolerance.
///
/// Only [`Verifier::verify`](crate::Verifier::verify) makes one, and it borrows the very bytes that were hashed.
/// A function that takes a `Verified` can therefore not be handed unverified bytes. Its `Debug` shows the body's
/// length alone, for leads are personal data.
///
/// It does not say that the body is new: whoever replays a request within the tolerance gets another proof.
/// Deduplicate by what the body says.
#[must_use = "a verified body that nobody reads was verified for nothing"]
pub struct Verified<'a, D> {
    body: &'a [u8],
    signed_at: Timestamp,
    secret_index: usize,
    direction: PhantomData<fn() -> D>,
}

impl<'a, D> Verified<'a, D> {
    pub(crate) fn new(body: &'a [u8], signed_at: Timestamp, secret_index: usize) -> Self {
        Self { body, signed_at, secret_index, direction: PhantomData }
    }

    /// The verified bytes.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// When the sender signed.
    #[must_use]
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// Which secret matched: 0 for the first, 1 for the first that was added with
    /// [`or`](crate::Verifier::or), and so on.
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }
}

impl<D: Direction> fmt::Debug for Verified<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("direction", &format_args!("{}", D::NAME))
            .field("body_bytes", &self.body.len())
            .field("signed_at", &self.signed_at)
            .field("secret_index", &self.secret_index)
            .finish()
    }
}

/// A [`Verified`] body that owns its bytes, for handing on: to another task, into a queue, into a request's extensions.
///
/// From [`Verifier::verify_owned`](crate::Verifier::verify_owned) alone; the bytes cannot be changed any more.
///
/// # Example: verify here, use there
///
/// ```
/// use agentflow_signature::{OutboundSecret, Signer, Timestamp, Verifier};
///
/// let secret = OutboundSecret::new("whsec_test")?;
/// let now = Timestamp::from_unix_seconds(1_731_573_840);
/// let body = br#"{"type":"lead.rejected"}"#.to_vec();
/// let signed = Signer::new(&secret).sign(&body, now);
///
/// let verified = Verifier::new(secret).verify_owned(&signed, body, now)?;
/// std::thread::spawn(move || assert!(verified.as_verified().body().starts_with(b"{"))).join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a verified body that nobody reads was verified for nothing"]
pub struct VerifiedBody<D> {
    body: Vec<u8>,
    signed_at: Timestamp,
    secret_index: usize,
    direction: PhantomData<fn() -> D>,
}

impl<D> VerifiedBody<D> {
    pub(crate) fn new(body: Vec<u8>, signed_at: Timestamp, secret_index: usize) -> Self {
        Self { body, signed_at, secret_index, direction: PhantomData }
    }

    /// The proof, for what takes one.
    pub fn as_verified(&self) -> Verified<'_, D> {
        Verified::new(&self.body, self.signed_at, self.secret_index)
    }

    /// The bytes, without the proof.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

impl<D: Direction> fmt::Debug for VerifiedBody<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_verified().fmt(f)
    }
}

/// Proof that the chunks given to a [`Streaming`](crate::Streaming) were, in this order, a body signed with one of
/// the verifier's secrets for direction `D`.
///
/// It holds no bytes: the caller has them, and must not have acted on them before.
#[must_use = "without this proof the chunks are unverified"]
pub struct VerifiedStream<D> {
    body_bytes: u64,
    signed_at: Timestamp,
    secret_index: usize,
    direction: PhantomData<fn() -> D>,
}

impl<D> VerifiedStream<D> {
    pub(crate) fn new(body_bytes: u64, signed_at: Timestamp, secret_index: usize) -> Self {
        Self { body_bytes, signed_at, secret_index, direction: PhantomData }
    }

    /// How many bytes the verified body has.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// When the sender signed.
    #[must_use]
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// Which secret matched, counted as in [`Verified::secret_index`].
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }
}

impl<D: Direction> fmt::Debug for VerifiedStream<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedStream")
            .field("direction", &format_args!("{}", D::NAME))
            .field("body_bytes", &self.body_bytes)
            .field("signed_at", &self.signed_at)
            .field("secret_index", &self.secret_index)
            .finish()
    }
}
