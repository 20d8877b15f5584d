//! Bodies that are too large, too slow, or not wanted.

use std::convert::Infallible;

use agentflow_server::config::Limits;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body_util::BodyExt;

use super::support::{BODY_BYTES_MAX, Rig, limits, post_head, rest_of};

fn sized(path: &str, body_bytes: usize) -> Vec<u8> {
    let mut request = post_head(path, &format!("Content-Length: {body_bytes}\r\n")).into_bytes();
    request.resize(request.len() + body_bytes, b'x');
    request
}

fn chunked(body_bytes: usize) -> Vec<u8> {
    let mut request = post_head("/echo", "Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..body_bytes / 256 {
        request.extend(b"100\r\n");
        request.extend([b'x'; 256]);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_either_way() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    assert_eq!(client.ask(sized("/echo", BODY_BYTES_MAX)).await.body.len(), BODY_BYTES_MAX);
    assert_eq!(client.ask(chunked(BODY_BYTES_MAX)).await.body.len(), BODY_BYTES_MAX);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_so_that_the_sender_can_read_it() {
    let rig = Rig::start(limits()).await;
    for request in [sized("/echo", 600_000), chunked(600_000), sized("/echo", BODY_BYTES_MAX + 1)] {
        let mut client = rig.connect().await;
        let reply = client.ask(request).await;
        reply.is_problem(413, "body_too_large");
        assert_eq!(reply.header("connection"), Some("close"));
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_cost_the_sender_its_reply() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    client.ask(sized("/unread", 600_000)).await.is_problem(403, "forbidden");
    client.ask(sized("/nowhere", 600_000)).await.is_problem(404, "not_found");
    assert_eq!(client.ask(sized("/echo", 3)).await.body, "xxx", "the connection goes on");
}

#[tokio::test]
async fn a_body_without_end_is_given_up_after_a_moment() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    client.ask(&sized("/unread", 300_000_000)[..200_000]).await.is_problem(403, "forbidden");
    let (mut reader, mut writer) = tokio::io::split(client.stream);
    let endless = async move {
        use tokio::io::AsyncWriteExt;
        while writer.write_all(&[b'x'; 16_384]).await.is_ok() && writer.flush().await.is_ok() {}
    };
    let (rest, ()) = tokio::join!(rest_of(&mut reader), endless);
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn continue_is_said_for_a_body_that_is_read_and_only_then() {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    let expect = |path, body_bytes| {
        post_head(path, &format!("Content-Length: {body_bytes}\r\nExpect: 100-continue\r\n"))
    };
    assert_eq!(client.ask(expect("/echo", 3)).await.status(), 100);
    assert_eq!(client.ask("abc").await.body, "abc");
    client.ask(expect("/echo", BODY_BYTES_MAX + 1)).await.is_problem(413, "body_too_large");
    assert_eq!(client.rest().await, b"");
    let mut client = rig.connect().await;
    client.ask(expect("/unread", 3)).await.is_problem(403, "forbidden");
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_body_that_stalls_is_refused_and_closed() {
    let rig = Rig::start(Limits { body_idle_timeout_ms: 30, ..limits() }).await;
    let mut client = rig.connect().await;
    let reply = client.ask(&sized("/echo", 100)[..120]).await;
    reply.is_problem(400, "bad_request");
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_body_has_the_time_of_its_request_at_most() {
    let rig = Rig::start(Limits { request_timeout_ms: 50, ..limits() }).await;
    let mut client = rig.connect().await;
    client.ask(&sized("/echo", 100)[..120]).await.is_problem(400, "bad_request");
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn http2_bodies_have_the_same_limits() {
    let rig = Rig::start(Limits { body_idle_timeout_ms: 30, ..limits() }).await;
    let (mut sender, _) = rig.connect_http2().await;
    let mut ask = async |body: Body| {
        let response =
            sender.send_request(Request::post("https://localhost/echo").body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes().len())
    };
    assert_eq!(ask(Body::from(vec![b'x'; BODY_BYTES_MAX])).await, (200, BODY_BYTES_MAX));
    assert_eq!(ask(Body::from(vec![b'x'; 600_000])).await.0, 413);
    let piece = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"x")) });
    let stalls = futures_util::StreamExt::chain(piece, stream::pending());
    assert_eq!(ask(Body::from_stream(stalls)).await.0, 400);
}
