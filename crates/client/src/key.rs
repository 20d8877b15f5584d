//! What tells one lead's attempts from another lead.

use std::fmt;
use std::fmt::Write;

use crate::random;

/// Longest key in bytes.
const KEY_BYTES_MAX: usize = 255;

/// The value of the `Idempotency-Key` header: 1 to 255 visible ASCII characters, kept by AgentFlow for a day.
///
/// One key names one body: the same key with the same bytes is the same lead again, with other bytes it is refused
/// (`idempotency_key_reused`). `Debug` hides it, for callers make keys of what they have, an email address for instance.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Why a text is no key. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Nothing there, or more than 255 bytes.
    #[error("an idempotency key has 1 to {KEY_BYTES_MAX} characters, this one {found}")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// A space, a control character or one that is not ASCII.
    #[error("an idempotency key has visible ASCII characters only")]
    NotVisibleAscii,
}

impl KeyError {
    /// The stable code: `invalid_idempotency_key`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_idempotency_key"
    }
}

impl IdempotencyKey {
    /// Takes a key of the caller's: something that is the same whenever this lead is sent, such as the id of its row.
    ///
    /// # Errors
    ///
    /// [`KeyError`]: empty, longer than 255 bytes, or with other than visible ASCII characters.
    pub fn new(key: impl Into<String>) -> Result<Self, KeyError> {
        let key = key.into();
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(KeyError::Length { found: key.len() });
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::NotVisibleAscii);
        }
        Ok(Self(key))
    }

    /// A key of 128 random bits, in 32 hex digits; `None` where the system has no randomness to give.
    pub(crate) fn random() -> Option<Self> {
        let mut key = String::with_capacity(32);
        for byte in random::bytes()? {
            write!(key, "{byte:02x}").expect("a string takes whatever is written");
        }
        Some(Self(key))
    }

    /// The key, to keep it for a later attempt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{IdempotencyKey, KeyError};

    #[track_caller]
    fn check(key: &str, expected: Result<(), KeyError>) {
        assert_eq!(IdempotencyKey::new(key).map(|_| ()), expected, "{key:?}");
    }

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        check("form-7/2024!~", Ok(()));
        check(&"k".repeat(255), Ok(()));
        check("", Err(KeyError::Length { found: 0 }));
        check(&"k".repeat(256), Err(KeyError::Length { found: 256 }));
        for hidden in ["a b", "a\tb", "a\r\nX: y", "schlüssel", "\u{7f}"] {
            check(hidden, Err(KeyError::NotVisibleAscii));
        }
    }

    #[test]
    fn random_keys_are_32_hex_digits_and_differ() {
        let (one, other) = (IdempotencyKey::random().unwrap(), IdempotencyKey::random().unwrap());
        assert_eq!(one.as_str().len(), 32);
        assert!(one.as_str().bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(one, other);
    }
}
