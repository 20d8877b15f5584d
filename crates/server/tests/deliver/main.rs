//! Deliveries against real HTTPS receivers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod memory;
mod receiver;
mod rig;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentflow_server::config::DeliveryConfig;
use agentflow_server::deliver::Deliver;
use agentflow_server::record::{Attempt, DeliveryState, Destination, DisabledReason};
use agentflow_signature::{OutboundSecret, Timestamp, Verifier};
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use memory::Memory;
use receiver::{Authority, Received, Receiver};
use rig::{OUTBOUND_SECRET, Rig, config};

/// At once, and twice more without a wait.
const AT_ONCE: &[u32] = &[0, 0, 0];

async fn rig(authority: &Authority) -> Rig {
    Rig::start_fresh(&config(authority), AT_ONCE).await
}

fn header<'a>(received: &'a Received, name: &str) -> &'a str {
    let mut values = received.headers.get_all(name).iter();
    let value = values.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(values.next().is_none(), "{name} twice");
    value.to_str().unwrap()
}

#[track_caller]
fn check_signatures(received: &Received) {
    let signed_at = Timestamp::parse(header(received, "x-agentflow-timestamp").as_bytes()).unwrap();
    let verifier = Verifier::new(OutboundSecret::new(OUTBOUND_SECRET).unwrap());
    assert!(verifier.verify(&received.headers, &received.body, signed_at).is_ok());

    let key = Base64::decode_vec(OUTBOUND_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut message =
        format!("{}.{}.", header(received, "webhook-id"), header(received, "webhook-timestamp")).into_bytes();
    message.extend_from_slice(&received.body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message);
    assert_eq!(header(received, "webhook-signature"), format!("v1,{}", Base64::encode_string(tag.as_ref())));
}

#[track_caller]
fn failed(attempt: &Attempt, status: Option<u16>, code: &str) {
    assert_eq!(attempt.status, status, "{attempt:?}");
    let error = attempt.error.as_deref().unwrap();
    assert!(error.starts_with(&format!("{code}: ")), "{error}");
}

#[tokio::test]
async fn a_receiver_gets_the_event_with_every_header_and_both_signatures_hold() {
    let authority = Authority::new();
    let mut receiver = Receiver::start(&authority, "127.0.0.1", |_| (204, None)).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    let received = receiver.next().await;
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/hook?key=1"));
    assert_eq!(received.body, due.body);
    assert_eq!(header(&received, "host"), receiver.address.to_string());
    assert_eq!(header(&received, "content-type"), "application/json");
    assert_eq!(header(&received, "content-length"), due.body.len().to_string());
    assert_eq!(header(&received, "user-agent"), concat!("AgentFlow-Webhooks/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header(&received, "x-agentflow-event-id"), due.event_id.to_string());
    assert_eq!(header(&received, "webhook-id"), due.event_id.to_string());
    assert_eq!(header(&received, "x-agentflow-event-type"), "lead.qualified");
    assert_eq!(header(&received, "x-agentflow-attempt"), "1");
    check_signatures(&received);
    let delivery = rig.after(due.id, 1).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert_eq!((delivery.attempts[0].status, &delivery.attempts[0].error), (Some(204), &None));
}

#[tokio::test]
async fn a_failure_is_tried_again_with_the_same_bytes_and_the_next_number() {
    let authority = Authority::new();
    let mut receiver =
        Receiver::start(&authority, "127.0.0.1", |n| (if n == 0 { 500 } else { 200 }, None)).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert_eq!(first.body, second.body);
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    assert_eq!(header(&second, "x-agentflow-attempt"), "2");
    check_signatures(&second);
    let delivery = rig.after(due.id, 2).await;
    failed(&delivery.attempts[0], Some(500), "bad_status");
    assert_eq!(delivery.attempts[0].response_head.as_deref(), Some("thank you"));
    assert_eq!((delivery.state, delivery.attempts[1].status), (DeliveryState::Delivered, Some(200)));
}

#[tokio::test]
async fn a_delivery_that_is_out_of_attempts_is_dead() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "127.0.0.1", |_| (400, None)).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    let delivery = rig.after(due.id, 3).await;
    assert_eq!((delivery.state, delivery.next_attempt_at), (DeliveryState::Dead, None));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_never_followed() {
    let authority = Authority::new();
    let elsewhere = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let location = elsewhere.url();
    let receiver =
        Receiver::start(&authority, "127.0.0.1", move |_| (302, Some(("location", location.clone())))).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    let delivery = rig.after(due.id, 3).await;
    failed(&delivery.attempts[0], Some(302), "bad_status");
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_destination_that_is_gone_is_disabled() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "127.0.0.1", |_| (410, None)).await;
    let rig = rig(&authority).await;
    let id = rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    let delivery = rig.after(due.id, 1).await;
    assert_eq!(delivery.state, DeliveryState::Dead);
    let destination =
        rig.store.all_destinations().await.unwrap().into_iter().find(|found| found.id == id).unwrap();
    assert_eq!((destination.enabled, destination.disabled_reason), (false, Some(DisabledReason::Gone)));
}

#[tokio::test]
async fn a_wait_that_was_asked_for_lengthens_the_schedule() {
    let authority = Authority::new();
    let receiver =
        Receiver::start(&authority, "127.0.0.1", |_| (503, Some(("retry-after", "3600".to_owned())))).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    let delivery = rig.after(due.id, 1).await;
    let wait = delivery.next_attempt_at.unwrap().since(delivery.attempts[0].at);
    assert!((3_600..3_660).contains(&wait.as_secs()), "{wait:?}");
}

async fn attempt_at(url: &str, config: &DeliveryConfig) -> Attempt {
    let rig = Rig::start_fresh(config, &[0]).await;
    rig.send_to(url).await;
    let due = rig.event().await.remove(0);
    rig.after(due.id, 1).await.attempts.remove(0)
}

#[tokio::test]
async fn a_receiver_that_never_answers_runs_into_the_deadline() {
    let authority = Authority::new();
    let config = DeliveryConfig { attempt_timeout_ms: 150, ..config(&authority) };
    for (head, again) in [("", ""), ("HTTP/1.1 200 OK\r\n", "x: y\r\n")] {
        let address = Receiver::raw(&authority, head, again, true).await;
        failed(&attempt_at(&format!("https://{address}/"), &config).await, None, "timeout");
    }
    // Accepted by the system, never by a program: the handshake hangs.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    failed(&attempt_at(&format!("https://{address}/"), &config).await, None, "timeout");
}

#[tokio::test]
async fn a_success_stands_whatever_the_body_does_and_only_its_beginning_is_kept() {
    let authority = Authority::new();
    let config = config(&authority);
    let bodies = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", "abcdefgh", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "8\r\nabcdefgh\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", "abcdefgh", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "nonsense\r\n", false),
    ];
    for (head, again, slow) in bodies {
        let address = Receiver::raw(&authority, head, again, slow).await;
        let attempt = attempt_at(&format!("https://{address}/"), &config).await;
        assert_eq!((attempt.status, &attempt.error), (Some(200), &None));
        let kept = attempt.response_head.unwrap_or_default();
        assert!(kept.len() <= 4_096 && (kept.starts_with("abcdefgh") || kept.is_empty()), "{}", kept.len());
        assert!(slow || kept.is_empty() || kept.len() == 4_096);
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_failure() {
    let authority = Authority::new();
    let address = Receiver::raw(&authority, "SSH-2.0-OpenSSH_9.2\r\n\r\n", "", false).await;
    failed(&attempt_at(&format!("https://{address}/"), &config(&authority)).await, None, "exchange_failed");
}

#[tokio::test]
async fn names_and_addresses_of_this_machine_are_refused_unless_opened() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "localhost", |_| (200, None)).await;
    let by_name = format!("https://localhost:{}/", receiver.address.port());
    let closed = DeliveryConfig { allow_networks: Vec::new(), ..config(&authority) };
    failed(&attempt_at(&by_name, &closed).await, None, "refused_target");
    failed(&attempt_at(&receiver.url(), &closed).await, None, "refused_target");
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 0);
    let open = DeliveryConfig {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        ..config(&authority)
    };
    assert_eq!(attempt_at(&by_name, &open).await.status, Some(200));
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_a_stranger_is_refused() {
    let authority = Authority::new();
    let other = Receiver::start(&authority, "example.com", |_| (200, None)).await;
    failed(&attempt_at(&other.url(), &config(&authority)).await, None, "tls_failed");
    let stranger = Receiver::start(&Authority::new(), "127.0.0.1", |_| (200, None)).await;
    failed(&attempt_at(&stranger.url(), &config(&authority)).await, None, "tls_failed");
}

