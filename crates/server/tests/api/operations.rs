//! What people do about deliveries and destinations, and what the server does by itself.

use std::time::Duration;

use agentflow_server::clock::Clock;
use agentflow_server::config::Config;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::rig::{Rig, lead_of};

/// A server whose time the test drives and whose leads are all reviewed.
async fn start() -> (Rig, Receiver) {
    start_with(|_| {}).await
}

async fn start_with(change: impl FnOnce(&mut Config)) -> (Rig, Receiver) {
    let receiver = Receiver::start().await;
    let certificate = receiver.certificate();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Clock::system().now());
    let rig = Rig::start_at(clock, folder, |config| {
        config.delivery.extra_ca = Some(certificate);
        change(config);
    })
    .await;
    let off = json!({"auto_approve_at": null, "auto_reject_below": null});
    rig.call("PUT", "/api/v1/settings", off).await.expect(200);
    (rig, receiver)
}

async fn add(rig: &Rig, url: &str) -> String {
    let types = json!(["lead.qualified", "lead.rejected", "lead.review_requested"]);
    let made = rig.call("POST", "/api/v1/destinations", json!({"url": url, "event_types": types})).await;
    format!("/api/v1/destinations/{}", made.expect(201)["id"].as_str().unwrap())
}

/// Reads the deliveries until there are so many in this state.
async fn settled(rig: &Rig, state: &str, count: usize) -> Vec<Value> {
    loop {
        let page = rig.get(&format!("/api/v1/deliveries?state={state}")).await;
        let items = page["items"].as_array().unwrap();
        if items.len() == count {
            return items.clone();
        }
        tokio::task::yield_now().await;
    }
}

async fn attempted(rig: &Rig, delivery: &Value, times: usize) -> Value {
    loop {
        let shown = rig.get(&format!("/api/v1/deliveries/{}", delivery["id"].as_str().unwrap())).await;
        if shown["attempts"].as_array().unwrap().len() == times {
            return shown;
        }
        tokio::task::yield_now().await;
    }
}

async fn log_kinds(rig: &Rig) -> Vec<String> {
    let page = rig.get("/api/v1/operational-logs").await;
    let kind = |row: &Value| row["kind"].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(kind).collect()
}

#[tokio::test]
async fn events_of_a_paused_destination_wait_and_those_of_a_disabled_one_are_not_made() {
    let (rig, mut receiver) = start().await;
    let destination = add(&rig, &receiver.url(204)).await;
    let paused = rig.call("POST", &format!("{destination}/pause"), Value::Null).await.expect(200);
    assert_eq!((&paused["paused"], &paused["enabled"]), (&json!(true), &json!(true)));
    rig.lead(lead_of("Ada")).await;
    let waiting = settled(&rig, "pending", 1).await;
    rig.clock.advance(Duration::from_secs(3_600));
    let rig = {
        let certificate = receiver.certificate();
        rig.restart(|config| config.delivery.extra_ca = Some(certificate)).await
    };
    assert_eq!(settled(&rig, "pending", 1).await, waiting, "a restart resumes nothing");
    assert!(receiver.requests.try_recv().is_err());

    rig.call("PATCH", &destination, json!({"enabled": false})).await.expect(200);
    rig.lead(lead_of("Ben")).await;
    rig.call("PATCH", &destination, json!({"enabled": true})).await.expect(200);
    assert_eq!(settled(&rig, "pending", 1).await, waiting, "it got nothing while it was disabled");
    rig.call("POST", &format!("{destination}/resume"), Value::Null).await.expect(200);
    receiver.next().await;
    settled(&rig, "delivered", 1).await;
    assert_eq!(log_kinds(&rig).await, ["destination_resumed", "destination_paused"]);
}

