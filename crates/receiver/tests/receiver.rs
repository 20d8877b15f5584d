//! What the receiver lets through, and what it says to the rest.

#![cfg_attr(feature = "tower", expect(clippy::unwrap_used, reason = "a test fails by panicking"))]
#![cfg(feature = "tower")]

mod support;

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use agentflow_receiver::{Received, Rejection};
use agentflow_signature::{OutboundSecret, VerifyError};
use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body::{Body, Frame};
use http_body_util::Full;

use crate::support::{EVENT, NOW, event_with, reason, receiver, secret, signed, signed_at};

async fn receive<B>(request: Request<B>) -> Result<Received, Rejection>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    receiver().receive(request).await
}

#[track_caller]
fn check(refused: Result<Received, Rejection>, status: u16, code: &str) {
    let rejection = refused.unwrap_err();
    assert_eq!((rejection.code(), rejection.status().as_u16()), (code, status), "{rejection}");
    let response = rejection.to_response();
    assert_eq!(response.status(), status);
    assert_eq!(reason(&response), code);
}

#[tokio::test]
async fn hands_over_event_and_proof() {
    let received = receive(signed(EVENT)).await.unwrap();
    assert_eq!(received.event().data.lead.email, "jordan.ellis@stacklane.co");
    assert_eq!(received.verified().body(), EVENT);
    assert_eq!(received.signed_at().as_unix_seconds(), NOW);
    assert_eq!(received.secret_index(), 0);
    assert_eq!(received.key().lead_id, received.event().lead_id);
}

#[tokio::test]
async fn accepts_several_secrets_and_says_which() {
    let receiver = agentflow_receiver::Receiver::new(OutboundSecret::new("whsec_new").unwrap())
        .or(secret())
        .clock(support::clock);
    assert_eq!(receiver.receive(signed(EVENT)).await.unwrap().secret_index(), 1);
}

#[tokio::test]
async fn accepts_a_signature_within_the_tolerance_alone() {
    assert!(receive(signed_at(EVENT, NOW - 300)).await.is_ok());
    assert!(receive(signed_at(EVENT, NOW + 300)).await.is_ok());
    check(receive(signed_at(EVENT, NOW - 301)).await, 401, "stale_timestamp");
    check(receive(signed_at(EVENT, NOW + 301)).await, 401, "future_timestamp");
    let tolerant = receiver().tolerance(301);
    assert!(tolerant.receive(signed_at(EVENT, NOW - 301)).await.is_ok());
}

#[tokio::test]
async fn refuses_missing_malformed_and_repeated_headers() {
    let without = |name: &str| {
        let mut request = signed(EVENT);
        request.headers_mut().remove(name);
        request
    };
    check(receive(without("x-agentflow-signature")).await, 401, "missing_signature");
    check(receive(without("x-agentflow-timestamp")).await, 401, "missing_timestamp");
    let with = |name: &'static str, value: &'static [u8], append: bool| {
        let mut request = signed(EVENT);
        let value = HeaderValue::from_bytes(value).unwrap();
        if append {
            request.headers_mut().append(name, value);
        } else {
            request.headers_mut().insert(name, value);
        }
        request
    };
    check(receive(with("x-agentflow-signature", b"sha256=00", false)).await, 400, "malformed_signature");
    check(receive(with("x-agentflow-signature", b"\xff\xfe", false)).await, 400, "malformed_signature");
    check(receive(with("x-agentflow-signature", b"sha256=00", true)).await, 400, "malformed_signature");
    check(receive(with("x-agentflow-timestamp", b"now", false)).await, 400, "malformed_timestamp");
    check(receive(with("x-agentflow-timestamp", b"1731573972", true)).await, 400, "malformed_timestamp");
}

#[tokio::test]
async fn refuses_every_changed_byte() {
    for at in [0, EVENT.len() / 2, EVENT.len() - 1] {
        let (head, _) = signed(EVENT).into_parts();
        let mut body = EVENT.to_vec();
        body[at] ^= 1;
        let request = Request::from_parts(head, Full::new(Bytes::from(body)));
        check(receive(request).await, 401, "invalid_signature");
    }
}