#[tokio::test]
async fn nobody_listening_and_a_name_that_does_not_exist_are_told_apart() {
    let authority = Authority::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    failed(&attempt_at(&format!("https://{address}/"), &config(&authority)).await, None, "connect_failed");
    failed(&attempt_at("https://nowhere.invalid/", &config(&authority)).await, None, "dns_failed");
}

#[tokio::test]
async fn a_connection_serves_one_delivery_after_the_other() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    for _ in 0..20 {
        let due = rig.event().await.remove(0);
        rig.delivered(due.id).await;
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_kept_connection_that_its_peer_closed_costs_no_attempt() {
    let authority = Authority::new();
    let receiver =
        Receiver::start(&authority, "127.0.0.1", |_| (200, Some(("connection", "close".to_owned())))).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    for _ in 0..5 {
        let due = rig.event().await.remove(0);
        rig.delivered(due.id).await;
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn the_events_of_one_lead_arrive_in_order_one_after_the_other() {
    let authority = Authority::new();
    let mut receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    for _ in 0..20 {
        rig.review_and_decision().await;
    }
    let mut reviewed = std::collections::HashSet::new();
    for _ in 0..40 {
        let received = receiver.next().await;
        let event = agentflow_events::Event::parse(&received.body).unwrap();
        match header(&received, "x-agentflow-event-type") {
            "lead.review_requested" => assert!(reviewed.insert(event.lead_id)),
            _ => assert!(reviewed.remove(&event.lead_id), "the decision came before the request to decide"),
        }
    }
}

#[tokio::test]
async fn destinations_that_are_down_keep_no_event_from_the_others() {
    let authority = Authority::new();
    let config = DeliveryConfig { attempt_timeout_ms: 60_000, ..config(&authority) };
    let mut receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let hanging = Receiver::raw(&authority, "", "", false).await;
    let rig = Rig::start_fresh(&config, &[0, 3_600]).await;
    rig.send_to(&format!("https://{hanging}/")).await;
    rig.send_to("https://127.0.0.1:1/").await;
    rig.send_to(&receiver.url()).await;
    for _ in 0..200 {
        rig.event().await;
    }
    for _ in 0..200 {
        check_signatures(&receiver.next().await);
    }
}

#[tokio::test]
async fn what_was_left_at_the_end_of_a_process_is_delivered_by_the_next() {
    let authority = Authority::new();
    let mut receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let mut rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    rig.deliver.stop().await;
    let mut left = Vec::new();
    for _ in 0..100 {
        left.extend(rig.event().await);
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 0, "a stopped stage attempts nothing");
    rig.restart(&config(&authority));
    for due in left {
        receiver.next().await;
        rig.delivered(due.id).await;
    }
}

#[tokio::test]
async fn stopping_waits_for_the_attempt_in_flight_and_its_record() {
    let authority = Authority::new();
    let mut receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let rig = rig(&authority).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    receiver.next().await;
    rig.deliver.stop().await;
    let delivery = rig.after(due.id, 0).await;
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 1));
}

#[tokio::test]
async fn an_outcome_that_the_store_has_no_room_for_is_recorded_later() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let store = Arc::new(Memory::default());
    store.overloaded.store(3, Ordering::SeqCst);
    let rig = Rig::start(store, &config(&authority), AT_ONCE).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    rig.delivered(due.id).await;
}

