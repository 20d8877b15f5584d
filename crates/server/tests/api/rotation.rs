//! Secrets that are changed step by step.

use std::time::Duration;

use agentflow_server::clock::Clock;
use agentflow_signature::{OutboundSecret, Signer, Timestamp, Verifier};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::rig::{Rig, lead_of, seconds};

/// A server whose time the test drives, and a destination for everything.
async fn start() -> (Rig, Receiver) {
    let receiver = Receiver::start().await;
    let certificate = receiver.certificate();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Clock::system().now());
    let rig = Rig::start_at(clock, folder, |config| config.delivery.extra_ca = Some(certificate)).await;
    let types = json!(["lead.qualified", "lead.rejected", "lead.review_requested"]);
    let body = json!({"url": receiver.url(204), "event_types": types});
    rig.call("POST", "/api/v1/destinations", body).await.expect(201);
    (rig, receiver)
}

fn secret(text: &str) -> OutboundSecret {
    OutboundSecret::new(text).unwrap()
}

/// Whether AgentFlow's own header is of this secret, and how many signatures of the Standard Webhooks header are.
fn signed_with(clock: &Clock, headers: &HeaderMap, body: &Bytes, text: &str) -> (bool, usize) {
    let own = Verifier::new(secret(text)).verify(headers, body, seconds(clock)).is_ok();
    let header = |name: &str| headers[name].to_str().unwrap();
    let at: u64 = header("webhook-timestamp").parse().unwrap();
    let expected = Signer::new(&secret(text)).sign_standard(
        header("webhook-id"),
        body,
        Timestamp::from_unix_seconds(at),
    );
    let all = header("webhook-signature").split(' ');
    (own, all.filter(|one| *one == expected.signature()).count())
}

async fn event(rig: &Rig, receiver: &mut Receiver, name: &str) -> (HeaderMap, Bytes) {
    rig.lead(lead_of(name)).await;
    receiver.next().await
}

/// State and valid_until of a direction's secrets, newest first.
async fn states(rig: &Rig, direction: &str) -> Vec<(String, bool)> {
    let page = rig.get("/api/v1/secrets").await;
    let of = |row: &&Value| row["direction"] == direction;
    let told = |row: &Value| (row["state"].as_str().unwrap().to_owned(), !row["valid_until"].is_null());
    page["items"].as_array().unwrap().iter().filter(of).map(told).collect()
}

fn told(states: &[(&str, bool)]) -> Vec<(String, bool)> {
    states.iter().map(|(state, ends)| ((*state).to_owned(), *ends)).collect()
}

#[tokio::test]
async fn an_announced_outbound_secret_signs_from_its_time_on_beside_the_old_one_until_its_end() {
    let (mut rig, mut receiver) = start().await;
    let certificate = receiver.certificate();
    let old = rig.first.outbound_secret.clone();
    let asked = json!({"activate_after_seconds": 3_600, "overlap_seconds": 7_200});
    let fresh = rig.call("POST", "/api/v1/secrets/outbound/rotate", asked.clone()).await.expect(200);
    let new = fresh["secret"].as_str().unwrap().to_owned();
    rig.call("POST", "/api/v1/secrets/outbound/rotate", asked).await.expect_problem(400, "bad_request");

    for (step, names) in [["Ada", "Ben"], ["Cleo", "Dan"], ["Eve", "Finn"]].into_iter().enumerate() {
        // Each state is the same after a restart in its midst.
        for name in names {
            let (headers, body) = event(&rig, &mut receiver, name).await;
            let with = |text: &str| signed_with(&rig.clock, &headers, &body, text);
            let (expected_old, expected_new, expected_states) = match step {
                0 => ((true, 1), (false, 0), told(&[("pending", false), ("active", true)])),
                1 => ((false, 1), (true, 1), told(&[("active", false), ("retiring", true)])),
                _ => ((false, 0), (true, 1), told(&[("active", false)])),
            };
            assert_eq!((with(&old), with(&new)), (expected_old, expected_new), "{name}");
            assert_eq!(states(&rig, "outbound").await, expected_states, "{name}");
            let certificate = certificate.clone();
            rig = rig.restart(|config| config.delivery.extra_ca = Some(certificate)).await;
        }
        rig.clock.advance(Duration::from_secs([3_600, 7_200, 0][step]));
    }
    let text = rig.get("/api/v1/secrets").await.to_string();
    assert!(!text.contains("whsec_"), "{text}");
}

