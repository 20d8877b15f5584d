//! Reading foreign bytes: tolerant of what is new, clear about what is wrong, and never a panic.

#![expect(
    clippy::unwrap_used,
    reason = "outside its test functions, too, a test may stop where it cannot go on"
)]

use agentflow_events::{Event, EventError, Fields};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[path = "support/mod.rs"]
mod support;
use support::lead_qualified;

fn sample() -> Value {
    serde_json::from_str(include_str!("golden/lead_qualified.json")).unwrap()
}

fn parse(value: &Value) -> Result<Event, EventError> {
    Event::parse(value.to_string().as_bytes())
}

/// Puts `value` where `pointer` says and expects this error.
#[track_caller]
fn check(pointer: &str, value: Value, code: &str, text: &str) {
    let mut event = sample();
    *event.pointer_mut(pointer).unwrap() = value;
    let error = parse(&event).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (code, text));
}

#[test]
fn passes_over_fields_that_it_does_not_know() {
    let mut event = sample();
    event["new"] = json!({"deep": [1, 2, {"type": "x"}]});
    for pointer in ["/data", "/data/lead", "/data/qualification", "/data/decision", "/data/timestamps"] {
        event.pointer_mut(pointer).unwrap()["new"] = json!([null, 1.5]);
    }
    assert_eq!(parse(&event).unwrap(), lead_qualified());
}

#[test]
fn takes_white_space_and_any_order_of_keys() {
    let pretty = serde_json::to_string_pretty(&sample()).unwrap();
    assert_eq!(Event::parse(pretty.as_bytes()).unwrap(), lead_qualified());
}

#[test]
fn tells_an_unknown_type_from_a_broken_event() {
    check("/type", json!("lead.merged"), "unknown_event_type", "unknown event type \"lead.merged\"");
    let bare = json!({"type": "lead.merged", "api_version": "1"});
    assert_eq!(parse(&bare).unwrap_err().code(), "unknown_event_type");
}

#[test]
fn tells_a_later_version_from_a_broken_event() {
    check("/api_version", json!("2"), "unsupported_api_version", "API version \"2\", not \"1\"");
    assert_eq!(parse(&json!({"api_version": "2"})).unwrap_err().code(), "unsupported_api_version");
}

#[test]
fn names_the_field_of_a_word_that_it_does_not_know() {
    for (field, pointer) in [
        ("data.decision.outcome", "/data/decision/outcome"),
        ("data.decision.by", "/data/decision/by"),
        ("data.qualification.confidence", "/data/qualification/confidence"),
        ("data.qualification.recommended_action", "/data/qualification/recommended_action"),
    ] {
        let text = format!("{field}: \"novel\" is not known to this version");
        check(pointer, json!("novel"), "unknown_value", &text);
    }
}

#[test]
fn names_the_field_of_a_value_that_is_not_valid() {
    let lead = "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f";
    check("/id", json!(lead), "invalid_value", "id is not valid: the id does not begin with \"evt_\"");
    check(
        "/lead_id",
        json!("lead_0192"),
        "invalid_value",
        "lead_id is not valid: the id has 4 bytes after its prefix, not 32",
    );
    check(
        "/lead_id",
        json!(lead.to_uppercase().replace("LEAD", "lead")),
        "invalid_value",
        "lead_id is not valid: byte 4 after the id's prefix is not one of 0-9 and a-f",
    );
    check(
        "/timestamp",
        json!("2024-02-30T00:00:00Z"),
        "invalid_value",
        "timestamp is not valid: no such date or time",
    );
    for score in [json!(101), json!(-1), json!(8.5), json!(256), json!(1e3)] {
        check(
            "/data/qualification/dimensions/timeline",
            score,
            "invalid_value",
            "data.qualification.dimensions.timeline is not valid: a score is a whole number from 0 to 100",
        );
    }
}

#[test]
fn names_the_field_of_a_wrong_type_and_never_its_value() {
    check("", json!([1]), "wrong_type", "the body is not an object");
    check("/type", json!(1), "wrong_type", "type is not a string");
    check("/data", json!("Jordan"), "wrong_type", "data is not an object");
    check("/data/lead/name", json!(["Jordan"]), "wrong_type", "data.lead.name is not a string");
    check("/data/lead/name", Value::Null, "wrong_type", "data.lead.name is not a string");
    check("/data/lead/fields", json!(["Jordan"]), "wrong_type", "data.lead.fields is not an object");
    check(
        "/data/qualification/score",
        json!("Jordan"),
        "wrong_type",
        "data.qualification.score is not a number",
    );
    let mut event = sample();
    event["test"] = json!("true");
    assert_eq!(parse(&event).unwrap_err().to_string(), "test is not true or false");
}

#[test]
fn names_a_missing_field_and_does_without_those_that_may_be_null() {
    let whole = sample();
    let optional = ["company", "message", "source", "submitted_at", "fields", "previous_lead_id"];
    let optional = [&optional[..], &["operator_id", "note", "decided_at"]].concat();
    for parent in [
        "",
        "/data",
        "/data/lead",
        "/data/qualification",
        "/data/qualification/dimensions",
        "/data/decision",
        "/data/timestamps",
    ] {
        for name in whole.pointer(parent).unwrap().as_object().unwrap().keys() {
            let mut event = whole.clone();
            event.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            let path = format!("{parent}/{name}")[1..].replace('/', ".");
            match parse(&event) {
                Ok(_) => assert!(optional.contains(&name.as_str()), "{path} may be absent"),
                Err(error) => assert_eq!(error, EventError::MissingField { field: path }),
            }
        }
    }
}

