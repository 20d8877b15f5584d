//! Who gets a connection, and how long it may idle.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use agentflow_server::config::Limits;
use http::Request;
use http_body_util::BodyExt;
use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt;

use super::support::{Client, Rig, limits, post_head, rest_of, self_signed};

const PING: &str = "GET /remote HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn plain_http_is_cut_off_without_an_answer() {
    let rig = Rig::start(limits()).await;
    let mut stream = rig.plain().await;
    stream.write_all(PING.as_bytes()).await.unwrap();
    assert_eq!(rest_of(&mut stream).await, b"");
}

#[tokio::test]
async fn both_protocols_are_spoken_and_the_senders_address_is_known() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    assert_eq!(client.ask(PING).await.body, "127.0.0.1");
    assert_eq!(client.ask(PING).await.body, "127.0.0.1", "the connection goes on");
    let (mut sender, _) = rig.connect_http2().await;
    let request = Request::get("https://localhost/remote").body(axum::body::Body::empty()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "127.0.0.1");
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let rig = Rig::start(limits()).await;
    let mut stream = rig.plain().await;
    stream.write_all(&client_hello_of_tls_1_1()).await.unwrap();
    let alert = rest_of(&mut stream).await;
    // Record type alert, any version, two bytes: fatal, protocol_version.
    assert_eq!((alert[0], &alert[3..]), (21, &[0, 2, 2, 70][..]));
}

#[tokio::test]
async fn sessions_are_resumed_and_never_with_early_data() {
    let rig = Rig::start(limits()).await;
    let mut config = rig.trusting();
    config.enable_early_data = true;
    let config = Arc::new(config);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut client = Client { stream: rig.connect_with(Arc::clone(&config)).await.unwrap() };
        assert_eq!(client.ask(PING).await.status(), 200, "no agreed protocol is HTTP/1.1");
        let tls = client.stream.get_ref().1;
        assert!(!tls.is_early_data_accepted());
        kinds.push(tls.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}

fn client_hello_of_tls_1_1() -> Vec<u8> {
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..], // groups: P-256
        &[0, 11, 0, 2, 1, 0],            // uncompressed points
        &[0, 13, 0, 4, 0, 2, 4, 3],      // ECDSA with SHA-256
    ]
    .concat();
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0, 2, 0xc0, 9, 1, 0]);
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend((hello.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((hello.len() as u16).to_be_bytes());
    record.extend(hello);
    record
}

#[tokio::test]
async fn a_handshake_that_stalls_is_closed() {
    let rig = Rig::start(Limits { handshake_timeout_ms: 20, ..limits() }).await;
    let mut silent = rig.plain().await;
    let mut halfway = rig.plain().await;
    halfway.write_all(&client_hello_of_tls_1_1()[..20]).await.unwrap();
    assert_eq!(rest_of(&mut silent).await, b"");
    assert_eq!(rest_of(&mut halfway).await, b"");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let rig = Rig::start(Limits { header_timeout_ms: 50, ..limits() }).await;
    let silent = rig.connect().await;
    let mut halfway = rig.connect().await;
    halfway.send(&PING[..20]).await;
    let mut idle = rig.connect().await;
    assert_eq!(idle.ask(PING).await.status(), 200);
    assert_eq!(silent.rest().await, b"");
    assert_eq!(halfway.rest().await, b"");
    assert_eq!(idle.rest().await, b"");
}

#[tokio::test]
async fn an_http2_connection_without_a_request_is_closed() {
    let rig = Rig::start(Limits { header_timeout_ms: 50, ..limits() }).await;
    let (_sender, ended) = rig.connect_http2().await;
    // Whether the peer takes it as an error is its own affair.
    ended.await.unwrap().ok();
}

#[tokio::test]
async fn connections_are_limited_in_all() {
    let rig = Rig::start(Limits { connections_max: 1, ..limits() }).await;
    let mut first = rig.connect().await;
    assert_eq!(first.ask(PING).await.status(), 200);
    assert_eq!(rest_of(&mut rig.plain().await).await, b"");
    assert_eq!(first.ask(PING).await.status(), 200, "the first goes on");
}

#[tokio::test]
async fn connections_are_limited_by_sender_and_places_come_back() {
    let rig = Rig::start(Limits { connections_per_address_max: 1, ..limits() }).await;
    let mut first = rig.connect().await;
    assert_eq!(first.ask(PING).await.status(), 200);
    assert_eq!(rest_of(&mut rig.plain().await).await, b"");
    let reply = first.ask("GET /remote HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(reply.status(), 200);
    first.rest().await;
    while rig.try_connect().await.is_err() {}
}

#[tokio::test]
async fn requests_are_limited_by_sender_before_anything_else() {
    let rig = Rig::start(Limits { requests_per_second_per_address: Some(1), ..limits() }).await;
    let mut client = rig.connect().await;
    assert_eq!(client.ask(PING).await.status(), 200);
    let reply = client.ask(post_head("/nowhere", "Content-Length: 0\r\n")).await;
    reply.is_problem(429, "rate_limited");
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_changed_certificate_is_served_to_new_connections() {
    let rig = Rig::start_with(limits(), |tls| tls.poll_every(Duration::from_millis(5))).await;
    let renewed = tempfile::tempdir().unwrap();
    self_signed(renewed.path());
    let mut before = rig.connect().await;
    for file in ["key.pem", "cert.pem"] {
        fs::rename(renewed.path().join(file), rig.folder.path().join(file)).unwrap();
    }
    // From here the client trusts the new certificate alone.
    while rig.try_connect().await.is_err() {}
    assert_eq!(before.ask(PING).await.status(), 200, "what was open goes on");
}
