//! Events as AgentFlow signs them, and requests that carry them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime};

use agentflow_receiver::Receiver;
use agentflow_signature::{OutboundSecret, Signer, Timestamp};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

/// A qualified lead: `tests/golden` of the events crate.
pub(crate) const EVENT: &[u8] = include_bytes!("../../../events/tests/golden/lead_qualified.json");

/// When everything happens. Unix seconds.
pub(crate) const NOW: u64 = 1_731_573_972;

pub(crate) fn secret() -> OutboundSecret {
    OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

pub(crate) fn clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(crate) fn receiver() -> Receiver {
    Receiver::new(secret()).clock(clock)
}

/// A request as AgentFlow sends it.
pub(crate) fn signed(body: impl AsRef<[u8]>) -> Request<Full<Bytes>> {
    signed_at(body, NOW)
}

pub(crate) fn signed_at(body: impl AsRef<[u8]>, seconds: u64) -> Request<Full<Bytes>> {
    let body = Bytes::copy_from_slice(body.as_ref());
    let signed = Signer::new(&secret()).sign(&body, Timestamp::from_unix_seconds(seconds));
    let mut request = Request::post("/agentflow").body(Full::new(body)).unwrap();
    signed.insert_into(request.headers_mut());
    request
}

/// The event with something else in it.
pub(crate) fn event_with(from: &str, to: &str) -> String {
    let text = std::str::from_utf8(EVENT).unwrap();
    assert!(text.contains(from), "{from} is not in the event");
    text.replacen(from, to, 1)
}

/// A problem's or a success's `reason`, after a look at what surrounds it.
#[track_caller]
pub(crate) fn reason(response: &Response<Bytes>) -> String {
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap();
    if response.status() == 200 {
        assert_eq!(content_type, "application/json");
    } else {
        assert_eq!(content_type, "application/problem+json");
        assert_eq!(body["status"], response.status().as_u16());
        assert_eq!(body["type"], format!("urn:agentflow:problem:{}", body["reason"].as_str().unwrap()));
        assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
    }
    assert_eq!(response.headers().contains_key("www-authenticate"), response.status() == 401);
    body["reason"].as_str().unwrap().to_owned()
}
