//! The stable reason codes: the same in replies, the inbound log, metrics and the API.

use agentflow_signature::VerifyError;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason, in the order of the contract.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The stable code, for instance `stale_timestamp`.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code,)* }
            }

            /// The reason with this code.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Reason::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    /// No `X-AgentFlow-Timestamp` header.
    MissingTimestamp = "missing_timestamp",
    /// A timestamp header that is repeated or not plain unix seconds.
    MalformedTimestamp = "malformed_timestamp",
    /// Signed too long ago.
    StaleTimestamp = "stale_timestamp",
    /// Signed too far in the future.
    FutureTimestamp = "future_timestamp",
    /// No `X-AgentFlow-Signature` header.
    MissingSignature = "missing_signature",
    /// A signature header that is repeated or not `sha256=` and 64 lower-case hex digits.
    MalformedSignature = "malformed_signature",
    /// The signature does not match body, timestamp and secret.
    InvalidSignature = "invalid_signature",
    /// No endpoint has this token.
    UnknownEndpoint = "unknown_endpoint",
    /// Not `application/json`, or a `Content-Encoding`.
    UnsupportedMediaType = "unsupported_media_type",
    /// The body is over the limit.
    BodyTooLarge = "body_too_large",
    /// The body is not JSON that the contract accepts.
    MalformedJson = "malformed_json",
    /// Fields are missing or wrong.
    ValidationFailed = "validation_failed",
    /// The workspace's or the sender's rate is used up.
    RateLimited = "rate_limited",
    /// The store cannot accept anything now.
    StoreUnavailable = "store_unavailable",
    /// Not a method of this resource.
    MethodNotAllowed = "method_not_allowed",
    /// An `Idempotency-Key` seen before with another body.
    IdempotencyKeyReused = "idempotency_key_reused",
    /// No or an unknown bearer token.
    Unauthorized = "unauthorized",
    /// The token's role does not allow this.
    Forbidden = "forbidden",
    /// No such object or route.
    NotFound = "not_found",
    /// The request's framing, query, headers or body cannot be used.
    BadRequest = "bad_request",
    /// The lead is qualified or rejected already.
    LeadClosed = "lead_closed",
    /// The lead has changed since the given version.
    LeadChanged = "lead_changed",
}

impl Reason {
    /// Whether the request was refused for its signature or timestamp.
    pub fn is_of_signature(self) -> bool {
        matches!(
            self,
            Reason::MissingTimestamp
                | Reason::MalformedTimestamp
                | Reason::StaleTimestamp
                | Reason::FutureTimestamp
                | Reason::MissingSignature
                | Reason::MalformedSignature
                | Reason::InvalidSignature
        )
    }
}

impl From<&VerifyError> for Reason {
    fn from(error: &VerifyError) -> Self {
        // One source for the codes: the signature crate's.
        Reason::from_code(error.code()).unwrap_or(Reason::InvalidSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_code_leads_back_to_its_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(Reason::from_code("no_such_code"), None);
    }
}
