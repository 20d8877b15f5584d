//! The request of one attempt: the event's bytes, signed anew.

use std::borrow::Cow;
use std::sync::LazyLock;

use agentflow_events::{EventId, EventType};
use agentflow_signature::{
    STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER, STANDARD_TIMESTAMP_HEADER, Timestamp,
};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request};
use http_body_util::Full;

use super::Target;
use crate::directory::Signers;

const EVENT_ID: HeaderName = HeaderName::from_static("x-agentflow-event-id");
const EVENT_TYPE: HeaderName = HeaderName::from_static("x-agentflow-event-type");
const ATTEMPT: HeaderName = HeaderName::from_static("x-agentflow-attempt");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("AgentFlow-Webhooks/", env!("CARGO_PKG_VERSION")));
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
    pub(super) signers: Signers<'a>,
    pub(super) now: Timestamp,
}

impl Message<'_> {
    /// The request, in both signature schemes over the same bytes. Standard Webhooks takes several signatures: that of a replaced
    /// secret goes with the present one's while the overlap lasts.
    pub(super) fn request(&self, target: &Target) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.path.clone();
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(HOST, target.host_header.clone());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(USER_AGENT, AGENT);
        let signer = self.signers.present();
        signer.sign(self.body, self.now).insert_into(&mut headers);
        let id = self.event_id.to_string();
        let standard = signer.sign_standard(&id, self.body, self.now);
        let mut signatures = Cow::Borrowed(standard.signature());
        for replaced in self.signers.replaced() {
            let also = replaced.sign_standard(&id, self.body, self.now);
            signatures = Cow::Owned(format!("{signatures} {}", also.signature()));
        }
        let id = value(&id);
        let [standard_id, standard_timestamp, standard_signature] = &*STANDARD;
        headers.insert(standard_id, id.clone());
        headers.insert(standard_timestamp, value(standard.timestamp()));
        headers.insert(standard_signature, value(&signatures));
        headers.insert(EVENT_ID, id);
        headers.insert(EVENT_TYPE, HeaderValue::from_static(self.event_type.as_str()));
        headers.insert(ATTEMPT, self.attempt_number.into());
        *request.headers_mut() = headers;
        request
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids, digits and base64 are header values")
}
