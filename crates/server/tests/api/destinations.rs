//! Destinations, and events on their way to them.

use agentflow_signature::{OutboundSecret, Verifier};
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::rig::{Rig, lead_of, now};

async fn start() -> (Rig, Receiver) {
    let receiver = Receiver::start().await;
    let rig = Rig::start_with(|config| config.delivery.extra_ca = Some(receiver.certificate())).await;
    let off = json!({"auto_approve_at": null, "auto_reject_below": null});
    rig.call("PUT", "/api/v1/settings", off).await.expect(200);
    (rig, receiver)
}

async fn add(rig: &Rig, url: &str) -> Value {
    let body = json!({"url": url, "event_types": ["lead.review_requested"]});
    rig.call("POST", "/api/v1/destinations", body).await.expect(201)
}

/// Reads the only delivery until it is in this state.
async fn settled(rig: &Rig, state: &str) -> Value {
    loop {
        let page = rig.get(&format!("/api/v1/deliveries?state={state}")).await;
        if let Some(id) = page["items"][0]["id"].as_str() {
            return rig.get(&format!("/api/v1/deliveries/{id}")).await;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_signed_event_arrives_as_the_api_shows_it() {
    let (rig, mut receiver) = start().await;
    let destination = add(&rig, &receiver.url(204)).await;
    let receipt = rig.lead(lead_of("Jordan")).await;
    let (headers, body) = receiver.next().await;
    let verifier = Verifier::new(OutboundSecret::new(rig.first.outbound_secret.clone()).unwrap());
    let verified = verifier.verify(&headers, &body, now()).expect("signed with the outbound secret");
    let sent: Value = serde_json::from_slice(verified.body()).unwrap();
    let shown =
        rig.get(&format!("/api/v1/events/{}", headers["x-agentflow-event-id"].to_str().unwrap())).await;
    assert_eq!(shown["body"], sent);
    assert_eq!(shown["lead_id"], receipt["lead_id"]);

    let delivery = settled(&rig, "delivered").await;
    assert_eq!((&delivery["destination_id"], &delivery["event_id"]), (&destination["id"], &shown["id"]));
    assert_eq!(
        (&delivery["attempts"][0]["number"], &delivery["attempts"][0]["status"]),
        (&json!(1), &json!(204))
    );
    assert_eq!(
        (&delivery["next_attempt_at"], &delivery["attempts"][0]["error"]),
        (&Value::Null, &Value::Null)
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_dead_letter_is_sent_again_on_request() {
    let (rig, mut receiver) = start().await;
    rig.call("PUT", "/api/v1/settings", json!({"retry_schedule_seconds": [0]})).await.expect(200);
    let destination = add(&rig, &receiver.url(500)).await;
    rig.lead(lead_of("Jordan")).await;
    let (_, first) = receiver.next().await;
    let dead = settled(&rig, "dead").await;
    assert_eq!(dead["attempts"][0]["status"], 500);
    assert!(dead["attempts"][0]["error"].is_string());

    let dry = json!({"destination": destination["id"], "dry_run": true});
    let counted = rig.call("POST", "/api/v1/deliveries/resend", dry).await.expect(202);
    assert_eq!(counted, json!({"count": 1, "dry_run": true}));
    let path = format!("/api/v1/destinations/{}", destination["id"].as_str().unwrap());
    rig.call("PATCH", &path, json!({"url": receiver.url(200)})).await.expect(200);
    let id = dead["id"].as_str().unwrap();
    rig.call("POST", &format!("/api/v1/deliveries/{id}/resend"), Value::Null).await.expect(202);
    let (headers, again) = receiver.next().await;
    assert_eq!((again, &headers["x-agentflow-attempt"]), (first, &"2".parse().unwrap()));
    assert_eq!(settled(&rig, "delivered").await["attempts"].as_array().unwrap().len(), 2);

    let all = json!({"state": "delivered", "event_type": "lead.review_requested", "destination": null});
    assert_eq!(rig.call("POST", "/api/v1/deliveries/resend", all).await.expect(202)["count"], 1);
    let wrong = json!({"state": "lost", "destination": 5, "event_type": "lead.won"});
    let problem =
        rig.call("POST", "/api/v1/deliveries/resend", wrong).await.expect_problem(422, "validation_failed");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_test_event_goes_out_at_once_and_leaves_nothing_behind() {
    let (rig, mut receiver) = start().await;
    let destination = add(&rig, &receiver.url(503)).await;
    let path = format!("/api/v1/destinations/{}/test", destination["id"].as_str().unwrap());
    let outcome = rig.call("POST", &path, Value::Null).await.expect(200);
    let (_, body) = receiver.next().await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&event["id"], &event["test"]), (&outcome["event_id"], &json!(true)));
    assert_eq!((&outcome["delivered"], &outcome["attempt"]["status"]), (&json!(false), &json!(503)));
    assert_eq!(rig.get("/api/v1/events").await["items"], json!([]));
    assert_eq!(rig.get("/api/v1/deliveries").await["items"], json!([]));
}

#[tokio::test]
async fn destinations_are_made_changed_and_deleted() {
    let (rig, _receiver) = start().await;
    let made = add(&rig, "https://hooks.example.com/leads").await;
    assert_eq!((&made["enabled"], &made["disabled_reason"]), (&json!(true), &Value::Null));
    let path = format!("/api/v1/destinations/{}", made["id"].as_str().unwrap());
    assert_eq!(rig.get(&path).await, made);
    assert_eq!(rig.get("/api/v1/destinations").await, json!({"items": [made], "next_cursor": null}));

    let change = json!({"enabled": false, "event_types": ["lead.rejected", "lead.qualified"]});
    let changed = rig.call("PATCH", &path, change).await.expect(200);
    assert_eq!(changed["event_types"], json!(["lead.qualified", "lead.rejected"]));
    assert_eq!((&changed["enabled"], &changed["url"]), (&json!(false), &made["url"]));
    let newer = add(&rig, "https://hooks.example.com/b").await;
    let page = rig.get("/api/v1/destinations?limit=1").await;
    assert_eq!(page["items"], json!([newer]));
    let rest =
        rig.get(&format!("/api/v1/destinations?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!(rest["items"], json!([changed]));

    rig.call("DELETE", &path, Value::Null).await.expect(204);
    rig.call("DELETE", &path, Value::Null).await.expect_problem(404, "not_found");
    rig.call("PATCH", &path, json!({})).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn what_a_destination_can_bear_is_set_and_taken_away() {
    let (rig, _receiver) = start().await;
    let made = add(&rig, "https://hooks.example.com/leads").await;
    assert_eq!((&made["max_in_flight"], &made["per_second"]), (&Value::Null, &Value::Null));
    let path = format!("/api/v1/destinations/{}", made["id"].as_str().unwrap());
    let set = json!({"max_in_flight": 4, "per_second": 50});
    let changed = rig.call("PATCH", &path, set).await.expect(200);
    assert_eq!((&changed["max_in_flight"], &changed["per_second"]), (&json!(4), &json!(50)));
    let changed = rig.call("PATCH", &path, json!({"max_in_flight": null})).await.expect(200);
    assert_eq!((&changed["max_in_flight"], &changed["per_second"]), (&Value::Null, &json!(50)));
    assert_eq!(rig.get(&path).await, changed);
    for (body, field) in [
        (json!({"max_in_flight": 0}), "max_in_flight"),
        (json!({"max_in_flight": 1_025}), "max_in_flight"),
        (json!({"per_second": -1}), "per_second"),
        (json!({"per_second": 1.5}), "per_second"),
    ] {
        let problem = rig.call("PATCH", &path, body).await.expect_problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let body =
        json!({"url": "https://hooks.example.com/b", "event_types": ["lead.qualified"], "per_second": 5});
    assert_eq!(rig.call("POST", "/api/v1/destinations", body).await.expect(201)["per_second"], 5);
}

#[tokio::test]
async fn a_destination_that_could_never_work_is_refused() {
    let (rig, _receiver) = start().await;
    let types = json!(["lead.qualified"]);
    for (body, field, code) in [
        (json!({"event_types": types}), "url", "required"),
        (json!({"url": "https://example.com"}), "event_types", "required"),
        (json!({"url": "http://example.com", "event_types": types}), "url", "invalid_format"),
        (json!({"url": "https://user:pw@example.com", "event_types": types}), "url", "invalid_format"),
        (json!({"url": "https://10.0.0.1/", "event_types": types}), "url", "invalid_format"),
        (json!({"url": "https://[::1]/", "event_types": types}), "url", "invalid_format"),
        (
            json!({"url": format!("https://example.com/{}", "x".repeat(2_048)), "event_types": types}),
            "url",
            "too_long",
        ),
        (json!({"url": 5, "event_types": types}), "url", "invalid_type"),
        (json!({"url": "https://example.com", "event_types": []}), "event_types", "invalid_format"),
        (json!({"url": "https://example.com", "event_types": ["lead.won"]}), "event_types", "invalid_format"),
        (
            json!({"url": "https://example.com", "event_types": ["lead.qualified", "lead.qualified"]}),
            "event_types",
            "invalid_format",
        ),
        (
            json!({"url": "https://example.com", "event_types": types, "enabled": "yes"}),
            "enabled",
            "invalid_type",
        ),
    ] {
        let problem =
            rig.call("POST", "/api/v1/destinations", body).await.expect_problem(422, "validation_failed");
        assert_eq!(
            (&problem["errors"][0]["field"], &problem["errors"][0]["code"]),
            (&json!(field), &json!(code))
        );
    }
    assert_eq!(rig.get("/api/v1/destinations").await["items"], json!([]));
}
