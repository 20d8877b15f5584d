//! Leads over the wire: every status and reason of the intake, in the order of its checks, and what the log keeps.

use std::collections::BTreeSet;

use agentflow_server::store::sqlite::SqliteStore;
use agentflow_server::store::{AdminStore, InboundLogFilter, PageRequest, QueryStore, Store};
use agentflow_signature::{InboundSecret, Signer, Timestamp};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::rig::{Answer, Rig, lead_of, now};

struct Sender<'a> {
    rig: &'a Rig,
    path: String,
    secret: InboundSecret,
}

impl<'a> Sender<'a> {
    fn new(rig: &'a Rig) -> Self {
        let path = rig.first.inbound_url.parse::<http::Uri>().unwrap().path().to_owned();
        Self { rig, path, secret: InboundSecret::new(&*rig.first.inbound_secret).unwrap() }
    }

    fn headers_at(&self, body: &str, at: Timestamp) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json; charset=utf-8".parse().unwrap());
        Signer::new(&self.secret).sign(body.as_bytes(), at).insert_into(&mut headers);
        headers
    }

    async fn send(&self, body: &str) -> Answer {
        self.send_with(body, |_| {}).await
    }

    async fn send_with(&self, body: &str, change: impl FnOnce(&mut HeaderMap)) -> Answer {
        let mut headers = self.headers_at(body, now());
        change(&mut headers);
        self.rig.send(Method::POST, &self.path, headers, body.to_owned()).await
    }
}

fn set(name: &'static str, value: &'static str) -> impl FnOnce(&mut HeaderMap) {
    move |headers| {
        headers.insert(name, value.parse().unwrap());
    }
}

fn shifted(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(now().as_unix_seconds().checked_add_signed(seconds).unwrap())
}

#[tokio::test]
async fn refuses_with_the_reason_of_the_first_check_that_fails() {
    let rig = Rig::start().await;
    let sender = Sender::new(&rig);
    let body = lead_of("Jordan").to_string();

    let headers = sender.headers_at(&body, now());
    let unknown = "/v1/inbound/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    rig.send(Method::POST, unknown, headers.clone(), body.clone())
        .await
        .expect_problem(404, "unknown_endpoint");
    let refused = rig.send(Method::PUT, &sender.path, headers, body.clone()).await;
    assert_eq!(refused.headers["allow"], "POST");
    refused.expect_problem(405, "method_not_allowed");
    sender
        .send_with(&body, set("content-type", "text/plain"))
        .await
        .expect_problem(415, "unsupported_media_type");
    sender
        .send_with(&body, set("content-encoding", "gzip"))
        .await
        .expect_problem(415, "unsupported_media_type");
    sender.send(&"x".repeat(256 * 1024 + 1)).await.expect_problem(413, "body_too_large");

    let missing = sender.send_with(&body, |headers| drop(headers.remove("x-agentflow-signature"))).await;
    assert_eq!(missing.headers["www-authenticate"], "AgentFlow");
    missing.expect_problem(401, "missing_signature");
    sender
        .send_with(&body, |headers| drop(headers.remove("x-agentflow-timestamp")))
        .await
        .expect_problem(401, "missing_timestamp");
    sender
        .send_with(&body, set("x-agentflow-timestamp", "+5"))
        .await
        .expect_problem(400, "malformed_timestamp");
    sender
        .send_with(&body, |headers| {
            headers.append("x-agentflow-timestamp", "5".parse().unwrap());
        })
        .await
        .expect_problem(400, "malformed_timestamp");
    sender
        .send_with(&body, set("x-agentflow-signature", "sha256=ABC"))
        .await
        .expect_problem(400, "malformed_signature");
    for (seconds, reason) in [(-302, "stale_timestamp"), (310, "future_timestamp")] {
        let headers = sender.headers_at(&body, shifted(seconds));
        rig.send(Method::POST, &sender.path, headers, body.clone()).await.expect_problem(401, reason);
    }
    let headers = sender.headers_at("another body", now());
    rig.send(Method::POST, &sender.path, headers, body.clone())
        .await
        .expect_problem(401, "invalid_signature");

    for malformed in
        ["{", "[]", "{\"name\":1,\"name\":2}", "\u{feff}{}", "{\"name\":\"\\ud800\"}", "{\"a\":\"\\u0000\"}"]
    {
        sender.send(malformed).await.expect_problem(400, "malformed_json");
    }
    let invalid = json!({"email": "nobody", "company": 5, "message": "x".repeat(10_001)}).to_string();
    let problem = sender.send(&invalid).await.expect_problem(422, "validation_failed");
    let codes: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| (&e["field"], &e["code"])).collect();
    assert_eq!(
        json!(codes),
        json!([
            ["name", "required"],
            ["email", "invalid_format"],
            ["company", "invalid_type"],
            ["message", "too_long"]
        ])
    );
    sender.send(&body).await.expect(202);

    // Log rows of refusals are batched, and what is said of signatures is found after the reply.
    let log = logged(&rig, 19).await;
    let reasons: Vec<_> = log.iter().filter_map(|row| row["reason"].as_str()).collect();
    for reason in
        ["method_not_allowed", "body_too_large", "stale_timestamp", "invalid_signature", "validation_failed"]
    {
        assert!(reasons.contains(&reason), "{reason} in {reasons:?}");
    }
    assert!(!reasons.contains(&"unknown_endpoint"), "requests for unknown tokens are counted, not stored");
    rig.stop().await;
}

