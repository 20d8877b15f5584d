//! Replies: success as JSON, refusals as RFC 9457 problems. The one place where a [`Reason`] becomes a status code.
//!
//! A problem's members: `type` (`urn:agentflow:problem:` and the code, an identifier, not an address), `title`, `status`,
//! `detail`, `reason` (the code), and `errors` (the fields at fault) for `validation_failed`.

use std::time::Duration;

use agentflow_lead::Violation;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::intake::Refusal;
use crate::reason::Reason;

/// A refusal on its way out.
///
/// # Example: a limit
///
/// ```
/// use std::time::Duration;
/// use agentflow_server::reason::Reason;
/// use agentflow_server::reply::Problem;
///
/// let problem = Problem::new(Reason::RateLimited, "Too many requests.").retry_after(Duration::from_millis(1_200));
/// # let _ = problem;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Problem {
    /// Absent: an error of the server's own, which tells nothing of itself.
    reason: Option<Reason>,
    detail: String,
    errors: Vec<Violation>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    closes: bool,
}

/// In a response's extensions: the connection ends with this response, where it carries one request at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseConnection;

impl Problem {
    /// A problem; `detail` is one or two sentences for whoever runs the sender, without anything secret.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self::from_parts(Some(reason), detail.into())
    }

    /// Something failed that the sender can do nothing about. Says no more than that; the log has the rest.
    pub fn internal() -> Self {
        Self::from_parts(None, "The server failed to answer this request; its log says why.".into())
    }

    fn from_parts(reason: Option<Reason>, detail: String) -> Self {
        Self { reason, detail, errors: Vec::new(), retry_after: None, allow: None, closes: false }
    }

    /// Names the fields at fault.
    pub fn errors(mut self, errors: Vec<Violation>) -> Self {
        self.errors = errors;
        self
    }

    /// Says when to try again: whole seconds, rounded up, at least 1. What is limited or unavailable always says so.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Names the methods that the resource has, for `Allow`.
    pub fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Ends the connection with this reply, for requests whose body cannot be read to its end.
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    fn headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(methods) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        let status = status(self.reason);
        if status == StatusCode::UNAUTHORIZED {
            let scheme = if self.reason == Some(Reason::Unauthorized) { "Bearer" } else { "AgentFlow" };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        if let Some(seconds) = retry_after(self.retry_after, status) {
            headers.insert(RETRY_AFTER, seconds);
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = Problem::new(refusal.reason, refusal.detail).errors(refusal.violations);
        match refusal.retry_after {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}

/// The problem as it stands on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [Violation]>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(self.reason);
        let code = self.reason.map_or("internal_error", Reason::code);
        let wire = Wire {
            r#type: format!("urn:agentflow:problem:{code}"),
            title: title(self.reason),
            status: status.as_u16(),
            detail: &self.detail,
            reason: code,
            errors: (self.reason == Some(Reason::ValidationFailed)).then_some(&self.errors),
        };
        let body = serde_json::to_vec(&wire).expect("strings and numbers always serialise");
        let mut response = (status, body).into_response();
        self.headers(response.headers_mut());
        if self.closes {
            response.extensions_mut().insert(CloseConnection);
        }
        response
    }
}

/// The status of a reply with this reason; without one, of an error of the server's own.
fn status(reason: Option<Reason>) -> StatusCode {
    let Some(reason) = reason else { return StatusCode::INTERNAL_SERVER_ERROR };
    match reason {
        Reason::MalformedTimestamp
        | Reason::MalformedSignature
        | Reason::MalformedJson
        | Reason::BadRequest => StatusCode::BAD_REQUEST,
        Reason::MissingTimestamp
        | Reason::MissingSignature
        | Reason::StaleTimestamp
        | Reason::FutureTimestamp
        | Reason::InvalidSignature
        | Reason::Unauthorized => StatusCode::UNAUTHORIZED,
        Reason::Forbidden => StatusCode::FORBIDDEN,
        Reason::UnknownEndpoint | Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::IdempotencyKeyReused | Reason::LeadClosed | Reason::LeadChanged => StatusCode::CONFLICT,
        Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::ValidationFailed => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Reason::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn title(reason: Option<Reason>) -> &'static str {
    let Some(reason) = reason else { return "Internal error" };
    match reason {
        Reason::MissingTimestamp => "The timestamp header is missing",
        Reason::MalformedTimestamp => "The timestamp header is malformed",
        Reason::StaleTimestamp => "The timestamp is too old",
        Reason::FutureTimestamp => "The timestamp is in the future",
        Reason::MissingSignature => "The signature header is missing",
        Reason::MalformedSignature => "The signature header is malformed",
        Reason::InvalidSignature => "The signature does not match",
        Reason::UnknownEndpoint => "Unknown endpoint",
        Reason::UnsupportedMediaType => "Unsupported media type",
        Reason::BodyTooLarge => "The body is too large",
        Reason::MalformedJson => "The body is malformed",
        Reason::ValidationFailed => "Fields are missing or wrong",
        Reason::RateLimited => "Too many requests",
        Reason::StoreUnavailable => "The store is unavailable",
        Reason::MethodNotAllowed => "Method not allowed",
        Reason::IdempotencyKeyReused => "The idempotency key was used for another body",
        Reason::Unauthorized => "Not authorised",
        Reason::Forbidden => "Not allowed",
        Reason::NotFound => "Not found",
        Reason::BadRequest => "Bad request",
        Reason::LeadClosed => "The lead is closed",
        Reason::LeadChanged => "The lead has changed",
    }
}

/// 200 with JSON.
pub fn ok(reply: impl Serialize) -> Response {
    json(StatusCode::OK, reply)
}

/// 201 with JSON.
pub fn created(reply: impl Serialize) -> Response {
    json(StatusCode::CREATED, reply)
}

/// 202 with JSON.
pub fn accepted(reply: impl Serialize) -> Response {
    json(StatusCode::ACCEPTED, reply)
}

/// 204.
pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// 200 with a body that is made already.
pub fn text(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], body.into()).into_response()
}

