//! Why bytes are not an event.

/// Why [`Event::parse`](crate::Event::parse) refused.
///
/// Fields are named by their path (`data.qualification.score`). No personal data is in it: only the words of closed
/// sets are quoted, at most 64 characters of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Not JSON: invalid UTF-8, a byte order mark, a syntax error, or something after the end.
    #[error("not valid JSON (line {line}, column {column})")]
    MalformedJson {
        /// The line, from 1; 0 where the bytes are not UTF-8.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// A key is there twice, so that two readers might see two events.
    #[error("{field} is there twice")]
    DuplicateField {
        /// The field's path.
        field: String,
    },
    /// A field that every event has is absent.
    #[error("{field} is missing")]
    MissingField {
        /// The field's path.
        field: String,
    },
    /// A field holds another kind of JSON value.
    #[error("{field} is not {expected}")]
    WrongType {
        /// The field's path.
        field: String,
        /// What it should be, with its article.
        expected: &'static str,
    },
    /// A field has the right kind of value but not a valid one: an id, a time, a score, a text with a lone surrogate.
    #[error("{field} is not valid: {reason}")]
    InvalidValue {
        /// The field's path.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An event type that this version does not know. A receiver may answer that all is well and ignore it.
    #[error("unknown event type {event_type:?}")]
    UnknownType {
        /// The type that stood there.
        event_type: String,
    },
    /// A word that this version does not know where one of a closed set stands: an outcome, a confidence.
    #[error("{field}: {word:?} is not known to this version")]
    UnknownValue {
        /// The field's path.
        field: String,
        /// The word that stood there.
        word: String,
    },
    /// An `api_version` other than `1`: the rest may mean anything.
    #[error("API version {version:?}, not \"1\"")]
    UnsupportedVersion {
        /// The version that stood there.
        version: String,
    },
}

impl EventError {
    /// The stable code, for logs, metrics and replies. The text may change; this does not.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "malformed_json",
            Self::DuplicateField { .. } => "duplicate_field",
            Self::MissingField { .. } => "missing_field",
            Self::WrongType { .. } => "wrong_type",
            Self::InvalidValue { .. } => "invalid_value",
            Self::UnknownType { .. } => "unknown_event_type",
            Self::UnknownValue { .. } => "unknown_value",
            Self::UnsupportedVersion { .. } => "unsupported_api_version",
        }
    }
}