/// The inbound log's rows of refusals once there are so many, oldest first.
async fn logged(rig: &Rig, count: usize) -> Vec<Value> {
    loop {
        let log = rig.get("/api/v1/inbound-logs?status=rejected&limit=100").await;
        let rows = log["items"].as_array().unwrap();
        if rows.len() >= count {
            return rows.iter().rev().cloned().collect();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_wrong_with_a_signature_is_in_the_log_and_never_in_the_reply() {
    let rig = Rig::start().await;
    let sender = Sender::new(&rig);
    let sent = lead_of("Jordan").to_string();
    let signed = sent.replace("\":", "\": ").replace(",\"", ", \"");
    let headers = sender.headers_at(&signed, now());
    let refused = rig.send(Method::POST, &sender.path, headers, sent.clone()).await;
    let rewritten = refused.expect_problem(401, "invalid_signature");
    let headers = sender.headers_at("another body", now());
    let refused = rig.send(Method::POST, &sender.path, headers, sent.clone()).await;
    assert_eq!(refused.expect_problem(401, "invalid_signature"), rewritten, "the reply tells nothing more");

    let rows = logged(&rig, 2).await;
    let codes: Vec<_> = rows.iter().map(|row| row["finding"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["json_rewritten", "unexplained"]);
    let message = rows[0]["finding"]["message"].as_str().unwrap();
    assert!(message.contains("json.dumps"), "{message}");
    assert!(!message.contains(&*rig.first.inbound_secret) && !message.contains("jordan"), "{message}");
    assert_eq!(rows[0]["reason"], "invalid_signature");

    sender.send(&sent).await.expect(202);
    let accepted = rig.get("/api/v1/inbound-logs?status=received").await;
    assert_eq!(accepted["items"][0]["finding"], Value::Null);
    rig.stop().await;
}

#[tokio::test]
async fn a_secret_of_the_other_direction_and_a_clock_that_is_off_are_told_apart() {
    let rig = Rig::start().await;
    let mut sender = Sender::new(&rig);
    let body = lead_of("Jordan").to_string();
    let headers = sender.headers_at(&body, shifted(-900));
    rig.send(Method::POST, &sender.path, headers, body.clone()).await.expect_problem(401, "stale_timestamp");
    sender.secret = InboundSecret::new(&*rig.first.outbound_secret).unwrap();
    sender.send(&body).await.expect_problem(401, "invalid_signature");
    let rows = logged(&rig, 2).await;
    assert_eq!(rows[0]["finding"]["code"], "clock_behind");
    assert!(rows[0]["finding"]["message"].as_str().unwrap().starts_with("the signature is right; "));
    assert_eq!(rows[1]["finding"]["code"], "secret_of_other_direction");
    rig.stop().await;
}

#[tokio::test]
async fn refusals_that_are_being_looked_into_are_logged_before_the_end() {
    let rig = Rig::start().await;
    let sender = Sender::new(&rig);
    let headers = sender.headers_at("another body", now());
    // There are many ways to write this one, so it is looked into for longer than the end takes.
    let body = format!("[{}0]", r#"{"b":"<","a/é":1},"#.repeat(3_000));
    for _ in 0..3 {
        rig.send(Method::POST, &sender.path, headers.clone(), body.clone())
            .await
            .expect_problem(401, "invalid_signature");
    }
    let folder = rig.stop().await;
    let store = SqliteStore::open(&folder.path().join("data/agentflow.db")).unwrap();
    let workspace = store.workspaces().await.unwrap()[0].id;
    let page = PageRequest { cursor: None, limit: 10 };
    let log = store.inbound_log(workspace, &InboundLogFilter::default(), page).await.unwrap();
    let codes: Vec<_> = log.items.iter().filter_map(|row| row.finding.as_ref()).map(|f| &f.code).collect();
    assert_eq!(codes, ["unexplained"; 3]);
    store.close().await;
}

#[tokio::test]
async fn large_bodies_and_floods_are_logged_as_not_looked_into() {
    let rig = Rig::start().await;
    let sender = Sender::new(&rig);
    let large = json!({"name": "Jordan", "message": "x".repeat(64 * 1024)}).to_string();
    let headers = sender.headers_at("another body", now());
    rig.send(Method::POST, &sender.path, headers.clone(), large)
        .await
        .expect_problem(401, "invalid_signature");
    let floods = (0..24).map(|_| rig.send(Method::POST, &sender.path, headers.clone(), "{}".to_owned()));
    futures_util::future::join_all(floods).await;
    let rows = logged(&rig, 25).await;
    let (of_flood, of_large): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["body_bytes"] == 2);
    assert_eq!(of_large[0]["finding"]["code"], "skipped_body_too_large");
    let told = of_large[0]["finding"]["message"].as_str().unwrap();
    assert!(told.ends_with("; not looked into: its body is over 64 KiB"), "{told}");
    let codes: BTreeSet<_> = of_flood.iter().map(|row| row["finding"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["skipped_too_many", "unexplained"].into(), "not every refusal is worth the work");
    rig.stop().await;
}

#[tokio::test]
async fn a_repeated_body_or_key_gets_the_first_reply() {
    let rig = Rig::start().await;
    let sender = Sender::new(&rig);
    let body = lead_of("Jordan").to_string();
    let first = sender.send_with(&body, set("idempotency-key", "key-1")).await.expect(202);
    assert_eq!((&first["status"], &first["duplicate"]), (&json!("received"), &json!(false)));
    let again = sender.send(&body).await.expect(200);
    assert_eq!((&again["lead_id"], &again["duplicate"]), (&first["lead_id"], &json!(true)));
    let other = lead_of("Ada").to_string();
    sender
        .send_with(&other, set("idempotency-key", "key-1"))
        .await
        .expect_problem(409, "idempotency_key_reused");
    // The key is known, so that is said even of a body that would be refused.
    sender
        .send_with("{", set("idempotency-key", "key-1"))
        .await
        .expect_problem(409, "idempotency_key_reused");
    sender.send_with(&other, set("idempotency-key", "no spaces")).await.expect_problem(400, "bad_request");
    // A duplicate records no key.
    sender.send_with(&body, set("idempotency-key", "key-2")).await.expect(200);
    sender.send_with(&other, set("idempotency-key", "key-2")).await.expect(202);
    let log = rig.get("/api/v1/inbound-logs?status=duplicate").await;
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_further_submission_joins_the_open_lead_and_one_after_it_names_the_closed_one() {
    let rig = Rig::start().await;
    rig.call("PUT", "/api/v1/settings", json!({"auto_approve_at": null, "auto_reject_below": null}))
        .await
        .expect(200);
    let first =
        rig.lead(json!({"name": "Jordan", "email": "Jordan@Stacklane.co", "budget": 1.50, "a": 1})).await;
    let more =
        json!({"name": "Jordan Ellis", "email": "jordan@stacklane.co", "message": "A demo please", "a": 2});
    let second = rig.lead(more).await;
    assert_eq!(second["lead_id"], first["lead_id"]);
    let path = format!("/api/v1/leads/{}", first["lead_id"].as_str().unwrap());
    let lead = rig.get(&path).await;
    assert_eq!(
        (&lead["version"], &lead["state"], &lead["name"]),
        (&json!(2), &json!("in_review"), &json!("Jordan Ellis"))
    );
    assert_eq!(lead["fields"], json!({"budget": 1.50, "a": 2}));
    assert_eq!(lead["submissions"].as_array().unwrap().len(), 2);
    assert_eq!(lead["events"].as_array().unwrap().len(), 1, "the lead entered the review once");

    rig.call("POST", &format!("{path}/decision"), json!({"outcome": "rejected"})).await.expect(200);
    let third = rig.lead(json!({"name": "Jordan", "email": "jordan@stacklane.co"})).await;
    assert_ne!(third["lead_id"], first["lead_id"]);
    let new = rig.get(&format!("/api/v1/leads/{}", third["lead_id"].as_str().unwrap())).await;
    assert_eq!(new["previous_lead_id"], first["lead_id"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_crowd_with_one_email_makes_one_open_lead() {
    let rig = Rig::start().await;
    rig.call("PUT", "/api/v1/settings", json!({"auto_approve_at": null, "auto_reject_below": null}))
        .await
        .expect(200);
    let sends = (0..24).map(|n| rig.lead(json!({"name": "Jordan", "email": "j@stacklane.co", "n": n})));
    let leads: std::collections::HashSet<String> = futures_util::future::join_all(sends)
        .await
        .iter()
        .map(|receipt| receipt["lead_id"].to_string())
        .collect();
    assert_eq!(leads.len(), 1, "{leads:?}");
    let all = rig.get("/api/v1/leads?email=j@stacklane.co").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    assert_eq!(all["items"][0]["version"], json!(24));
    rig.stop().await;
}

#[tokio::test]
async fn the_workspaces_rate_is_kept_and_a_known_body_is_answered_all_the_same() {
    let rig = Rig::start_with(|config| config.limits.requests_per_second = Some(1)).await;
    let sender = Sender::new(&rig);
    let known = lead_of("Jordan").to_string();
    sender.send(&known).await.expect(202);
    let mut limited = None;
    for n in 0..50 {
        let answer =
            sender.send(&json!({"name": "Ada", "email": format!("a{n}@stacklane.co")}).to_string()).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("fifty requests at once pass one a second");
    assert!(limited.headers.contains_key("retry-after"));
    limited.expect_problem(429, "rate_limited");
    assert_eq!(sender.send(&known).await.expect(200)["duplicate"], Value::Bool(true));
    rig.stop().await;
}
