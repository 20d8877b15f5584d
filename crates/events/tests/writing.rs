//! An event's bytes are those that serde_json writes, whatever stands in it.

#![expect(
    clippy::unwrap_used,
    reason = "outside its test functions, too, a test may stop where it cannot go on"
)]

use agentflow_events::{Event, EventRef, Fields, Moment, Score};
use proptest::prelude::*;
use serde_json::value::RawValue;

#[path = "support/mod.rs"]
mod support;
use support::lead_qualified;

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// The body as serde_json writes it; the envelope's own words need no escapes.
fn by_serde(event: &Event) -> String {
    format!(
        r#"{{"id":{},"type":{},"api_version":"1","timestamp":{},"workspace_id":{},"lead_id":{},"data":{}}}"#,
        json(&event.id),
        json(&event.event_type),
        json(&event.timestamp),
        json(&event.workspace_id),
        json(&event.lead_id),
        json(&event.data),
    )
}

/// Texts of one piece and of several, with what needs an escape, what nearly does, and anything.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z ]{0,70}",
        1 => "[\u{0}-\u{20}\"\\\\/\u{7f}\u{80}\u{2028}]{1,3}",
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn event() -> impl Strategy<Value = Event> {
    let texts = (text(), text(), text(), text(), proptest::collection::vec(proptest::option::of(text()), 5));
    (texts, any::<[u8; 16]>(), any::<i64>(), 0..=100_u8, any::<[bool; 3]>()).prop_map(
        |((name, email, summary, key, mut optional), id, millis, score, flags)| {
            let mut event = lead_qualified();
            event.id = agentflow_events::Id::from_bytes(id);
            event.timestamp = Moment::from_unix_millis(millis);
            let lead = &mut event.data.lead;
            (lead.name, lead.email) = (name, email);
            lead.company = optional.pop().flatten();
            lead.message = optional.pop().flatten();
            lead.source = optional.pop().flatten();
            lead.submitted_at = optional.pop().flatten();
            let value = RawValue::from_string("[1.0e400, null]".to_owned()).unwrap();
            lead.fields = Fields::from_iter([(key, value)]);
            lead.previous_lead_id = flags[0].then_some(event.lead_id);
            event.data.qualification.summary = summary;
            event.data.qualification.dimensions.timeline = Score::new(score).unwrap();
            event.data.decision.note = optional.pop().flatten();
            event.data.decision.operator_id = event.data.decision.operator_id.filter(|_| flags[1]);
            event.data.timestamps.decided_at = flags[2].then_some(event.timestamp);
            event
        },
    )
}

proptest! {
    #[test]
    fn writes_what_serde_json_writes(event in event()) {
        let written = String::from_utf8(event.to_bytes()).unwrap();
        prop_assert_eq!(&written, &by_serde(&event));
        prop_assert_eq!(EventRef::from(&event).to_bytes(), written.as_bytes());
    }
}

#[test]
fn escapes_every_character_of_ascii_as_serde_json_does() {
    let mut event = lead_qualified();
    for code in 0..=0x80_u8 {
        let character = char::from(code);
        event.data.lead.name = format!("before {character} and after it {character}{character}");
        assert_eq!(String::from_utf8(event.to_bytes()).unwrap(), by_serde(&event));
    }
}
