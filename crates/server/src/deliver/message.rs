//! The request of one attempt: the event's bytes, signed anew.

use std::sync::LazyLock;

use agentflow_events::{EventId, EventType};
use agentflow_signature::{
    Outbound, SIGNATURE_HEADER_LOWERCASE, STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER,
    STANDARD_TIMESTAMP_HEADER, Signer, TIMESTAMP_HEADER_LOWERCASE, Timestamp,
};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use hyper::body::Body;

use super::Target;
use crate::record::SignedRequest;

const EVENT_ID: HeaderName = HeaderName::from_static("x-agentflow-event-id");
const EVENT_TYPE: HeaderName = HeaderName::from_static("x-agentflow-event-type");
const ATTEMPT: HeaderName = HeaderName::from_static("x-agentflow-attempt");
/// What requests say of their sender.
pub(super) const AGENT: &str = concat!("AgentFlow-Webhooks/", env!("CARGO_PKG_VERSION"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The Standard Webhooks headers' names; the constants are spelled for reading.
static STANDARD: LazyLock<[HeaderName; 3]> = LazyLock::new(|| {
    [STANDARD_ID_HEADER, STANDARD_TIMESTAMP_HEADER, STANDARD_SIGNATURE_HEADER]
        .map(|name| HeaderName::from_bytes(name.as_bytes()).expect("the names are header names"))
});

/// What one attempt sends.
pub(super) struct Message<'a> {
    pub(super) event_id: EventId,
    pub(super) event_type: EventType,
    pub(super) attempt_number: u32,
    pub(super) body: &'a Bytes,
    pub(super) signer: &'a Signer<Outbound>,
    pub(super) now: Timestamp,
    /// The sender's name and version.
    pub(super) agent: &'a str,
}

impl Message<'_> {
    /// The request, in both signature schemes over the same bytes.
    pub(super) fn request(&self, target: &Target) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.path.clone();
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(HOST, target.host_header.clone());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(USER_AGENT, value(self.agent));
        self.signer.sign(self.body, self.now).insert_into(&mut headers);
        let id = self.event_id.to_string();
        let standard = self.signer.sign_standard(&id, self.body, self.now);
        let id = value(&id);
        let [standard_id, standard_timestamp, standard_signature] = &*STANDARD;
        headers.insert(standard_id, id.clone());
        headers.insert(standard_timestamp, value(standard.timestamp()));
        headers.insert(standard_signature, value(standard.signature()));
        headers.insert(EVENT_ID, id);
        headers.insert(EVENT_TYPE, HeaderValue::from_static(self.event_type.as_str()));
        headers.insert(ATTEMPT, self.attempt_number.into());
        *request.headers_mut() = headers;
        request
    }
}

/// Puts what is known of a signature that cannot be made again, its first four bytes, in place of those of a request.
pub(super) fn leave_signatures_out(headers: &mut HeaderMap, mark: u32) {
    headers.insert(
        SIGNATURE_HEADER_LOWERCASE,
        value(&format!("sha256={mark:08x}[left out: the secret was rotated since]")),
    );
    let [_, _, standard_signature] = &*STANDARD;
    headers
        .insert(standard_signature, HeaderValue::from_static("v1,[left out: the secret was rotated since]"));
}

/// How a request was signed, as its headers say; absent where it is not.
pub(super) fn signed(headers: &HeaderMap) -> Option<SignedRequest> {
    let text = |name| headers.get(name)?.to_str().ok();
    let hex = text(SIGNATURE_HEADER_LOWERCASE)?.strip_prefix("sha256=")?.get(..8)?;
    Some(SignedRequest {
        at: text(TIMESTAMP_HEADER_LOWERCASE)?.parse().ok()?,
        mark: u32::from_str_radix(hex, 16).ok()?,
    })
}

/// The head of a request as it crosses the wire.
pub(super) fn head(request: &Request<Full<Bytes>>) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    let length = request.body().size_hint().exact().map(HeaderValue::from);
    let length = length.as_ref().map(|length| (&CONTENT_LENGTH, length));
    for (name, value) in request.headers().iter().chain(length) {
        for part in [name.as_str(), ": ", &String::from_utf8_lossy(value.as_bytes()), "\r\n"] {
            head.push_str(part);
        }
    }
    head + "\r\n"
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids, digits, versions and base64 are header values")
}
