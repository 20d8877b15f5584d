//! Read a body as it came over the wire, and answer with a stable code.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

/// A status, and the code that says why.
pub(crate) type Refusal = (StatusCode, &'static str);

/// Generous: a lead has at most 256 KiB, and an event carries one lead.
const BODY_BYTES_MAX: usize = 1024 * 1024;

const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Reads the whole body: these bytes are what was signed. JSON that was parsed and written again is not.
///
/// Nobody is verified yet, so there is a bound to both what they may send and how long they may take.
pub(crate) async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match timeout(BODY_DEADLINE, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "bad_request")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "bad_request")),
    }
}

/// A response with the code as its text.
pub(crate) fn reply(status: StatusCode, code: &str) -> Response<String> {
    let mut response = Response::new(format!("{code}\n"));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    match status {
        StatusCode::UNAUTHORIZED => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("AgentFlow")),
        StatusCode::METHOD_NOT_ALLOWED => headers.insert(ALLOW, HeaderValue::from_static("POST")),
        _ => None,
    };
    response
}
