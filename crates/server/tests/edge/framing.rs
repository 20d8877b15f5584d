//! Requests that could be read in two ways, and heads without end.

use super::support::{Rig, SECRET, SIGNED_AT, limits, post_head};
use agentflow_signature::{InboundSecret, Signer, Timestamp};

async fn check_refused(head: &str) {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    let reply = client.ask(head).await;
    reply.is_problem(400, "bad_request");
    assert_eq!(reply.header("connection"), Some("close"), "{head}");
    assert_eq!(client.rest().await, b"", "{head}");
}

/// What the protocol library refuses by itself has no body.
async fn check_cut_off(head: &str, status: u16) {
    let rig = Rig::start(limits()).await;
    let mut client = rig.connect().await;
    assert_eq!(client.ask(head).await.status(), status);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_repeated_content_length_is_refused() {
    check_cut_off(&post_head("/echo", "Content-Length: 3\r\nContent-Length: 4\r\n"), 400).await;
    check_cut_off(&post_head("/echo", "Content-Length: 3, 3\r\n"), 400).await;
    check_refused(&post_head("/echo", "Content-Length: 0\r\nContent-Length: 0\r\n")).await;
}

#[tokio::test]
async fn a_repeated_or_further_transfer_encoding_is_refused() {
    let repeated = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    check_refused(&format!("{}0\r\n\r\n", post_head("/echo", repeated))).await;
    check_refused(&format!("{}0\r\n\r\n", post_head("/echo", "Transfer-Encoding: gzip, chunked\r\n"))).await;
    check_cut_off(&post_head("/echo", "Transfer-Encoding: gzip\r\n"), 400).await;
}

#[tokio::test]
async fn a_content_length_beside_a_transfer_encoding_is_refused() {
    for both in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        check_refused(&format!("{}0\r\n\r\n", post_head("/echo", both))).await;
    }
}

#[tokio::test]
async fn framing_headers_cannot_be_hidden_behind_their_padding() {
    let padding = " ".repeat(64);
    for hidden in [
        format!("Content-Length:{padding}3\r\nTransfer-Encoding: chunked\r\n"),
        format!("Content-Length: 3\r\nContent-Length:{padding}3\r\n"),
        format!("Content-Length:{padding}3\r\n"),
    ] {
        check_refused(&format!("{}0\r\n\r\n", post_head("/echo", &hidden))).await;
    }
}

#[tokio::test]
async fn a_request_must_name_one_host() {
    check_refused("GET /remote HTTP/1.1\r\n\r\n").await;
    check_refused("GET /remote HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n").await;
    check_refused("GET /remote HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n").await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let long = "x".repeat(100_000);
    check_cut_off(&post_head("/echo", &format!("X-Long: {long}\r\n")), 431).await;
    check_cut_off(&post_head(&format!("/{long}"), ""), 431).await;
    check_cut_off(&post_head("/echo", &"X-Many: x\r\n".repeat(100)), 431).await;
}

#[tokio::test]
async fn a_repeated_or_listed_signature_header_is_malformed() {
    let rig = Rig::start(limits()).await;
    let signer = Signer::new(&InboundSecret::new(SECRET).unwrap());
    let signed = signer.sign(b"", Timestamp::from_unix_seconds(SIGNED_AT));
    let signature = format!("X-AgentFlow-Signature: {}\r\n", signed.signature());
    let timestamp = format!("X-AgentFlow-Timestamp: {SIGNED_AT}\r\n");
    let mut client = rig.connect().await;
    let mut ask = async |headers: String| {
        client.ask(post_head("/verify", &format!("{headers}Content-Length: 0\r\n"))).await
    };
    assert_eq!(ask(format!("{signature}{timestamp}")).await.status(), 204);
    ask(format!("{signature}{signature}{timestamp}")).await.is_problem(400, "malformed_signature");
    ask(format!("{signature}{timestamp}{timestamp}")).await.is_problem(400, "malformed_timestamp");
    let listed = format!("X-AgentFlow-Signature: {0}, {0}\r\n", signed.signature());
    ask(format!("{listed}{timestamp}")).await.is_problem(400, "malformed_signature");
    let listed = format!("X-AgentFlow-Timestamp: {SIGNED_AT}, {SIGNED_AT}\r\n");
    ask(format!("{signature}{listed}")).await.is_problem(400, "malformed_timestamp");
    let missing = ask(timestamp).await;
    missing.is_problem(401, "missing_signature");
    assert_eq!(missing.header("www-authenticate"), Some("AgentFlow"));
}