#[tokio::test]
async fn an_attempt_that_panics_gives_its_slot_back_and_is_recorded_as_a_failure() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let store = Arc::new(Memory::default());
    store.panics.store(1, Ordering::SeqCst);
    // With the only slot lost, nothing would be sent any more.
    let config = DeliveryConfig { concurrency: 1, concurrency_per_destination: 1, ..config(&authority) };
    let rig = Rig::start(store, &config, AT_ONCE).await;
    rig.send_to(&receiver.url()).await;
    let due = rig.event().await.remove(0);
    let delivery = rig.after(due.id, 2).await;
    failed(&delivery.attempts[0], None, "internal_error");
    assert_eq!((delivery.state, delivery.attempts[1].status), (DeliveryState::Delivered, Some(200)));
    let due = rig.event().await.remove(0);
    rig.delivered(due.id).await;
}

#[tokio::test]
async fn a_store_that_panics_again_and_again_costs_no_slot() {
    let authority = Authority::new();
    let mut receiver = Receiver::start(&authority, "127.0.0.1", |_| (200, None)).await;
    let store = Arc::new(Memory::default());
    store.panics.store(2, Ordering::SeqCst);
    let config = DeliveryConfig { concurrency: 1, concurrency_per_destination: 1, ..config(&authority) };
    let rig = Rig::start(store, &config, AT_ONCE).await;
    rig.send_to(&receiver.url()).await;
    rig.event().await;
    receiver.next().await;
    let second = rig.event().await.remove(0);
    rig.delivered(second.id).await;
}

