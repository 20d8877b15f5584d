//! The receiving side: several secrets, one tolerance, one order of checks.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use subtle::ConditionallySelectable;

use crate::hex::{self, Tag};
use crate::mac::{self, Key, Message};
use crate::signer::SCHEME;
use crate::{
    Direction, Headers, Secret, SignatureHeaders, Streaming, Timestamp, Verified, VerifiedBody, VerifyError,
};

/// Largest accepted gap between signing time and `now`, either way. Whole seconds; the guide's five minutes.
pub(crate) const TOLERANCE_SECONDS: u32 = 300;

/// Verifies webhooks of one direction against one or more secrets.
///
/// The keys are prepared once, so keep the verifier: it can be cloned, sent and shared. The secrets themselves are
/// wiped as soon as they have been prepared, the prepared keys when the verifier is dropped.
///
/// # Example: rotate a secret
///
/// ```
/// use agentflow_signature::{OutboundSecret, Signer, Timestamp, Verifier};
///
/// let previous = OutboundSecret::new("whsec_previous")?;
/// let signer = Signer::new(&previous);
/// let verifier = Verifier::new(OutboundSecret::new("whsec_present")?).or(previous);
///
/// let now = Timestamp::from_unix_seconds(1_731_573_840);
/// let body = br#"{"type":"lead.qualified"}"#;
/// let verified = verifier.verify(&signer.sign(body, now), body, now)?;
/// assert_eq!(verified.secret_index(), 1, "the sender has yet to change over");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Verifier<D> {
    keys: Vec<Key>,
    tolerance_seconds: u32,
    direction: PhantomData<fn() -> D>,
}

impl<D> Verifier<D> {
    /// A verifier that accepts `secret`, within 300 seconds of its signing time.
    #[must_use]
    pub fn new(secret: Secret<D>) -> Self {
        Self {
            keys: vec![Key::new(secret.expose().as_bytes())],
            tolerance_seconds: TOLERANCE_SECONDS,
            direction: PhantomData,
        }
    }

    /// Accepts one more secret, as during a rotation. Each costs another hash of the body.
    #[must_use]
    pub fn or(mut self, secret: Secret<D>) -> Self {
        // A full vector would move its keys and leave the old ones unwiped.
        let mut keys = Vec::with_capacity(self.keys.len() + 1);
        keys.extend(self.keys.iter().cloned());
        keys.push(Key::new(secret.expose().as_bytes()));
        self.keys = keys;
        self
    }

    /// Sets the largest accepted gap between signing time and `now`, either way. Whole seconds; 300 unless set.
    #[must_use]
    pub fn tolerance(mut self, seconds: u32) -> Self {
        self.tolerance_seconds = seconds;
        self
    }