#[test]
fn refuses_a_key_that_is_there_twice() {
    let text = include_str!("golden/lead_qualified.json");
    let twice = text.replacen('{', r#"{"type":"lead.rejected","#, 1);
    assert_eq!(
        Event::parse(twice.as_bytes()).unwrap_err(),
        EventError::DuplicateField { field: "type".into() }
    );
    let twice = text.replace(r#""score":82"#, r#""score":82,"\u0073core":1"#);
    let field = "data.qualification.score".into();
    assert_eq!(Event::parse(twice.as_bytes()).unwrap_err(), EventError::DuplicateField { field });
}

#[test]
fn refuses_what_is_not_json() {
    let text = include_str!("golden/lead_qualified.json");
    for broken in [
        &b""[..],
        b"{",
        b"nul",
        b"{} {}",
        b"{'a':1}",
        b"{\"a\":\xff}",
        b"\xef\xbb\xbf{}",
        &text.as_bytes()[..text.len() - 1],
        &[text.as_bytes(), b"x"].concat(),
        "{\"a\":".repeat(100_000).as_bytes(),
        "[".repeat(100_000).as_bytes(),
    ] {
        assert_eq!(Event::parse(broken).unwrap_err().code(), "malformed_json");
    }
}

#[test]
fn refuses_lone_surrogates_in_names_and_values() {
    let text = include_str!("golden/lead_qualified.json");
    let value = text.replace("Jordan Ellis", r"\ud800");
    assert_eq!(Event::parse(value.as_bytes()).unwrap_err().code(), "invalid_value");
    let name = text.replacen('{', r#"{"\ud800":1,"#, 1);
    assert_eq!(Event::parse(name.as_bytes()).unwrap_err().code(), "invalid_value");
}

#[test]
fn survives_fields_that_nest_a_hundred_thousand_deep() {
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "1".to_owned() + &"}".repeat(100_000));
    let text =
        include_str!("golden/lead_qualified.json").replace(r#""fields":{}"#, &format!(r#""fields":{deep}"#));
    let event = Event::parse(text.as_bytes()).unwrap();
    assert_eq!(event.data.lead.fields.as_json(), deep);
    assert_eq!(event.to_bytes(), text.as_bytes());
}

#[test]
fn quotes_no_more_than_64_characters_of_a_foreign_word() {
    let mut event = sample();
    event["type"] = json!("é".repeat(5000));
    assert_eq!(parse(&event).unwrap_err(), EventError::UnknownType { event_type: "é".repeat(64) });
}

#[test]
fn shows_nothing_of_the_person_in_debug() {
    let mut event = lead_qualified();
    event.data.lead.fields = Fields::parse(r#"{"phone":"5550100"}"#).unwrap();
    event.data.decision.note = Some("Rang Jordan".to_owned());
    for shown in [format!("{event:?}"), format!("{:?}", event.data), format!("{:#?}", event.data)] {
        for secret in ["Jordan", "jordan", "Stacklane", "5550100", "website", "Business", "08:44:00Z"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
    assert_eq!(
        format!("{event:?}"),
        "Event { id: evt_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f, event_type: LeadQualified, \
         workspace_id: ws_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f, \
         lead_id: lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f, .. }"
    );
}

#[test]
fn makes_fields_of_keys_and_values_in_their_order() {
    let value = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
    let fields = Fields::from_iter([("b\"", value("1.50")), ("a", value("[ ]"))]);
    assert_eq!(fields.as_json(), r#"{"b\"":1.50,"a":[ ]}"#);
    assert_eq!(Fields::parse(" {\"b\\\"\":1.50,\"a\":[ ]}\n").unwrap(), fields);
    assert!(Fields::parse("[]").is_err() && Fields::parse("{").is_err() && Fields::parse("null").is_err());
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let leaf = prop_oneof![
        any::<Option<bool>>().prop_map(|value| json!(value).to_string()),
        any::<String>().prop_map(|value| json!(value).to_string()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        proptest::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(",")))
    });
    let raw = value.prop_map(|json| RawValue::from_string(json).unwrap());
    proptest::collection::btree_map(any::<String>(), raw, 0..5).prop_map(Fields::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_back_what_it_wrote(
        (name, email, summary, scored_by) in any::<(String, String, String, String)>(),
        (company, message, source, submitted_at, note) in any::<(
            Option<String>, Option<String>, Option<String>, Option<String>, Option<String>
        )>(),
        (score, unix_millis, lead_bytes, test) in (0..=100u8, any::<i64>(), any::<[u8; 16]>(), any::<bool>()),
        (event_type, decided) in (0..3usize, any::<bool>()),
        fields in any_fields(),
    ) {
        let mut event = lead_qualified();
        event.test = test;
        event.event_type = agentflow_events::EventType::ALL[event_type];
        event.timestamp = agentflow_events::Moment::from_unix_millis(unix_millis);
        event.lead_id = agentflow_events::Id::from_bytes(lead_bytes);
        event.data.lead = agentflow_events::LeadSnapshot {
            name, email, company, message, source, submitted_at, fields,
            previous_lead_id: decided.then_some(event.lead_id),
        };
        event.data.qualification.score = support::score(score);
        event.data.qualification.summary = summary;
        event.data.qualification.scored_by = scored_by;
        event.data.decision.note = note;
        event.data.timestamps.decided_at = decided.then_some(event.timestamp);

        let bytes = event.to_bytes();
        let read = Event::parse(&bytes).unwrap();
        prop_assert_eq!(&read, &event);
        prop_assert_eq!(read.to_bytes(), bytes);
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in any::<Vec<u8>>()) {
        let _ = Event::parse(&bytes);
    }

    #[test]
    fn never_panics_on_an_event_with_some_bytes_changed(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = include_bytes!("golden/extra_fields.json").to_vec();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(event) = Event::parse(&bytes) {
            let written = event.to_bytes();
            prop_assert_eq!(Event::parse(&written), Ok(event));
        }
    }
}
