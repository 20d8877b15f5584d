//! Why a body is no submission.

use crate::{MalformedJson, Violation};

/// Why [`Submission::parse`](crate::Submission::parse) refuses a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The body is longer than [`BODY_BYTES_MAX`](crate::limits::BODY_BYTES_MAX); it was not looked at.
    #[error("the body has {body_bytes} bytes, more than {}", crate::limits::BODY_BYTES_MAX)]
    TooLarge {
        /// Its length.
        body_bytes: usize,
    },
    /// Not a JSON object, or one that is deeper, wider or stranger than we accept.
    #[error(transparent)]
    Malformed(#[from] MalformedJson),
    /// JSON, but fields break rules: all of them, in the order of [`Submission`](crate::Submission)'s fields, each
    /// field at most once. Never empty.
    #[error("{}", sentence(.0))]
    Invalid(Vec<Violation>),
}

impl ParseError {
    /// The stable reason code: `body_too_large`, `malformed_json` or `validation_failed`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "body_too_large",
            Self::Malformed(_) => "malformed_json",
            Self::Invalid(_) => "validation_failed",
        }
    }

    /// The fields that break rules; empty if the fault lies elsewhere.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Invalid(violations) => violations,
            Self::TooLarge { .. } | Self::Malformed(_) => &[],
        }
    }
}

fn sentence(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