    /// Verifies a body that is there as a whole. Does not allocate, and does not look at what the bytes mean.
    ///
    /// # Errors
    ///
    /// The first of these that applies:
    ///
    /// 1. [`MissingSignature`](VerifyError::MissingSignature), then
    ///    [`MalformedSignature`](VerifyError::MalformedSignature) if the header is repeated;
    /// 2. [`MissingTimestamp`](VerifyError::MissingTimestamp), then
    ///    [`MalformedTimestamp`](VerifyError::MalformedTimestamp) if the header is repeated;
    /// 3. [`MalformedSignature`](VerifyError::MalformedSignature), then
    ///    [`MalformedTimestamp`](VerifyError::MalformedTimestamp), by the values' forms;
    /// 4. [`Stale`](VerifyError::Stale) or [`Future`](VerifyError::Future) by more than the tolerance;
    /// 5. [`InvalidSignature`](VerifyError::InvalidSignature).
    ///
    /// Nothing is hashed before the fifth. Every secret is tried, whether or not an earlier one matched, and tags are
    /// compared in constant time.
    pub fn verify<'a>(
        &self,
        headers: &(impl Headers + ?Sized),
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<Verified<'a, D>, VerifyError> {
        let headers = headers.signature_headers()?;
        let Ok(digits) = headers.timestamp.try_into() else {
            return self.verify_unusual(headers, body, now);
        };
        // Cut before the checks, for `Message`'s sake: they are what the processor does while it stores the blocks.
        Message::cut(digits, body, |message| {
            let claim = Claim::check(headers, now, self.tolerance_seconds)?;
            let secret_index = match_tags(&claim.tag, self.keys.iter().map(|key| message.tag(key)))?;
            Ok(Verified::new(body, claim.signed_at, secret_index))
        })
    }

    /// Verifies a body that is to be handed on together with its proof.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify). The body is dropped then.
    pub fn verify_owned(
        &self,
        headers: &(impl Headers + ?Sized),
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<VerifiedBody<D>, VerifyError> {
        let verified = self.verify(headers, &body, now)?;
        let (signed_at, secret_index) = (verified.signed_at(), verified.secret_index());
        Ok(VerifiedBody::new(body, signed_at, secret_index))
    }

    /// The same for a timestamp that has not the usual ten digits.
    #[cold]
    fn verify_unusual<'a>(
        &self,
        headers: SignatureHeaders<'_>,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<Verified<'a, D>, VerifyError> {
        let claim = Claim::check(headers, now, self.tolerance_seconds)?;
        let tags = self.keys.iter().map(|key| key.tag_of_unusual(headers.timestamp, body));
        let secret_index = match_tags(&claim.tag, tags)?;
        Ok(Verified::new(body, claim.signed_at, secret_index))
    }

    /// Checks the headers and the window alone, for a receiver that would rather not read a body in vain. Proves nothing.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify) but the last.
    pub fn check_headers(
        &self,
        headers: &(impl Headers + ?Sized),
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        Claim::check(headers.signature_headers()?, now, self.tolerance_seconds).map(drop)
    }

    /// Begins to verify a body that arrives in chunks. The headers and the window are checked at once, before any of
    /// the body is read.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify) but the last.
    pub fn begin(
        &self,
        headers: &(impl Headers + ?Sized),
        now: Timestamp,
    ) -> Result<Streaming<'_, D>, VerifyError> {
        let headers = headers.signature_headers()?;
        let claim = Claim::check(headers, now, self.tolerance_seconds)?;
        Ok(Streaming::new(&self.keys, headers.timestamp, claim))
    }
}

impl<D> Clone for Verifier<D> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), tolerance_seconds: self.tolerance_seconds, direction: PhantomData }
    }
}

impl<D: Direction> fmt::Debug for Verifier<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("direction", &format_args!("{}", D::NAME))
            .field("secrets", &self.keys.len())
            .field("tolerance_seconds", &self.tolerance_seconds)
            .finish()
    }
}

/// What well-formed headers say, within the window: nothing of it is proven yet.
pub(crate) struct Claim {
    pub(crate) signed_at: Timestamp,
    pub(crate) tag: Tag,
}

impl Claim {
    #[inline(always)]
    fn check(
        headers: SignatureHeaders<'_>,
        now: Timestamp,
        tolerance_seconds: u32,
    ) -> Result<Self, VerifyError> {
        let digits = headers.signature.strip_prefix(SCHEME).and_then(|digits| digits.try_into().ok());
        let tag = digits.and_then(hex::decode).ok_or(VerifyError::MalformedSignature)?;
        let signed_at = Timestamp::parse(headers.timestamp)?;

        let (signed, now) = (signed_at.as_unix_seconds(), now.as_unix_seconds());
        if now.saturating_sub(signed) > u64::from(tolerance_seconds) {
            return Err(VerifyError::Stale { age_seconds: now - signed });
        }
        if signed.saturating_sub(now) > u64::from(tolerance_seconds) {
            return Err(VerifyError::Future { ahead_seconds: signed - now });
        }
        Ok(Self { signed_at, tag })
    }
}

/// Compares the claimed tag with every secret's own and says which was the first to match.
#[inline]
pub(crate) fn match_tags(
    claimed: &Tag,
    tags: impl DoubleEndedIterator<Item = Tag> + ExactSizeIterator,
) -> Result<usize, VerifyError> {
    const NONE: u64 = u64::MAX;
    let mut first_match = NONE;
    // From the last to the first, so that the first match is what stays.
    for (index, tag) in tags.enumerate().rev() {
        first_match.conditional_assign(&(index as u64), mac::equal(claimed, &tag));
    }
    if first_match == NONE { Err(VerifyError::InvalidSignature) } else { Ok(first_match as usize) }
}
