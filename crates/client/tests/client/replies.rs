//! Replies that a sender has to live with: lost, late, broken, endless, and of others than AgentFlow.

use std::time::Duration;

use agentflow_client::{Client, Failure, InboundSecret, Lead, ReplyFault};
use agentflow_signature::{Timestamp, Verifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::script::{SECRET, Script, Seen, Step, accepted, problem, reply};

fn lead() -> Lead {
    Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co")
}

/// Sends a lead that is accepted in the end; answers the attempts.
async fn attempts_until_accepted(first: Step) -> u32 {
    let script = Script::start([first, accepted()]).await;
    script.client().send(&lead()).await.unwrap().attempts
}

/// Sends a lead to a listener that does one thing, and hands over what became of it.
async fn failure_of(step: Step) -> (Failure, u32) {
    let script = Script::start(vec![step; 2]).await;
    let error = script.builder().attempts(2).build().unwrap().send(&lead()).await.unwrap_err();
    (error.failure().unwrap().clone(), error.attempts())
}

#[track_caller]
fn check_unexpected(found: (Failure, u32), status: Option<u16>, expected: ReplyFault) {
    let (Failure::UnexpectedReply { status: got, fault, .. }, 1) = &found else { panic!("{found:?}") };
    assert_eq!((*got, *fault), (status, expected));
}

#[tokio::test]
async fn a_request_is_what_the_contract_asks_for() {
    let script = Script::start([accepted()]).await;
    let client = script.builder().user_agent_suffix("contact-form/7").build().unwrap();
    client.send(&lead()).await.unwrap();
    let seen = &script.seen()[0];
    assert_eq!(seen.line, "POST /v1/inbound/TOKEN HTTP/1.1");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(!seen.headers.contains_key("content-encoding"));
    let agent = seen.headers["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("agentflow-client/") && agent.ends_with(" contact-form/7"), "{agent}");
    assert_eq!(seen.headers["idempotency-key"].len(), 32);
    assert_eq!(seen.body, lead().to_json().as_bytes());
}

#[tokio::test]
async fn a_retry_has_the_same_body_and_key_and_a_fresh_signature() {
    let busy = problem("503 Busy", "Retry-After: 1\r\n", r#"{"reason":"store_unavailable"}"#);
    let script = Script::start([busy, accepted()]).await;
    assert_eq!(script.client().send(&lead()).await.unwrap().attempts, 2);

    let [first, second] = &script.seen()[..] else { panic!("not two requests") };
    assert_eq!(first.body, second.body);
    assert_eq!(first.headers["idempotency-key"], second.headers["idempotency-key"]);
    let verifier = Verifier::new(InboundSecret::new(SECRET).unwrap());
    let signed_at = |seen: &Seen| {
        let timestamp = Timestamp::parse(seen.headers["x-agentflow-timestamp"].as_bytes()).unwrap();
        verifier.verify(&seen.headers, &seen.body, timestamp).unwrap().signed_at()
    };
    assert!(signed_at(first) < signed_at(second), "the server asked for a second's wait");
}

#[tokio::test]
async fn each_send_has_a_key_of_its_own() {
    let script = Script::start([accepted(), accepted()]).await;
    let client = script.client();
    client.send(&lead()).await.unwrap();
    client.send(&lead()).await.unwrap();
    let seen = script.seen();
    assert_ne!(seen[0].headers["idempotency-key"], seen[1].headers["idempotency-key"]);
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let limited = problem("429 Slow Down", "Retry-After: 0\r\n", r#"{"reason":"rate_limited"}"#);
    assert_eq!(attempts_until_accepted(limited).await, 2);
    let date = "Retry-After: Thu, 14 Nov 2024 08:45:00 GMT\r\n";
    assert_eq!(attempts_until_accepted(reply("503 Restarting", date, "")).await, 2);
    for status in ["500 Oops", "502 Bad Gateway", "504 Gateway Timeout"] {
        let of_a_proxy = reply(status, "Content-Type: text/html\r\n", "<h1>Sorry</h1>");
        assert_eq!(attempts_until_accepted(of_a_proxy).await, 2, "{status}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let half = "HTTP/1.1 202 Accepted\r\nContent-Length: 90\r\n\r\n{\"status\":".to_owned();
    assert_eq!(attempts_until_accepted(Step::Reset(String::new())).await, 2);
    assert_eq!(attempts_until_accepted(Step::Reset("HTTP/1.1 20".to_owned())).await, 2);
    assert_eq!(attempts_until_accepted(Step::Reset(half.clone())).await, 2);
    assert_eq!(attempts_until_accepted(Step::Say(half)).await, 2, "shorter than its length says");
    assert_eq!(attempts_until_accepted(Step::Say(String::new())).await, 2);
}

#[tokio::test]
async fn a_longer_wait_than_the_deadline_is_the_caller_s() {
    let busy = problem("503 Busy", "Retry-After: 3600\r\n", r#"{"reason":"store_unavailable"}"#);
    let script = Script::start([busy]).await;
    let error = script.client().send(&lead()).await.unwrap_err();
    assert_eq!((error.code(), error.attempts(), error.is_retryable()), ("store_unavailable", 1, true));
    assert_eq!(error.problem().unwrap().retry_after, Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn silence_ends_with_the_attempt_s_time_and_with_the_deadline() {
    let lie = "HTTP/1.1 202 Accepted\r\nContent-Length: 90\r\n\r\n{".to_owned();
    let endless = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n".to_owned();
    for text in [String::new(), lie, endless] {
        let script = Script::start(vec![Step::Hang(text); 3]).await;
        let patience = Duration::from_millis(50);
        let builder = script.builder().attempts(2);
        let error =
            builder.clone().attempt_timeout(patience).build().unwrap().send(&lead()).await.unwrap_err();
        assert_eq!((error.code(), error.attempts(), error.is_retryable()), ("timeout", 2, true));
        let error = builder.deadline(patience).build().unwrap().send(&lead()).await.unwrap_err();
        assert_eq!((error.code(), error.attempts()), ("timeout", 1));
    }
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let head = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    check_unexpected(failure_of(Step::Flood(head)).await, Some(202), ReplyFault::TooLong);
    let announced = "HTTP/1.1 202 Accepted\r\nContent-Length: 65537\r\n\r\n".to_owned();
    check_unexpected(failure_of(Step::Hang(announced)).await, Some(202), ReplyFault::TooLong);
}

#[tokio::test]
async fn an_endless_head_is_not_read_to_its_end() {
    let (failure, _) = failure_of(Step::Flood("HTTP/1.1 202 Accepted\r\nX: ".to_owned())).await;
    assert_eq!(failure.code(), "unexpected_reply");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Script::start([accepted()]).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let redirect = reply(status, &format!("Location: {}\r\n", elsewhere.url), "");
        let code: u16 = status[..3].parse().unwrap();
        check_unexpected(failure_of(redirect).await, Some(code), ReplyFault::Redirect);
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_ends_it() {
    let script = Script::start_as("leads.example", [accepted()]).await;
    let error = script.client().send(&lead()).await.unwrap_err();
    assert_eq!((error.code(), error.attempts(), error.is_retryable()), ("untrusted_certificate", 1, false));
    assert!(script.seen().is_empty());
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1/inbound/TOKEN", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            let mut received = Vec::new();
            socket.read_to_end(&mut received).await.ok();
            assert!(!received.windows(6).any(|bytes| bytes == b"Jordan"));
        }
    });
    let builder = Client::builder(&url, InboundSecret::new(SECRET).unwrap()).attempts(2);
    let builder = builder.backoff(Duration::from_micros(1), Duration::from_micros(1));
    let error = builder.build().unwrap().send(&lead()).await.unwrap_err();
    assert_eq!((error.code(), error.attempts(), error.is_retryable()), ("tls_failed", 2, true));
}

#[tokio::test]
async fn a_reply_that_is_not_agentflow_s_is_no_acceptance() {
    let html = reply("200 OK", "Content-Type: text/html\r\n", "<p>Thank you!</p>");
    check_unexpected(failure_of(html).await, Some(200), ReplyFault::NotTheContract);
    let other = reply("404 Not Found", "Content-Type: application/json\r\n", r#"{"error":"no route"}"#);
    check_unexpected(failure_of(other).await, Some(404), ReplyFault::NotTheContract);
    let mail = Step::Say("220 mail.example ESMTP\r\n".to_owned());
    check_unexpected(failure_of(mail).await, None, ReplyFault::NotHttp);
}

#[tokio::test]
async fn a_reason_that_is_new_is_kept() {
    let (failure, attempts) = failure_of(problem("451 No", "", r#"{"reason":"lead_embargoed"}"#)).await;
    assert_eq!((failure.code(), attempts), ("lead_embargoed", 1));
}
