//! Everything that a client refuses or fails at.

use std::io;

use agentflow_lead::ParseError;
use agentflow_signature::SecretError;

use crate::{EndpointError, Failure, FieldError, KeyError, Problem};

/// Why a client was not made, a lead not prepared, or not accepted. [`code`](Self::code) is stable; the text is free to
/// change and shows neither the lead nor a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint's URL cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The secret cannot be one.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The certificate authorities that were given cannot be used.
    #[error("the certificate authorities cannot be used: {0}")]
    Authority(String),
    /// A setting of the [`ClientBuilder`](crate::ClientBuilder) is out of its range.
    #[error("the client's {setting} must be {rule}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// A field cannot be added to a lead.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A text is no idempotency key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The lead breaks the contract, in these places. It was not sent.
    #[error("the lead was not sent: {0}")]
    Lead(#[from] ParseError),
    /// The system has no randomness for an idempotency key. The lead was not sent.
    #[error("the system gives no random bytes for an idempotency key")]
    Randomness,
    /// The lead was sent, or was to be, and was not accepted.
    #[error("{failure} (attempt {attempts})")]
    NotAccepted {
        /// Attempts made, from 1.
        attempts: u32,
        /// What became of the last.
        failure: Failure,
    },
    /// The blocking client's own runtime, or its thread inside another runtime, cannot be started.
    #[error("the blocking client cannot start: {0}")]
    Runtime(io::ErrorKind),
}

impl Error {
    /// The stable code: AgentFlow's [reason](crate::Reason::code) or the [failure's](Failure::code); before anything is
    /// sent `body_too_large`, `malformed_json`, `validation_failed` (with no [`attempts`](Self::attempts)),
    /// `invalid_endpoint`, `invalid_secret`, `invalid_authority`, `invalid_setting`, `invalid_field`,
    /// `invalid_idempotency_key`, `no_randomness`, `no_runtime`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Endpoint(error) => error.code(),
            Self::Secret(_) => "invalid_secret",
            Self::Authority(_) => "invalid_authority",
            Self::Setting { .. } => "invalid_setting",
            Self::Field(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Lead(error) => error.code(),
            Self::Randomness => "no_randomness",
            Self::NotAccepted { failure, .. } => failure.code(),
            Self::Runtime(_) => "no_runtime",
        }
    }

    /// Attempts made; 0 where nothing was sent.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        match self {
            Self::NotAccepted { attempts, .. } => *attempts,
            _ => 0,
        }
    }

    /// Whether the same lead, prepared as it is, may be accepted later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.failure().is_some_and(Failure::is_retryable)
    }

    /// What became of the last attempt.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotAccepted { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// What AgentFlow said, if it was AgentFlow that refused.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self.failure()? {
            Failure::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}
