//! Replies as they stand on the wire: success as JSON, refusals as RFC 9457 problems.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

#[derive(Serialize)]
struct Success {
    status: &'static str,
    reason: &'static str,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'static str,
}

/// 200.
pub(crate) fn success(status: &'static str, reason: &'static str) -> Response<Bytes> {
    response(StatusCode::OK, "application/json", &Success { status, reason })
}

/// Anything else. `detail` is for whoever runs the sender; nothing secret, nothing personal.
pub(crate) fn problem(status: StatusCode, reason: &'static str, detail: &str) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or("Error");
    let r#type = format!("urn:agentflow:problem:{reason}");
    let problem = Problem { r#type, title, status: status.as_u16(), detail, reason };
    response(status, "application/problem+json", &problem)
}

fn response(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response<Bytes> {
    let body = serde_json::to_vec(body).expect("texts and a number are JSON");
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
