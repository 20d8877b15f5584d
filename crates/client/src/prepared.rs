//! A lead that is fit to be sent: its bytes, and the key that names them.

use std::fmt;

use agentflow_lead::Submission;
use bytes::Bytes;

use crate::{Error, IdempotencyKey, Lead};

/// A body that has passed AgentFlow's own parser, and its [`IdempotencyKey`]. Whatever is sent was prepared; however often
/// it is sent, it is the same bytes under the same key.
///
/// `Debug` shows the body's length alone.
#[derive(Clone)]
#[must_use = "a prepared lead goes nowhere until it is sent"]
pub struct Prepared {
    body: Bytes,
    key: IdempotencyKey,
}

impl Prepared {
    /// Writes the lead as JSON, validates it, and gives it a random key.
    ///
    /// # Errors
    ///
    /// [`Error::Lead`] with all violations at once; [`Error::Randomness`].
    pub fn new(lead: &Lead) -> Result<Self, Error> {
        Self::from_json(lead.to_json())
    }

    /// Takes a body that is JSON already, to be sent byte for byte, and gives it a random key.
    ///
    /// # Errors
    ///
    /// [`Error::Lead`]: too large, no JSON that AgentFlow reads, or fields that break rules, all of them named;
    /// [`Error::Randomness`].
    pub fn from_json(body: impl Into<Bytes>) -> Result<Self, Error> {
        let body = body.into();
        Submission::parse(&body)?;
        Ok(Self { body, key: IdempotencyKey::random().ok_or(Error::Randomness)? })
    }

    /// Sends it under this key instead.
    pub fn with_key(mut self, key: IdempotencyKey) -> Self {
        self.key = key;
        self
    }

    /// The bytes that are signed and sent.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The key that every attempt carries.
    #[must_use]
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// The same bytes, shared.
    pub(crate) fn bytes(&self) -> Bytes {
        self.body.clone()
    }

    /// What no caller can make: a body that AgentFlow will refuse.
    #[cfg(test)]
    pub(crate) fn unchecked(body: &'static [u8]) -> Self {
        Self { body: Bytes::from_static(body), key: IdempotencyKey::random().unwrap() }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}
