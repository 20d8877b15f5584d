//! Against AgentFlow's own server.

use std::time::{Duration, SystemTime};

use agentflow_client::{
    Accepted, Client, Error, Failure, IdempotencyKey, InboundSecret, Lead, Prepared, Reason,
};
use agentflow_server::clock::Clock;

use crate::rig::Rig;

fn client_of(rig: &Rig) -> Client {
    client(rig, &rig.url, &rig.secret)
}

fn client(rig: &Rig, url: &str, secret: &str) -> Client {
    let secret = InboundSecret::new(secret).unwrap();
    Client::builder(url, secret).only_ca(rig.certificate.as_slice()).build().unwrap()
}

fn lead() -> Lead {
    Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co")
        .company("Stacklane")
        .message("We need 250 seats this quarter.")
        .source("website_contact_form")
        .timestamp("2024-11-14T08:44:00Z")
        .field("budget", 5000)
        .unwrap()
}

#[track_caller]
fn check_refused(outcome: Result<Accepted, Error>, status: u16, reason: Reason) {
    let error = outcome.unwrap_err();
    let problem = error.problem().expect("AgentFlow's own words");
    assert_eq!((problem.status, &problem.reason), (status, &reason), "{error}");
    assert_eq!((error.code(), error.attempts(), error.is_retryable()), (reason.code(), 1, false));
    assert!(!problem.title.is_empty() && !problem.detail.is_empty());
}

#[tokio::test]
async fn a_lead_is_accepted_and_the_same_body_is_known_again() {
    let rig = Rig::start().await;
    let client = client_of(&rig);
    let first = client.send(&lead()).await.unwrap();
    assert_eq!((first.duplicate, first.attempts), (false, 1));

    let again = client.send(&lead()).await.unwrap();
    assert_eq!((again.duplicate, again.lead_id), (true, first.lead_id));
    rig.stop().await;
}

#[tokio::test]
async fn a_prepared_lead_may_be_sent_as_often_as_one_likes() {
    let rig = Rig::start().await;
    let prepared = Prepared::new(&lead()).unwrap();
    let first = client_of(&rig).send_prepared(&prepared).await.unwrap();
    let again = client_of(&rig).send_prepared(&prepared).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(again.lead_id, first.lead_id);
    rig.stop().await;
}

#[tokio::test]
async fn a_body_that_is_json_already_is_accepted() {
    let rig = Rig::start().await;
    let body = r#" {"email": "jo@stacklane.co", "name": "Jo", "seats": 1.0e400} "#;
    assert!(!client_of(&rig).send_bytes(body).await.unwrap().duplicate);
    rig.stop().await;
}

#[tokio::test]
async fn many_leads_at_a_time_all_arrive() {
    let rig = Rig::start().await;
    let client = client_of(&rig);
    let sends = (0..20).map(|number| {
        let (client, lead) = (client.clone(), Lead::new("Jo", format!("jo.{number}@stacklane.co")));
        tokio::spawn(async move { client.send(&lead).await.unwrap().lead_id })
    });
    let mut ids = Vec::new();
    for send in sends.collect::<Vec<_>>() {
        ids.push(send.await.unwrap());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    rig.stop().await;
}

#[tokio::test]
async fn another_secret_is_refused() {
    let rig = Rig::start().await;
    let outcome = client(&rig, &rig.url, "whsec_another").send(&lead()).await;
    check_refused(outcome, 401, Reason::InvalidSignature);
    rig.stop().await;
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let rig = Rig::start().await;
    let (before, token) = rig.url.rsplit_once('/').unwrap();
    let other = format!("{before}/{}", "A".repeat(token.len()));
    check_refused(client(&rig, &other, &rig.secret).send(&lead()).await, 404, Reason::UnknownEndpoint);
    rig.stop().await;
}

#[tokio::test]
async fn a_refusal_is_heard_though_the_body_is_still_being_sent() {
    let rig = Rig::start().await;
    let unknown = rig.url.replace("/v1/inbound/", "/v1/inbound/A");
    let long = lead().field("page", "x".repeat(250_000)).unwrap();
    check_refused(client(&rig, &unknown, &rig.secret).send(&long).await, 404, Reason::UnknownEndpoint);
    rig.stop().await;
}

#[tokio::test]
async fn a_url_that_is_no_endpoint_s_is_refused() {
    let rig = Rig::start().await;
    let other = rig.url.replace("/inbound/", "/outbound/");
    check_refused(client(&rig, &other, &rig.secret).send(&lead()).await, 404, Reason::NotFound);
    rig.stop().await;
}

#[tokio::test]
async fn one_key_names_one_body() {
    let rig = Rig::start().await;
    let client = client_of(&rig);
    let key = IdempotencyKey::new("row-7").unwrap();
    let first = Prepared::new(&lead()).unwrap().with_key(key.clone());
    client.send_prepared(&first).await.unwrap();

    let other = Prepared::new(&lead().message("Another one.")).unwrap().with_key(key);
    check_refused(client.send_prepared(&other).await, 409, Reason::IdempotencyKeyReused);
    rig.stop().await;
}

#[tokio::test]
async fn a_wrong_clock_is_named_and_not_tried_again() {
    for (ahead, reason) in [(true, Reason::StaleTimestamp), (false, Reason::FutureTimestamp)] {
        let hour = Duration::from_secs(3600);
        let there = if ahead { SystemTime::now() + hour } else { SystemTime::now() - hour };
        let rig = Rig::start_with(Clock::manual(there.into()), |_| {}).await;
        let outcome = client_of(&rig).send(&lead()).await;
        assert!(outcome.as_ref().unwrap_err().to_string().contains("clock of this machine is wrong"));
        check_refused(outcome, 401, reason);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_takes_less_than_the_contract_allows_refuses() {
    let rig = Rig::start_with(Clock::system(), |config| config.limits.body_bytes_max = 1_024).await;
    let outcome = client_of(&rig).send(&lead().message("x".repeat(2_000))).await;
    check_refused(outcome, 413, Reason::BodyTooLarge);
    rig.stop().await;
}

#[tokio::test]
async fn what_breaks_the_contract_is_not_sent() {
    let rig = Rig::start().await;
    let client = client_of(&rig);
    let error = client.send(&Lead::new("", "jordan")).await.unwrap_err();
    assert_eq!((error.code(), error.attempts(), error.is_retryable()), ("validation_failed", 0, false));

    for (body, code) in [("{", "malformed_json"), ("[]", "malformed_json"), ("{}", "validation_failed")] {
        assert_eq!(client.send_bytes(body).await.unwrap_err().code(), code, "{body}");
    }
    let long = format!(r#"{{"name":"Jo","email":"jo@x.co","x":"{}"}}"#, "x".repeat(256 * 1024));
    assert_eq!(client.send_bytes(long).await.unwrap_err().code(), "body_too_large");
    rig.stop().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_it() {
    let rig = Rig::start().await;
    let secret = InboundSecret::new(rig.secret.as_str()).unwrap();
    let error = Client::new(&rig.url, secret).unwrap().send(&lead()).await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::UntrustedCertificate(_))), "{error}");
    assert_eq!((error.code(), error.attempts(), error.is_retryable()), ("untrusted_certificate", 1, false));
    rig.stop().await;
}