/// 200 with a page.
pub(crate) fn html(page: String) -> Response {
    text(HTML, page)
}

/// A page that tells of a problem, under the status of its reason; without one, of an error of the server's own.
pub(crate) fn html_problem(reason: Option<Reason>, page: String) -> Response {
    html_problem_until(reason, None, page)
}

/// The same, with how long to wait before the next try.
pub(crate) fn html_problem_until(reason: Option<Reason>, wait: Option<Duration>, page: String) -> Response {
    let mut response = (status(reason), html(page)).into_response();
    if let Some(seconds) = retry_after(wait, status(reason)) {
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// A page under the status of a refusal.
pub(crate) fn refused(reason: Reason, mut page: Response) -> Response {
    *page.status_mut() = status(Some(reason));
    page
}

/// What is limited or unavailable always says when to try again.
fn retry_after(wait: Option<Duration>, status: StatusCode) -> Option<HeaderValue> {
    let wait = match (wait, status) {
        (None, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => Duration::ZERO,
        (wait, _) => wait?,
    };
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Some(HeaderValue::from(seconds.max(1)))
}

/// 303: what was posted is done, and its outcome is at `location`, a path of this server.
pub(crate) fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}

const HTML: &str = "text/html; charset=utf-8";

fn json(status: StatusCode, reply: impl Serialize) -> Response {
    match serde_json::to_vec(&reply) {
        Ok(body) => {
            (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a reply does not serialise");
            Problem::internal().into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse;
    use http_body_util::BodyExt;

    use super::{Problem, status, title};
    use crate::reason::Reason;

    #[test]
    fn every_reason_has_its_status() {
        let table = [
            ("missing_timestamp", 401),
            ("malformed_timestamp", 400),
            ("stale_timestamp", 401),
            ("future_timestamp", 401),
            ("missing_signature", 401),
            ("malformed_signature", 400),
            ("invalid_signature", 401),
            ("unknown_endpoint", 404),
            ("unsupported_media_type", 415),
            ("body_too_large", 413),
            ("malformed_json", 400),
            ("validation_failed", 422),
            ("rate_limited", 429),
            ("store_unavailable", 503),
            ("method_not_allowed", 405),
            ("idempotency_key_reused", 409),
            ("unauthorized", 401),
            ("forbidden", 403),
            ("not_found", 404),
            ("bad_request", 400),
            ("lead_closed", 409),
            ("lead_changed", 409),
        ];
        let codes: Vec<_> =
            Reason::ALL.iter().map(|reason| (reason.code(), status(Some(*reason)).as_u16())).collect();
        assert_eq!(codes, table);
        assert!(Reason::ALL.iter().all(|reason| !title(Some(*reason)).is_empty()));
        assert_eq!(status(None).as_u16(), 500);
    }

    #[track_caller]
    fn check_header(problem: Problem, header: &str, expected: Option<&str>) {
        let response = problem.into_response();
        assert_eq!(response.headers().get(header).map(|value| value.to_str().unwrap()), expected);
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        let limited =
            |millis| Problem::new(Reason::RateLimited, "").retry_after(Duration::from_millis(millis));
        check_header(limited(0), "retry-after", Some("1"));
        check_header(limited(1_000), "retry-after", Some("1"));
        check_header(limited(1_001), "retry-after", Some("2"));
        check_header(Problem::new(Reason::StoreUnavailable, ""), "retry-after", Some("1"));
        check_header(Problem::new(Reason::NotFound, ""), "retry-after", None);
    }

    #[test]
    fn a_missing_proof_names_the_scheme_that_would_do() {
        let scheme = "www-authenticate";
        check_header(Problem::new(Reason::InvalidSignature, ""), scheme, Some("AgentFlow"));
        check_header(Problem::new(Reason::Unauthorized, ""), scheme, Some("Bearer"));
        check_header(Problem::new(Reason::Forbidden, ""), scheme, None);
        check_header(Problem::new(Reason::MethodNotAllowed, "").allow("POST"), "allow", Some("POST"));
    }

    #[tokio::test]
    async fn a_problem_has_the_members_of_rfc_9457_and_its_reason() {
        let response = Problem::new(Reason::StaleTimestamp, "Signed 400 s ago.").into_response();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"type":"urn:agentflow:problem:stale_timestamp","title":"The timestamp is too old","status":401,"detail":"Signed 400 s ago.","reason":"stale_timestamp"}"#
        );
        let response = Problem::new(Reason::ValidationFailed, "").into_response();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.ends_with(br#","errors":[]}"#));
    }
}
