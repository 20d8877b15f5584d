//! Neither a credential nor a word of a lead is in what is shown of anything.

use std::fmt::Debug;

use agentflow_client::{Client, Error, IdempotencyKey, InboundSecret, Lead, Prepared, Reason, blocking};

use crate::script::{SECRET, Script, Step, problem, reply};

/// In the URL, the secret, every field, the key, and in every echo of the other side.
const NEEDLE: &str = "Needle7";

#[track_caller]
fn hides(shown: &impl Debug) {
    for text in [format!("{shown:?}"), format!("{shown:#?}")] {
        for needle in [NEEDLE, "needle7", "TOKEN", SECRET, "whsec_", "stacklane"] {
            assert!(!text.contains(needle), "{needle} in {text}");
        }
    }
}

#[track_caller]
fn hides_error(error: &impl std::error::Error) {
    hides(error);
    hides(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        hides(&error);
        hides(&error.to_string());
        cause = error.source();
    }
}

fn lead() -> Lead {
    Lead::new(format!("Jordan {NEEDLE}"), format!("{NEEDLE}@stacklane.co"))
        .company(NEEDLE)
        .message(NEEDLE)
        .source(NEEDLE)
        .timestamp("2024-11-14T08:44:00Z")
        .field(NEEDLE, NEEDLE)
        .unwrap()
}

fn key() -> IdempotencyKey {
    IdempotencyKey::new(NEEDLE).unwrap()
}

fn url() -> String {
    format!("https://leads.example/v1/inbound/{NEEDLE}?{NEEDLE}")
}

fn secret() -> InboundSecret {
    InboundSecret::new(format!("whsec_{NEEDLE}")).unwrap()
}

#[test]
fn types_hide_what_they_hold() {
    hides(&lead());
    hides(&key());
    hides(&Prepared::new(&lead()).unwrap().with_key(key()));
    hides(&secret());
    let builder = Client::builder(&url(), secret()).user_agent_suffix(NEEDLE);
    hides(&builder);
    let client = builder.clone().build().unwrap();
    hides(&client);
    assert!(format!("{client:?}").contains("leads.example"), "the host is shown");
    hides(&blocking::Client::new(&url(), secret()).unwrap());
}

#[test]
fn errors_before_anything_is_sent_hide_what_was_refused() {
    let refused = [
        format!("http://leads.example/{NEEDLE}"),
        format!("https://{NEEDLE}:{NEEDLE}@leads.example/{NEEDLE}"),
        format!("https://leads.example/#{NEEDLE}"),
        format!("{NEEDLE} {NEEDLE}"),
        format!("https://leads.example:{NEEDLE}/"),
        format!("https://leads.example/{NEEDLE}\n"),
    ];
    for url in refused {
        hides_error(&Client::new(&url, secret()).unwrap_err());
    }
    let builder = Client::builder(&url(), secret());
    hides_error(&builder.clone().user_agent_suffix(format!("{NEEDLE}\n")).build().unwrap_err());
    hides_error(&builder.only_ca(NEEDLE).build().unwrap_err());
    hides_error(&IdempotencyKey::new(format!("{NEEDLE} ")).unwrap_err());
    hides_error(&IdempotencyKey::new(NEEDLE.repeat(40)).unwrap_err());
    hides_error(&Error::from(InboundSecret::new(format!("{NEEDLE} ")).unwrap_err()));
    hides_error(&lead().field("name", NEEDLE).unwrap_err());
    hides_error(&lead().field(NEEDLE, std::collections::HashMap::from([([1], NEEDLE)])).unwrap_err());
}

#[test]
fn violations_hide_the_values_that_break_the_rules() {
    let bad = [
        Lead::new("", format!("{NEEDLE}@{NEEDLE}")).timestamp(NEEDLE).to_json(),
        Lead::new(NEEDLE.repeat(40), NEEDLE).company(NEEDLE.repeat(40)).to_json(),
        format!(r#"{{"name":["{NEEDLE}"],"email":{{"{NEEDLE}":1}}}}"#),
        format!(r#"{{"{NEEDLE}":1,"{NEEDLE}":2}}"#),
        format!(r#"{{"{NEEDLE}"#),
        format!(r#""{NEEDLE}""#),
    ];
    for body in bad {
        hides_error(&Prepared::from_json(body).unwrap_err());
    }
}

#[tokio::test]
async fn failures_hide_what_the_other_side_echoes() {
    let words = format!(
        r#""type":"{NEEDLE}","title":"{NEEDLE}","detail":"{NEEDLE}@stacklane.co TOKEN {SECRET}","{NEEDLE}":1"#
    );
    let field = |field: &str, code: &str| {
        format!(
            r#"{{"reason":"validation_failed",{words},"errors":[{{"field":"{field}","code":"{code}","message":"{NEEDLE}"}}]}}"#
        )
    };
    let steps = [
        problem("422 Unprocessable", "", &field("email", "invalid_format")),
        problem("422 Unprocessable", "", &field(NEEDLE, "required")),
        problem("422 Unprocessable", "", &field("name", NEEDLE)),
        problem("401 No", "", &format!(r#"{{"reason":"invalid_signature",{words}}}"#)),
        problem("400 No", "", &format!(r#"{{"reason":"{NEEDLE}"}}"#)),
        reply(&format!("404 {NEEDLE}"), &format!("X-{NEEDLE}: {NEEDLE}\r\n"), NEEDLE),
        reply("307 Moved", &format!("Location: https://{NEEDLE}.example/{NEEDLE}\r\n"), ""),
        reply(
            "202 Accepted",
            "",
            &format!(r#"{{"status":"received","lead_id":"lead_{NEEDLE}","duplicate":false}}"#),
        ),
        Step::Say(format!("{NEEDLE} {NEEDLE}\r\n\r\n")),
        Step::Say(format!("HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n{NEEDLE}")),
    ];
    for step in steps {
        let script = Script::start([step]).await;
        let error = script.builder().attempts(1).build().unwrap().send(&lead()).await.unwrap_err();
        hides_error(&error);
        hides_error(error.failure().unwrap());
        if let Some(problem) = error.problem() {
            hides(problem);
            hides(&problem.to_string());
            problem.errors.iter().for_each(|error| hides(error));
            assert!(problem.detail.contains(NEEDLE), "told to whoever asks for it");
        }
    }
}

#[tokio::test]
async fn connections_that_fail_hide_where_they_went() {
    let script = Script::start([]).await;
    let untrusting = Client::new(&script.url, secret()).unwrap();
    hides_error(&untrusting.send(&lead()).await.unwrap_err());
    let closed = script.builder().attempts(1).build().unwrap();
    hides_error(&closed.send(&lead()).await.unwrap_err());
}

#[test]
fn reasons_show_their_code() {
    assert_eq!(format!("{}", Reason::StaleTimestamp), "stale_timestamp");
}