#[tokio::test]
async fn a_pending_secret_is_cancelled_and_the_present_one_has_no_end_again() {
    let (rig, mut receiver) = start().await;
    let asked = json!({"activate_after_seconds": 60});
    let fresh = rig.call("POST", "/api/v1/secrets/outbound/rotate", asked).await.expect(200);
    let path = |id: &Value| format!("/api/v1/secrets/outbound/{}", id.as_str().unwrap());
    let active = rig.get("/api/v1/secrets").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["state"] == "active" && row["direction"] == "outbound")
        .unwrap()["id"]
        .clone();
    rig.call("DELETE", &path(&active), Value::Null).await.expect_problem(400, "bad_request");
    rig.call("DELETE", &path(&fresh["id"]), Value::Null).await.expect(204);
    rig.call("DELETE", &path(&fresh["id"]), Value::Null).await.expect_problem(404, "not_found");
    assert_eq!(states(&rig, "outbound").await, told(&[("active", false)]));
    rig.clock.advance(Duration::from_secs(90_000));
    let (headers, body) = event(&rig, &mut receiver, "Ada").await;
    let first = rig.first.outbound_secret.clone();
    assert_eq!(signed_with(&rig.clock, &headers, &body, &first), (true, 1));
}

#[tokio::test]
async fn without_an_announcement_the_new_outbound_secret_signs_at_once() {
    let (rig, mut receiver) = start().await;
    let fresh = rig.call("POST", "/api/v1/secrets/outbound/rotate", Value::Null).await.expect(200);
    assert_eq!(fresh["active_from"], fresh["created_at"]);
    let (headers, body) = event(&rig, &mut receiver, "Ada").await;
    let with = |text: &str| signed_with(&rig.clock, &headers, &body, text);
    assert_eq!(with(fresh["secret"].as_str().unwrap()), (true, 1));
    assert_eq!(with(&rig.first.outbound_secret), (false, 1));
    let wrong = json!({"activate_after_seconds": 60});
    rig.call("POST", "/api/v1/secrets/inbound/rotate", wrong).await.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn uses_of_the_old_inbound_secret_are_told_until_it_is_dropped() {
    let (rig, _receiver) = start().await;
    let (url, old) = (rig.first.inbound_url.clone(), rig.first.inbound_secret.clone());
    let fresh = rig.call("POST", "/api/v1/secrets/inbound/rotate", Value::Null).await.expect(200);
    for name in ["Ada", "Ben"] {
        assert_eq!(rig.lead_signed(&url, &old, lead_of(name)).await.status, 202);
    }
    rig.clock.advance(Duration::from_secs(60));
    let last = rig.clock.now();
    assert_eq!(rig.lead_signed(&url, &old, lead_of("Cleo")).await.status, 202);
    assert_eq!(rig.lead_signed(&url, fresh["secret"].as_str().unwrap(), lead_of("Dan")).await.status, 202);

    let uses = async |rig: &Rig| {
        let page = rig.get("/api/v1/secrets").await;
        let row = page["items"].as_array().unwrap().iter();
        let old = row.clone().find(|row| row["state"] == "retiring").unwrap().clone();
        (old["uses"].clone(), old["last_used_at"].clone(), old["id"].clone())
    };
    let before = uses(&rig).await;
    assert_eq!((&before.0, &before.1), (&json!(3), &json!(last.to_string())));
    let rig = rig.restart(|_| {}).await;
    assert_eq!(uses(&rig).await, before, "they survive a restart");

    let path = format!("/api/v1/secrets/inbound/{}", before.2.as_str().unwrap());
    rig.call("DELETE", &path, Value::Null).await.expect(204);
    rig.lead_signed(&url, &old, lead_of("Eve")).await.expect_problem(401, "invalid_signature");
    let audit = rig.get("/api/v1/audit").await;
    assert_eq!(
        (&audit["items"][0]["action"], &audit["items"][0]["subject"]),
        (&json!("secret.drop"), &before.2)
    );
}
