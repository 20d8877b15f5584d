//! The sending side.

use core::fmt;
use core::marker::PhantomData;

use crate::hex;
use crate::mac::{Key, Message};
use crate::timestamp::TimestampText;
use crate::{Direction, Headers, Secret, SignatureHeaders, Timestamp, VerifyError};

/// What stands before the hex digits in the signature header.
pub(crate) const SCHEME: &[u8; 7] = b"sha256=";

/// Length of the signature header's value.
const SIGNATURE_BYTES: usize = SCHEME.len() + 64;

/// Signs webhook bodies with one secret.
///
/// The key is prepared once, so keep the signer: it can be cloned, sent and shared. Its `Debug` reveals nothing
/// and its memory is wiped on drop.
///
/// Sign each attempt anew: a receiver refuses a signature that is older than its tolerance, so a retry with the
/// first attempt's headers fails.
///
/// # Example: sign a lead
///
/// ```
/// use agentflow_signature::{InboundSecret, Signer, Timestamp};
///
/// let signer = Signer::new(&InboundSecret::new("whsec_test")?);
/// let signed = signer.sign(br#"{"name":"Jordan Ellis"}"#, Timestamp::from_unix_seconds(1_731_573_840));
/// assert_eq!(signed.timestamp(), "1731573840");
/// assert!(signed.signature().starts_with("sha256="));
/// # Ok::<(), agentflow_signature::SecretError>(())
/// ```
pub struct Signer<D> {
    key: Key,
    pub(crate) standard_key: Key,
    direction: PhantomData<fn() -> D>,
}

impl<D> Signer<D> {
    /// Prepares the secret's keys.
    #[must_use]
    pub fn new(secret: &Secret<D>) -> Self {
        Self {
            key: Key::new(secret.expose().as_bytes()),
            standard_key: secret.with_standard_key(Key::new),
            direction: PhantomData,
        }
    }

    /// Signs the body's bytes as they will be sent, `now`. Cannot fail and does not allocate.
    pub fn sign(&self, body: &[u8], now: Timestamp) -> SignedHeaders {
        let timestamp = now.text();
        let tag = match timestamp.as_bytes().try_into() {
            Ok(digits) => Message::cut(digits, body, |message| message.tag(&self.key)),
            Err(_) => self.key.tag_of_unusual(timestamp.as_bytes(), body),
        };
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..SCHEME.len()].copy_from_slice(SCHEME);
        signature[SCHEME.len()..].copy_from_slice(&hex::encode(&tag));
        SignedHeaders { timestamp, signature }
    }
}

impl<D> Clone for Signer<D> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), standard_key: self.standard_key.clone(), direction: PhantomData }
    }
}

impl<D: Direction> fmt::Debug for Signer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer<{}>(redacted)", D::NAME)
    }
}

/// The two headers of one signed attempt, and a source of headers for a verifier.
///
/// With the feature `http` they can be had as `HeaderValue`s and put into a `HeaderMap`.
#[derive(Clone)]
pub struct SignedHeaders {
    timestamp: TimestampText,
    signature: [u8; SIGNATURE_BYTES],
}

impl SignedHeaders {
    /// The value of [`TIMESTAMP_HEADER`](crate::TIMESTAMP_HEADER).
    #[must_use]
    pub fn timestamp(&self) -> &str {
        self.timestamp.as_str()
    }

    /// The value of [`SIGNATURE_HEADER`](crate::SIGNATURE_HEADER).
    #[must_use]
    pub fn signature(&self) -> &str {
        core::str::from_utf8(&self.signature).expect("only ASCII was written")
    }
}

impl Headers for SignedHeaders {
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError> {
        Ok(SignatureHeaders::new(self.timestamp.as_bytes(), &self.signature))
    }
}

/// Shows both values: they cross the wire and are no secret.
impl fmt::Debug for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedHeaders")
            .field("timestamp", &self.timestamp())
            .field("signature", &self.signature())
            .finish()
    }
}
