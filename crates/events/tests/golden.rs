//! The bytes that destinations are promised, one file an event, written by hand from the contract.

#![expect(
    clippy::unwrap_used,
    reason = "outside its test functions, too, a test may stop where it cannot go on"
)]

use agentflow_events::{
    Action, Confidence, DecidedBy, Decision, Event, EventType, Fields, LeadSnapshot, Outcome, Qualification,
};

#[path = "support/mod.rs"]
mod support;
use support::{dimensions, lead_qualified, score};

#[track_caller]
fn check(event: &Event, golden: &str) {
    let written = String::from_utf8(event.to_bytes()).unwrap();
    assert_eq!(written, golden);
    assert_eq!(&Event::parse(golden.as_bytes()).unwrap(), event);
}

#[test]
fn writes_a_qualified_lead() {
    check(&lead_qualified(), include_str!("golden/lead_qualified.json"));
}

#[test]
fn writes_a_rejected_lead_with_every_absent_value_as_null() {
    let mut event = lead_qualified();
    event.event_type = EventType::LeadRejected;
    event.data.lead = LeadSnapshot {
        name: "Łukasz \"Zed\" \\ O’Neil".to_owned(),
        email: "jordan.ellis@stacklane.co".to_owned(),
        company: None,
        message: None,
        source: None,
        submitted_at: None,
        fields: Fields::empty(),
        previous_lead_id: Some("lead_0192f3a1000070008000000000000000".parse().unwrap()),
    };
    event.data.qualification = Qualification {
        score: score(0),
        confidence: Confidence::Low,
        summary: "A free-mail address and no message.".to_owned(),
        recommended_action: Action::Reject,
        dimensions: dimensions([0, 0, 0, 100]),
        scored_by: "rules/1".to_owned(),
    };
    event.data.decision =
        Decision { outcome: Outcome::Rejected, by: DecidedBy::Auto, operator_id: None, note: None };
    event.data.timestamps.decided_at = Some(event.data.timestamps.scored_at);
    check(&event, include_str!("golden/lead_rejected.json"));
}

#[test]
fn writes_a_requested_review_that_is_not_decided() {
    let mut event = lead_qualified();
    event.event_type = EventType::LeadReviewRequested;
    event.data.lead.message = Some("line one\nline two\ttabbed\u{1}".to_owned());
    event.data.qualification = Qualification {
        score: score(55),
        confidence: Confidence::Medium,
        summary: "A clear need, but nothing speaks for a budget.".to_owned(),
        recommended_action: Action::Review,
        dimensions: dimensions([60, 70, 20, 50]),
        scored_by: "rules/1".to_owned(),
    };
    event.data.decision =
        Decision { outcome: Outcome::ReviewRequested, by: DecidedBy::Auto, operator_id: None, note: None };
    event.data.timestamps.decided_at = None;
    check(&event, include_str!("golden/lead_review_requested.json"));
}

#[test]
fn marks_a_test_event_at_the_top() {
    let mut event = lead_qualified();
    event.test = true;
    event.data.decision.by = DecidedBy::Auto;
    event.data.decision.operator_id = None;
    check(&event, include_str!("golden/test_event.json"));
}

#[test]
fn passes_additional_fields_on_byte_for_byte() {
    let mut event = lead_qualified();
    event.event_type = EventType::LeadRejected;
    event.data.lead.fields = Fields::parse(
        r#"{"seats":0.10,"account":123456789012345678901234567890,"tiny":-1E-400,"nested":{"ids":[9007199254740993,1.0]},"\u00fc\n":"\ud83d\ude00 \/","empty":null}"#,
    )
    .unwrap();
    event.data.decision.outcome = Outcome::Rejected;
    event.data.decision.note = Some("Not now: \"next year\"".to_owned());
    check(&event, include_str!("golden/extra_fields.json"));
}

#[test]
fn reads_the_parts_back_that_a_store_may_keep_on_their_own() {
    let data = lead_qualified().data;
    let read = |json: String| serde_json::from_str(&json).unwrap();
    assert_eq!(data.qualification, read(serde_json::to_string(&data.qualification).unwrap()));
    let json = serde_json::to_string(&data.decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), data.decision);
    let json = serde_json::to_string(&data.timestamps).unwrap();
    assert_eq!(serde_json::from_str::<agentflow_events::Timestamps>(&json).unwrap(), data.timestamps);
}
