//! Why a request was not taken for an event, and what to tell its sender.

use std::time::Duration;

use agentflow_events::EventError;
use agentflow_signature::VerifyError;
use bytes::Bytes;
use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::reply;

/// Why a request was refused before any of your code saw it.
///
/// As a response it is RFC 9457 `application/problem+json` with the [code](Self::code) as `reason`, and says no more
/// than a stranger may know. Another response for it is a `match` away: extractors give it to a handler that asks for
/// `Result<Received, Rejection>`, the tower layer (feature `tower`) to its `on_rejection`.
///
/// # Example: count by code
///
/// ```
/// use agentflow_receiver::Rejection;
/// use agentflow_signature::VerifyError;
///
/// let rejection = Rejection::from(VerifyError::Stale { age_seconds: 301 });
/// assert_eq!(rejection.code(), "stale_timestamp");
/// assert_eq!(rejection.status(), 401);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Events are posted. Only the whole service of the feature `tower` asks; a router has its own answer.
    #[error("events are sent by POST")]
    Method,
    /// The body is said to be compressed. AgentFlow signs and sends plain bytes.
    #[error("the body has a Content-Encoding: send the very bytes that were signed")]
    ContentEncoding,
    /// More bytes than [`body_bytes_max`](crate::Receiver::body_bytes_max).
    #[error("the body has more than {bytes_max} bytes")]
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body was not there in time.
    #[error("the body did not arrive within {} ms", after.as_millis())]
    BodyTimedOut {
        /// How long the receiver waited.
        after: Duration,
    },
    /// The connection failed in the middle of the body, or something outside this crate has taken it.
    #[error("the body could not be read: {reason}")]
    BodyBroken {
        /// What the transport said.
        reason: String,
    },
    /// The service has no [`Receiver`](crate::Receiver) where the extractor looks for it: a mistake of this side.
    #[error("the service has no receiver: put `web::Data::new(receiver)` into the app's data")]
    Unconfigured,
    /// The signature does not hold. The body has not been looked at.
    #[error(transparent)]
    Signature(#[from] VerifyError),
    /// Signed by AgentFlow, but not an event that this version can read.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl Rejection {
    /// The stable code: the signature's and the event's own, or `method_not_allowed`, `unsupported_media_type`,
    /// `body_too_large`, `body_timed_out`, `body_broken`, `unconfigured`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Method => "method_not_allowed",
            Self::ContentEncoding => "unsupported_media_type",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTimedOut { .. } => "body_timed_out",
            Self::BodyBroken { .. } => "body_broken",
            Self::Unconfigured => "unconfigured",
            Self::Signature(error) => error.code(),
            Self::Event(error) => error.code(),
        }
    }

    /// Whether the sender may be told that all is well: for an event type that was added after this version. Anything
    /// else would have it sent again for a day, in vain.
    pub const fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Event(EventError::UnknownType { .. }))
    }

    /// The status of the response: 400 for malformed headers, 401 for a signature that is missing or does not hold,
    /// 405, 408, 413, 415, 422 for a body that is no event, 500 where the service is at fault, 200 where it is [acknowledged](Self::is_acknowledged).
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimedOut { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Signature(VerifyError::MalformedSignature | VerifyError::MalformedTimestamp)
            | Self::BodyBroken { .. } => StatusCode::BAD_REQUEST,
            Self::Unconfigured => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Event(EventError::UnknownType { .. }) => StatusCode::OK,
            Self::Event(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The whole response, for any server.
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response = if self.is_acknowledged() {
            reply::success("ignored", self.code())
        } else {
            reply::problem(self.status(), self.code(), &self.to_string())
        };
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("AgentFlow"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        response
    }
}