#[tokio::test]
async fn parses_nothing_that_is_not_verified() {
    let mut request = signed("{ no json");
    request.headers_mut().insert("x-agentflow-timestamp", HeaderValue::from(NOW - 1));
    check(receive(request).await, 401, "invalid_signature");
    check(receive(signed("{ no json")).await, 422, "malformed_json");
    check(
        receive(signed(event_with("\"api_version\":\"1\"", "\"api_version\":\"2\""))).await,
        422,
        "unsupported_api_version",
    );
}

#[tokio::test]
async fn acknowledges_an_event_type_of_a_later_version() {
    let refused = receive(signed(event_with("lead.qualified", "lead.merged"))).await;
    assert!(refused.as_ref().unwrap_err().is_acknowledged());
    check(refused, 200, "unknown_event_type");
}

#[tokio::test]
async fn refuses_encoded_bodies_before_reading_them() {
    let mut request = signed(EVENT);
    request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
    check(receive(request).await, 415, "unsupported_media_type");
    let mut request = signed(EVENT);
    request.headers_mut().insert("content-encoding", HeaderValue::from_static("identity"));
    assert!(receive(request).await.is_ok());
}

/// A body that comes in pieces of one size, for ever, or hangs, or breaks.
enum Odd {
    Endless,
    Silent(Pin<Box<dyn Future<Output = Infallible> + Send>>),
    Broken,
    Empty,
}

impl Body for Odd {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            Self::Endless => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 4096]))))),
            Self::Silent(never) => never.as_mut().poll(context).map(|never| match never {}),
            Self::Empty => Poll::Ready(Some(Ok(Frame::data(Bytes::new())))),
            Self::Broken => Poll::Ready(Some(Err(std::io::Error::other("reset")))),
        }
    }
}

#[tokio::test]
async fn bounds_bodies_by_what_is_announced_and_by_what_comes() {
    let exact = receiver().body_bytes_max(EVENT.len());
    assert!(exact.receive(signed(EVENT)).await.is_ok());
    let small = receiver().body_bytes_max(EVENT.len() - 1);
    check(small.receive(signed(EVENT)).await, 413, "body_too_large");
    check(receive(signed(EVENT).map(|_| Odd::Endless)).await, 413, "body_too_large");
    // Announced as too large: refused without reading, or this would never end.
    let mut request = signed(EVENT).map(|_| Odd::Silent(Box::pin(pending())));
    request.headers_mut().insert("content-length", HeaderValue::from_static("99999999999999999999"));
    request.headers_mut().insert("content-length", HeaderValue::from_static("1048577"));
    check(receive(request).await, 413, "body_too_large");
    check(receive(signed(EVENT).map(|_| Odd::Broken)).await, 400, "body_broken");
}

#[tokio::test]
async fn bounds_a_body_that_is_always_ready_and_never_there() {
    let hasty = receiver().body_deadline(Duration::ZERO);
    check(hasty.receive(signed(EVENT).map(|_| Odd::Empty)).await, 408, "body_timed_out");
}

#[tokio::test]
async fn reads_no_body_whose_headers_cannot_be_right() {
    let mut request = signed(EVENT).map(|_| Odd::Silent(Box::pin(pending())));
    request.headers_mut().remove("x-agentflow-signature");
    check(receive(request).await, 401, "missing_signature");
    let stale = signed_at(EVENT, NOW - 301).map(|_| Odd::Silent(Box::pin(pending())));
    check(receive(stale).await, 401, "stale_timestamp");
}

#[tokio::test(start_paused = true)]
async fn gives_a_body_its_time_and_no_more() {
    let begun = tokio::time::Instant::now();
    check(receive(signed(EVENT).map(|_| Odd::Silent(Box::pin(pending())))).await, 408, "body_timed_out");
    assert_eq!(begun.elapsed().as_secs(), 5);
    let hasty = receiver().body_deadline(Duration::from_secs(1));
    check(
        hasty.receive(signed(EVENT).map(|_| Odd::Silent(Box::pin(pending())))).await,
        408,
        "body_timed_out",
    );
}

#[tokio::test]
async fn shows_nobody_secrets_or_personal_data() {
    let received = receive(signed(EVENT)).await.unwrap();
    let shown = format!("{received:?} {:?} {:?}", receiver(), Rejection::from(VerifyError::InvalidSignature));
    for private in ["jordan", "Jordan", "stacklane", "Stacklane", "whsec", "MfKQ"] {
        assert!(!shown.contains(private), "{private} in {shown}");
    }
    assert!(shown.contains(&received.event().lead_id.to_string()));
}
