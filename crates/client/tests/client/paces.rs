//! When attempts are made. Nobody listens, so every attempt fails at once; Tokio's time is paused and jumps over the waits.

use std::time::Duration;

use agentflow_client::{Client, ClientBuilder, InboundSecret, Lead};
use tokio::net::TcpSocket;
use tokio::time::Instant;

/// Settings of a client for a port at which nobody listens for as long as the socket lives.
fn nobody_listens() -> (ClientBuilder, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("https://{}/v1/inbound/TOKEN", socket.local_addr().unwrap());
    (Client::builder(&url, InboundSecret::new("whsec_test").unwrap()), socket)
}

/// Sends a lead; answers attempts and time.
async fn paces(builder: ClientBuilder) -> (u32, Duration) {
    let client = builder.build().unwrap();
    let begun = Instant::now();
    let error = client.send(&Lead::new("Jo", "jo@stacklane.co")).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("connect_failed", true), "{error}");
    (error.attempts(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn by_default_five_attempts_are_made_within_eight_seconds() {
    let (builder, _socket) = nobody_listens();
    let (attempts, elapsed) = paces(builder).await;
    assert_eq!(attempts, 5);
    // Steps of 0.5, 1, 2 and 4 seconds, each shortened by up to a half.
    assert!((3_750..7_600).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn many_attempts_end_with_the_deadline() {
    let (builder, _socket) = nobody_listens();
    let (attempts, elapsed) = paces(builder.attempts(u32::MAX)).await;
    assert!(attempts > 5, "{attempts}");
    // The last wait is not begun if it would pass the deadline, and none is longer than ten seconds.
    assert!((50..60).contains(&elapsed.as_secs()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn settings_without_bounds_do_no_harm() {
    let (builder, _socket) = nobody_listens();
    let for_ever = Duration::MAX;
    let builder = builder.attempt_timeout(for_ever).deadline(for_ever).backoff(Duration::ZERO, for_ever);
    assert_eq!(paces(builder.attempts(50)).await.0, 50);
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_one() {
    let (builder, _socket) = nobody_listens();
    assert_eq!(paces(builder.attempts(1)).await.0, 1);
}