#[tokio::test]
async fn pending_deliveries_are_cancelled_one_by_one_or_by_a_filter_and_sent_again() {
    let (rig, mut receiver) = start().await;
    let destination = add(&rig, &receiver.url(204)).await;
    rig.call("POST", &format!("{destination}/pause"), Value::Null).await.expect(200);
    for name in ["Ada", "Ben", "Cleo"] {
        rig.lead(lead_of(name)).await;
    }
    let waiting = settled(&rig, "pending", 3).await;
    let path = format!("/api/v1/deliveries/{}", waiting[0]["id"].as_str().unwrap());
    let cancelled = rig.call("POST", &format!("{path}/cancel"), Value::Null).await.expect(200);
    assert_eq!(
        (&cancelled["state"], &cancelled["state_reason"], &cancelled["next_attempt_at"]),
        (&json!("cancelled"), &json!("cancelled_by_operator"), &Value::Null)
    );
    rig.call("POST", &format!("{path}/cancel"), Value::Null).await.expect_problem(400, "bad_request");

    let other = json!({"event_type": "lead.rejected"});
    let none = rig.call("POST", "/api/v1/deliveries/cancel", other).await.expect(200);
    assert_eq!(none, json!({"count": 0, "dry_run": false}));
    let id = destination.rsplit('/').next().unwrap();
    let dry = json!({"destination": id, "dry_run": true});
    let counted = rig.call("POST", "/api/v1/deliveries/cancel", dry).await.expect(200);
    assert_eq!(counted, json!({"count": 2, "dry_run": true}));
    settled(&rig, "pending", 2).await;
    let done = rig.call("POST", "/api/v1/deliveries/cancel", json!({"destination": id})).await.expect(200);
    assert_eq!(done, json!({"count": 2, "dry_run": false}));
    settled(&rig, "cancelled", 3).await;
    rig.call("POST", &format!("{destination}/resume"), Value::Null).await.expect(200);

    let again = rig.call("POST", &format!("{path}/resend"), Value::Null).await.expect(202);
    assert_eq!(again["state_reason"], Value::Null);
    receiver.next().await;
    settled(&rig, "delivered", 1).await;
    assert!(receiver.requests.try_recv().is_err(), "what was cancelled is not sent");
    let audit = rig.get("/api/v1/audit").await;
    let filtered =
        &audit["items"].as_array().unwrap().iter().find(|row| row["action"] == "deliveries.cancel").unwrap();
    assert_eq!(filtered["subject"], "2");
}

