//! Verifying a body while it arrives.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crate::mac::{Key, Running};
use crate::verifier::{self, Claim};
use crate::{Direction, VerifiedStream, VerifyError};

/// The verification of a body that arrives in chunks, from [`Verifier::begin`](crate::Verifier::begin).
///
/// Keep the chunks, and act on none of them before [`finish`](Self::finish) has returned its proof: until then they
/// may be anybody's. Bound how many you keep, too; the type counts them and knows no limit.
///
/// # Example: verify while reading
///
/// ```
/// use agentflow_signature::{OutboundSecret, Signer, Timestamp, Verifier};
///
/// let secret = OutboundSecret::new("whsec_test")?;
/// let now = Timestamp::from_unix_seconds(1_731_573_840);
/// let signed = Signer::new(&secret).sign(br#"{"type":"lead.rejected"}"#, now);
/// let verifier = Verifier::new(secret);
///
/// let mut body = Vec::new();
/// let mut streaming = verifier.begin(&signed, now)?;
/// for chunk in [&br#"{"type":"#[..], br#""lead.rejected"}"#] {
///     streaming.update(chunk);
///     body.extend_from_slice(chunk);
/// }
/// let verified = streaming.finish()?;
/// assert_eq!(verified.body_bytes(), body.len() as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is verified before `finish`"]
pub struct Streaming<'v, D> {
    messages: Vec<Keyed<'v>>,
    claim: Claim,
    body_bytes: u64,
    direction: PhantomData<fn() -> D>,
}

/// One secret's hash of the message so far.
struct Keyed<'v> {
    key: &'v Key,
    message: Running,
}

impl<'v, D> Streaming<'v, D> {
    pub(crate) fn new(keys: &'v [Key], timestamp: &[u8], claim: Claim) -> Self {
        let begun = |key| Keyed { key, message: Running::after_timestamp(key, timestamp) };
        Self { messages: keys.iter().map(begun).collect(), claim, body_bytes: 0, direction: PhantomData }
    }

    /// Takes the next bytes of the body: any number, none included.
    pub fn update(&mut self, chunk: &[u8]) {
        for keyed in &mut self.messages {
            keyed.message.update(chunk);
        }
        self.body_bytes += chunk.len() as u64;
    }

    /// Ends the body and proves it, or not.
    ///
    /// # Errors
    ///
    /// [`VerifyError::InvalidSignature`] if the chunks, in this order, are not what was signed.
    pub fn finish(self) -> Result<VerifiedStream<D>, VerifyError> {
        let tags = self.messages.into_iter().map(|keyed| keyed.message.finish(keyed.key));
        let secret_index = verifier::match_tags(&self.claim.tag, tags)?;
        Ok(VerifiedStream::new(self.body_bytes, self.claim.signed_at, secret_index))
    }
}

impl<D: Direction> fmt::Debug for Streaming<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("direction", &format_args!("{}", D::NAME))
            .field("body_bytes", &self.body_bytes)
            .finish_non_exhaustive()
    }
}
