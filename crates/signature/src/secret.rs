//! Signing secrets: the string that the dashboard shows, kept so that it is hard to leak.

use alloc::string::String;
use core::fmt;
use core::marker::PhantomData;

use base64ct::{Base64, Encoding};
use zeroize::{Zeroize, Zeroizing};

use crate::{Direction, Inbound, Outbound};

/// What AgentFlow's own secrets begin with, followed by standard base64 of 32 random bytes.
pub(crate) const PREFIX: &str = "whsec_";

/// The signing secret of one direction, exactly as shown under Settings → Webhooks.
///
/// The text's bytes are the HMAC key: nothing is decoded, the `whsec_` prefix is part of it.
///
/// A secret has no `Display`, no comparison and no serialisation, its `Debug` shows the direction only, and its
/// memory is wiped when it is dropped. Copies that the caller made before (the environment, a config file's
/// buffer) are the caller's to wipe.
///
/// # Example: from configuration
///
/// ```
/// use agentflow_signature::{OutboundSecret, SecretError};
///
/// let secret = OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// assert_eq!(format!("{secret:?}"), "Secret<Outbound>(redacted)");
///
/// // The usual accident: a secret read from a file, with its line end.
/// assert_eq!(OutboundSecret::new("whsec_abc\n").unwrap_err(), SecretError::SurroundingWhitespace);
/// # Ok::<(), SecretError>(())
/// ```
pub struct Secret<D> {
    text: Zeroizing<String>,
    direction: PhantomData<fn() -> D>,
}

/// The secret that signs leads sent into AgentFlow.
pub type InboundSecret = Secret<Inbound>;

/// The secret that signs events sent by AgentFlow.
pub type OutboundSecret = Secret<Outbound>;

/// Why a text cannot be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The text has no characters: most likely an environment variable that is set but blank.
    #[error("the secret is empty: copy it from Settings → Webhooks → Signing Secret")]
    Empty,
    /// White space stands before or after the text: most likely a line end that was copied along.
    #[error("the secret begins or ends with white space: remove it, the secret has none")]
    SurroundingWhitespace,
}

impl<D> Secret<D> {
    /// Takes the secret as shown to the user.
    ///
    /// White space is refused rather than trimmed, because the sender would have to trim it too. The refused text
    /// is wiped.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] for an empty text, [`SecretError::SurroundingWhitespace`] if its first or last
    /// character is (Unicode) white space.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
            return Err(SecretError::SurroundingWhitespace);
        }
        Ok(Self { text, direction: PhantomData })
    }

    /// Makes a new secret of 32 bytes from a cryptographic random source: `whsec_` and their standard base64.
    ///
    /// The crate reads no randomness itself.
    #[must_use]
    pub fn from_random_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let mut encoded = Zeroizing::new([0; 44]);
        let digits = Base64::encode(&*bytes, &mut *encoded).expect("32 bytes are 44 digits of base64");
        // The whole capacity at once: growing would leave an unwiped copy behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + digits.len()));
        text.push_str(PREFIX);
        text.push_str(digits);
        Self { text, direction: PhantomData }
    }

    /// The secret in the clear, for storing it (encrypted) or showing it to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The key of the [Standard Webhooks] scheme: the decoded base64 after `whsec_`, or the whole text's bytes
    /// where it is not of that form.
    ///
    /// [Standard Webhooks]: https://www.standardwebhooks.com
    pub(crate) fn with_standard_key<T>(&self, use_key: impl FnOnce(&[u8]) -> T) -> T {
        let decoded = self.text.strip_prefix(PREFIX).and_then(|digits| Base64::decode_vec(digits).ok());
        match decoded {
            Some(mut key) if !key.is_empty() => {
                let result = use_key(&key);
                key.zeroize();
                result
            }
            _ => use_key(self.text.as_bytes()),
        }
    }
}

impl<D> Clone for Secret<D> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), direction: PhantomData }
    }
}

impl<D: Direction> fmt::Debug for Secret<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{}>(redacted)", D::NAME)
    }
}