#[tokio::test]
async fn a_destination_is_sent_no_more_at_once_than_it_is_set_to_bear() {
    let authority = Authority::new();
    let receiver = Receiver::start_together(&authority, "127.0.0.1", 2, |_| (200, None)).await;
    let rig = rig(&authority).await;
    rig.add(Destination { max_in_flight: Some(2), ..rig.destination(&receiver.url()) }).await;
    let mut due = Vec::new();
    for _ in 0..20 {
        due.extend(rig.event().await);
    }
    for due in due {
        rig.delivered(due.id).await;
    }
    assert_eq!(receiver.most_at_once.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_test_event_goes_out_at_once_and_tells_what_came_of_it() {
    let authority = Authority::new();
    let mut receiver = Receiver::start(&authority, "127.0.0.1", |_| (418, None)).await;
    let rig = rig(&authority).await;
    let attempt = rig.deliver.send_test(&rig.destination(&receiver.url()), rig.sample()).await;
    failed(&attempt, Some(418), "bad_status");
    check_signatures(&receiver.next().await);
    let attempt = rig.deliver.send_test(&rig.destination("http://example.com/"), rig.sample()).await;
    failed(&attempt, None, "not_https");
}

#[tokio::test]
async fn a_url_is_judged_before_it_becomes_a_destination() {
    let authority = Authority::new();
    let rig = rig(&authority).await;
    assert!(rig.deliver.check_url("https://example.com/hook").is_ok());
    assert!(rig.deliver.check_url("https://127.0.0.1/hook").is_ok(), "the network was opened");
    assert_eq!(rig.deliver.check_url("https://10.0.0.1/").unwrap_err().code(), "refused_target");
    assert_eq!(rig.deliver.check_url("http://example.com/").unwrap_err().code(), "not_https");
}

#[tokio::test]
async fn authorities_that_cannot_be_read_keep_the_stage_from_starting() {
    let authority = Authority::new();
    let rig = rig(&authority).await;
    std::fs::write(authority.path(), "no certificate").unwrap();
    let started = Deliver::start(
        Arc::clone(&rig.store),
        Arc::clone(&rig.directory),
        &config(&authority),
        agentflow_server::clock::Clock::system(),
        Arc::default(),
    );
    assert!(started.err().unwrap().to_string().contains("no certificate"));
}
