//! What happens when something goes wrong inside, and when the server stops.

use agentflow_server::config::Limits;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tokio::net::TcpStream;

use super::support::{Rig, limits};

const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn a_handler_that_panics_is_an_internal_error_and_no_more() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    let reply = client.ask("GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    reply.is_problem(500, "internal_error");
    assert!(!reply.body.contains("a handler that fails"));
    assert_eq!(client.ask("GET /remote HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status(), 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    client.ask("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_problem(404, "not_found");
    client.ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_problem(404, "not_found");
    let reply = client.ask("DELETE /echo HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    reply.is_problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_request_that_is_not_answered_in_time_is_told_to_come_again() {
    let rig = Rig::start(Limits { request_timeout_ms: 30, ..limits() }).await;
    let mut client = rig.connect().await;
    let reply = client.ask(SLOW).await;
    reply.is_problem(503, "store_unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_graceful_stop_finishes_requests_in_flight_and_takes_no_more() {
    let mut rig = Rig::start(limits()).await;
    let mut busy = rig.connect().await;
    busy.send(SLOW).await;
    let (mut sender, ended) = rig.connect_http2().await;
    let request = Request::get("https://localhost/slow").body(Body::empty()).unwrap();
    let answered = tokio::spawn(sender.send_request(request));
    rig.begun.recv().await;
    rig.begun.recv().await;
    let mut idle = rig.connect().await;
    assert_eq!(idle.ask("GET /remote HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status(), 200);

    rig.shutdown.cancel();
    assert_eq!(idle.rest().await, b"", "an idle connection is closed at once");
    while TcpStream::connect(rig.address).await.is_ok() {}
    rig.release.notify_waiters();
    let reply = busy.reply().await;
    assert_eq!((reply.status(), reply.body.as_str()), (200, "done"));
    assert_eq!(reply.header("connection"), Some("close"));
    let response = answered.await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "done");
    rig.served.await.unwrap();
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_graceful_stop_does_not_wait_for_ever() {
    let mut rig = Rig::start(Limits { drain_timeout_ms: 30, ..limits() }).await;
    let mut busy = rig.connect().await;
    busy.send(SLOW).await;
    rig.begun.recv().await;
    rig.shutdown.cancel();
    rig.served.await.unwrap();
    assert_eq!(busy.rest().await, b"");
}

#[tokio::test]
async fn a_graceful_stop_does_not_wait_for_a_head_that_is_on_its_way() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    client.send(&SLOW[..20]).await;
    rig.shutdown.cancel();
    assert_eq!(client.rest().await, b"");
    rig.served.await.unwrap();
}