#[tokio::test]
async fn a_destination_that_is_gone_is_disabled_at_once_and_a_delivered_test_enables_it() {
    let (rig, mut receiver) = start().await;
    let destination = add(&rig, &receiver.url(410)).await;
    rig.lead(lead_of("Ada")).await;
    receiver.next().await;
    settled(&rig, "dead", 1).await;
    let shown = rig.get(&destination).await;
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("gone")));

    let failed = rig.call("POST", &format!("{destination}/test"), Value::Null).await.expect(200);
    assert_eq!((&failed["delivered"], &failed["enabled"]), (&json!(false), &json!(false)));
    rig.call("PATCH", &destination, json!({"url": receiver.url(204)})).await.expect(200);
    let passed = rig.call("POST", &format!("{destination}/test"), Value::Null).await.expect(200);
    assert_eq!((&passed["delivered"], &passed["enabled"]), (&json!(true), &json!(true)));
    let shown = rig.get(&destination).await;
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(true), &Value::Null));
    assert_eq!(log_kinds(&rig).await, ["destination_enabled", "destination_disabled"]);
    assert_eq!(rig.get("/api/v1/audit").await["items"][0]["action"], "destination.enable_by_test");

    // What an operator disabled stays so.
    rig.call("PATCH", &destination, json!({"enabled": false})).await.expect(200);
    let passed = rig.call("POST", &format!("{destination}/test"), Value::Null).await.expect(200);
    assert_eq!((&passed["delivered"], &passed["enabled"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn failing_is_warned_of_at_half_time_and_disables_after_120_hours() {
    let (rig, _receiver) = start().await;
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    rig.call("PUT", "/api/v1/settings", json!({"retry_schedule_seconds": [0, 3600, 3600, 3600, 3600]}))
        .await
        .expect(200);
    let gone = Receiver::start().await;
    let destination = add(&rig, &gone.url(204)).await;
    drop(gone);
    rig.lead(lead_of("Ada")).await;
    let delivery = settled(&rig, "pending", 1).await.remove(0);
    attempted(&rig, &delivery, 1).await;
    for (attempt, wait, expected) in [
        (2, hours(59), &[][..]),
        (3, hours(2), &["destination_failing"][..]),
        (4, hours(50), &["destination_failing"][..]),
        (5, hours(10), &["destination_disabled", "destination_failing"][..]),
    ] {
        rig.clock.advance(wait);
        rig.call("PATCH", &destination, json!({})).await.expect(200);
        attempted(&rig, &delivery, attempt).await;
        assert_eq!(log_kinds(&rig).await, expected, "attempt {attempt}");
    }
    let shown = rig.get(&destination).await;
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("failing")));
}

#[tokio::test]
async fn a_review_request_that_waits_is_superseded_by_the_decision_where_the_workspace_wants_it() {
    for wanted in [false, true] {
        let (rig, mut receiver) = start().await;
        assert_eq!(rig.get("/api/v1/settings").await["supersede_review_requests"], false);
        let set = json!({"supersede_review_requests": wanted});
        rig.call("PUT", "/api/v1/settings", set).await.expect(200);
        let destination = add(&rig, &receiver.url(204)).await;
        rig.call("POST", &format!("{destination}/pause"), Value::Null).await.expect(200);
        let receipt = rig.lead(lead_of("Ada")).await;
        settled(&rig, "pending", 1).await;
        let path = format!("/api/v1/leads/{}/decision", receipt["lead_id"].as_str().unwrap());
        rig.call("POST", &path, json!({"outcome": "approved"})).await.expect(200);
        rig.call("POST", &format!("{destination}/resume"), Value::Null).await.expect(200);
        let (headers, _) = receiver.next().await;
        if wanted {
            assert_eq!(headers["x-agentflow-event-type"], "lead.qualified");
            settled(&rig, "delivered", 1).await;
            let superseded = settled(&rig, "superseded", 1).await.remove(0);
            assert_eq!(superseded["event_type"], "lead.review_requested");
            assert_eq!(superseded["state_reason"], "lead_decided");
        } else {
            settled(&rig, "delivered", 2).await;
        }
    }
}

/// The id of the event that a request brought, and its lead.
async fn arrived(receiver: &mut Receiver) -> (String, Value) {
    let (headers, body) = receiver.next().await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    (headers["x-agentflow-event-type"].to_str().unwrap().to_owned(), event["lead_id"].clone())
}

#[tokio::test]
async fn what_waits_behind_a_slow_destination_is_not_sent_once_it_is_cancelled() {
    let (rig, mut receiver) = start_with(|config| config.delivery.concurrency_per_destination = 1).await;
    add(&rig, &receiver.held_url(204)).await;
    let ada = rig.lead(lead_of("Ada")).await;
    assert_eq!(arrived(&mut receiver).await.1, ada["lead_id"]);
    for name in ["Ben", "Cleo"] {
        rig.lead(lead_of(name)).await;
    }
    let done = rig.call("POST", "/api/v1/deliveries/cancel", json!({})).await.expect(200);
    assert_eq!(done["count"], 3);
    let dan = rig.lead(lead_of("Dan")).await;
    receiver.gate.add_permits(2);
    assert_eq!(arrived(&mut receiver).await.1, dan["lead_id"], "neither Ben nor Cleo goes first");
    settled(&rig, "delivered", 1).await;
    let cancelled = settled(&rig, "cancelled", 3).await;
    // The one that was under way is recorded, and was not called back.
    assert_eq!(attempted(&rig, &cancelled[2], 1).await["attempts"][0]["status"], 204);
    assert!(receiver.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_review_request_that_waits_behind_a_slow_destination_is_superseded_too() {
    let (rig, mut receiver) = start_with(|config| config.delivery.concurrency_per_destination = 1).await;
    rig.call("PUT", "/api/v1/settings", json!({"supersede_review_requests": true})).await.expect(200);
    add(&rig, &receiver.held_url(204)).await;
    rig.lead(lead_of("Ada")).await;
    arrived(&mut receiver).await;
    let ben = rig.lead(lead_of("Ben")).await;
    let path = format!("/api/v1/leads/{}/decision", ben["lead_id"].as_str().unwrap());
    rig.call("POST", &path, json!({"outcome": "rejected"})).await.expect(200);
    receiver.gate.add_permits(2);
    assert_eq!(arrived(&mut receiver).await, ("lead.rejected".to_owned(), ben["lead_id"].clone()));
    settled(&rig, "delivered", 2).await;
    assert_eq!(settled(&rig, "superseded", 1).await[0]["lead_id"], ben["lead_id"]);
}
