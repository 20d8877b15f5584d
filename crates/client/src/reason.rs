//! The reason codes of AgentFlow's refusals, and what a sender does about each.

use std::fmt;

/// Longest code that is taken for one.
const CODE_BYTES_MAX: usize = 64;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $advice:literal;)*) => {
        /// Why AgentFlow refused a lead.
        ///
        /// [`code`](Self::code) is the stable contract, [`advice`](Self::advice) is text for people.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
            /// A code that this version does not know: lower-case letters, digits and underscores, at most 64.
            Unknown(String),
        }

        impl Reason {
            /// Every reason that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code, such as `stale_timestamp`.
            #[must_use]
            pub fn code(&self) -> &str {
                match self { $(Self::$variant => $code,)* Self::Unknown(code) => code }
            }

            /// The reason with this code; `None` for a text that is no code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => is_code(code).then(|| Self::Unknown(code.into())),
                }
            }

            /// What to do about it, in one sentence. Free to change.
            #[must_use]
            pub fn advice(&self) -> &'static str {
                match self {
                    $(Self::$variant => $advice,)*
                    Self::Unknown(_) => "this version of the client does not know the reason; see the problem's detail",
                }
            }
        }
    };
}

reasons! {
    /// No `X-AgentFlow-Timestamp` header arrived.
    MissingTimestamp = "missing_timestamp",
        "something between here and AgentFlow removes the timestamp header";
    /// The timestamp header arrived in another form.
    MalformedTimestamp = "malformed_timestamp",
        "something between here and AgentFlow changes or repeats the timestamp header";
    /// Signed too long ago, by AgentFlow's clock.
    StaleTimestamp = "stale_timestamp",
        "the clock of this machine is wrong: it is more than five minutes behind AgentFlow's; set it";
    /// Signed too far in the future, by AgentFlow's clock.
    FutureTimestamp = "future_timestamp",
        "the clock of this machine is wrong: it is more than five minutes ahead of AgentFlow's; set it";
    /// No `X-AgentFlow-Signature` header arrived.
    MissingSignature = "missing_signature",
        "something between here and AgentFlow removes the signature header";
    /// The signature header arrived in another form.
    MalformedSignature = "malformed_signature",
        "something between here and AgentFlow changes or repeats the signature header";
    /// The signature does not match body, timestamp and secret.
    InvalidSignature = "invalid_signature",
        "the secret is not this endpoint's inbound secret, or something on the way changes the body";
    /// No endpoint has this token.
    UnknownEndpoint = "unknown_endpoint",
        "the URL is not, or no longer, that of an endpoint: copy it from AgentFlow again";
    /// Not `application/json`, or encoded.
    UnsupportedMediaType = "unsupported_media_type",
        "something between here and AgentFlow changes the content type or compresses the body";
    /// The body is over AgentFlow's limit.
    BodyTooLarge = "body_too_large",
        "this AgentFlow takes smaller bodies than the contract allows: send less";
    /// The body is not JSON that AgentFlow reads.
    MalformedJson = "malformed_json",
        "the JSON is not what AgentFlow reads; see the problem's detail";
    /// Fields are missing or wrong: see the problem's `errors`.
    ValidationFailed = "validation_failed",
        "fields are missing or wrong: see the problem's errors";
    /// Too many requests; the problem's `retry_after` says how long to wait.
    RateLimited = "rate_limited",
        "more leads are sent than the workspace may: send fewer at a time, this one later";
    /// AgentFlow cannot store anything now.
    StoreUnavailable = "store_unavailable",
        "AgentFlow cannot store leads now: send this one later";
    /// Not sent with POST, after all.
    MethodNotAllowed = "method_not_allowed",
        "something between here and AgentFlow changes the method";
    /// The idempotency key was used for another body.
    IdempotencyKeyReused = "idempotency_key_reused",
        "the idempotency key was used for another body: one key names one body, take a new one for this";
    /// The request's framing or headers cannot be used.
    BadRequest = "bad_request",
        "AgentFlow cannot read the request; see the problem's detail";
    /// Nothing is at this path.
    NotFound = "not_found",
        "the URL's path is not that of an endpoint: copy it from AgentFlow again";
    /// AgentFlow has failed.
    InternalError = "internal_error",
        "AgentFlow has failed: send this lead later";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Whether a text has the form of a code. What has it can be shown; anything else might repeat what was sent.
pub(crate) fn is_code(text: &str) -> bool {
    let is_of_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=CODE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of_code)
}

#[cfg(test)]
mod tests {
    use agentflow_server::reason::Reason as ServerReason;

    use super::Reason;

    #[test]
    fn every_code_leads_back_to_its_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()).as_ref(), Some(reason));
            assert!(!reason.advice().is_empty());
        }
    }

    #[test]
    fn a_new_code_is_kept_and_what_is_no_code_is_none() {
        assert_eq!(Reason::from_code("lead_embargoed").unwrap().code(), "lead_embargoed");
        for text in ["", "jordan@stacklane.co", "Not A Code", "naïve", &"x".repeat(65)] {
            assert_eq!(Reason::from_code(text), None, "{text}");
        }
    }

    #[test]
    fn the_server_s_inbound_reasons_are_known() {
        // Those of the management API alone are none of a sender's business.
        let of_the_api = ["unauthorized", "forbidden", "lead_closed", "lead_changed"];
        for reason in ServerReason::ALL {
            let is_known = !matches!(Reason::from_code(reason.code()), Some(Reason::Unknown(_)) | None);
            assert_eq!(is_known, !of_the_api.contains(&reason.code()), "{}", reason.code());
        }
    }
}
