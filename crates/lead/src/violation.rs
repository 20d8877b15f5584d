//! One field that breaks a rule.

use std::fmt;

use serde::{Serialize, Serializer};

/// A field that breaks a rule. [`field`](Self::field) and [`code`](Self::code) are stable; the text is free to change and
/// never quotes what was sent.
///
/// Serialises to `{"field":"email","code":"invalid_format","message":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Name of the field as it stands in the payload.
    pub field: &'static str,
    /// Which rule.
    pub code: FieldCode,
    /// For people: what the field must be, such as `must be a string`.
    pub message: String,
}

impl Violation {
    pub(crate) fn new(field: &'static str, code: FieldCode, message: impl Into<String>) -> Self {
        Self { field, code, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.message)
    }
}

/// The rule that a field breaks, in the order in which rules are tried: a field is named for the first only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldCode {
    /// Not a string.
    InvalidType,
    /// A required field is absent, null or blank.
    Required,
    /// Longer than its limit.
    TooLong,
    /// Not what the field holds: no email address, no time.
    InvalidFormat,
}

impl FieldCode {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidType => "invalid_type",
            Self::Required => "required",
            Self::TooLong => "too_long",
            Self::InvalidFormat => "invalid_format",
        }
    }
}

impl fmt::Display for FieldCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for FieldCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
