//! Why a webhook was refused.

/// Why a webhook was refused. The first check that fails decides, in the order that
/// [`Verifier::verify`](crate::Verifier::verify) documents.
///
/// [`code`](Self::code) is the stable contract; the text may change. No variant carries anything secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No timestamp header.
    #[error("no X-AgentFlow-Timestamp header: send the signing time in unix seconds")]
    MissingTimestamp,
    /// The timestamp header is there twice, or not in the form that [`Timestamp::parse`](crate::Timestamp::parse)
    /// reads.
    #[error("malformed X-AgentFlow-Timestamp header: send it once, as plain unix seconds like 1731573840")]
    MalformedTimestamp,
    /// Signed longer ago than the tolerance.
    #[error(
        "signed {age_seconds} seconds ago, which is too long: sign each attempt anew, and check the clocks"
    )]
    Stale {
        /// From the signing time to `now`, whole seconds.
        age_seconds: u64,
    },
    /// Signed further in the future than the tolerance.
    #[error("signed {ahead_seconds} seconds in the future: check the clocks of sender and receiver")]
    Future {
        /// From `now` to the signing time, whole seconds.
        ahead_seconds: u64,
    },
    /// No signature header.
    #[error("no X-AgentFlow-Signature header: send sha256= and the HMAC in lower-case hex")]
    MissingSignature,
    /// The signature header is there twice, or is not `sha256=` and 64 lower-case hex digits.
    #[error("malformed X-AgentFlow-Signature header: send it once, as sha256= and 64 lower-case hex digits")]
    MalformedSignature,
    /// The signature is well formed and was not made with any of the secrets over this timestamp and body.
    #[error(
        "the signature does not match: sign the timestamp header's value, a dot and the raw body bytes (never \
         re-serialised JSON) with this direction's secret"
    )]
    InvalidSignature,
}

impl VerifyError {
    /// The reason code: the same in every log, reply, metric and implementation, for ever.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingTimestamp => "missing_timestamp",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::Stale { .. } => "stale_timestamp",
            Self::Future { .. } => "future_timestamp",
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::InvalidSignature => "invalid_signature",
        }
    }
}
