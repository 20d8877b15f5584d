//! The contract's fields: limits, absence, every violation at once; and the fields that senders add.

use agentflow_lead::{Fields, ParseError, Submission};
use serde_json::{Value, json};

const GUIDE: &str = r#"{ "name": "Jordan Ellis", "email": "jordan.ellis@stacklane.co", "company": "Stacklane",
    "message": "We're evaluating tools to handle inbound demo requests at scale. Currently doing it manually.",
    "source": "website_contact_form", "timestamp": "2024-11-14T08:44:00Z"}"#;

fn lead(field: &str, value: Value) -> Vec<u8> {
    let mut lead = json!({"name": "Jordan Ellis", "email": "jordan.ellis@stacklane.co"});
    lead[field] = value;
    lead.to_string().into_bytes()
}

/// The violations of a lead whose `field` is `value`, as `field:code`.
#[track_caller]
fn check(field: &str, value: Value, expected: &str) {
    let shown = value.to_string();
    let found = match Submission::parse(&lead(field, value)) {
        Ok(_) => String::new(),
        Err(ParseError::Invalid(found)) => found
            .iter()
            .map(|violation| format!("{}:{}", violation.field, violation.code))
            .collect::<Vec<_>>()
            .join(" "),
        Err(other) => panic!("{shown}: {other}"),
    };
    assert_eq!(found, expected, "{shown}");
}

#[track_caller]
fn parsed(body: impl AsRef<[u8]>) -> Submission {
    Submission::parse(body.as_ref()).expect("a valid lead")
}

#[test]
fn reads_the_lead_of_the_guide() {
    let lead = parsed(GUIDE);
    assert_eq!(lead.name, "Jordan Ellis");
    assert_eq!(lead.email.as_sent(), "jordan.ellis@stacklane.co");
    assert_eq!(lead.company.as_deref(), Some("Stacklane"));
    assert!(lead.message.as_deref().is_some_and(|message| message.starts_with("We're evaluating")));
    assert_eq!(lead.source.as_deref(), Some("website_contact_form"));
    let submitted_at = lead.submitted_at.expect("a time");
    assert_eq!(
        (submitted_at.as_sent(), submitted_at.unix_millis()),
        ("2024-11-14T08:44:00Z", 1_731_573_840_000)
    );
    assert!(lead.fields.is_empty());
}

#[test]
fn name_and_email_suffice() {
    let lead = parsed(r#"{"email":"j@stacklane.co","name":"J"}"#);
    assert_eq!((lead.company, lead.message, lead.source, lead.submitted_at), (None, None, None, None));
}

#[test]
fn a_required_field_that_says_nothing_is_missing() {
    for field in ["name", "email"] {
        let required = format!("{field}:required");
        for value in
            [json!(null), json!(""), json!(" \t\r\n"), json!("\u{3000}\u{a0}"), json!("\u{200b}\u{feff}")]
        {
            check(field, value, &required);
        }
        for value in [json!(5), json!(true), json!([]), json!({}), json!(["Jordan"]), json!(0.5)] {
            check(field, value, &format!("{field}:invalid_type"));
        }
    }
}

#[test]
fn a_recommended_field_that_says_nothing_is_absent() {
    for value in [json!(null), json!(""), json!(" \u{2003}\n"), json!("\u{200b}")] {
        for field in ["company", "message", "source", "timestamp"] {
            let lead = parsed(lead(field, value.clone()));
            assert_eq!(
                (lead.company, lead.message, lead.source, lead.submitted_at),
                (None, None, None, None)
            );
        }
    }
}

#[test]
fn a_recommended_field_of_the_wrong_type_is_a_violation() {
    for field in ["company", "message", "source", "timestamp"] {
        for value in [json!(1_731_573_840), json!(false), json!([]), json!({"a": "b"}), json!([null])] {
            check(field, value, &format!("{field}:invalid_type"));
        }
    }
}

#[test]
fn lengths_are_counted_in_characters() {
    for (field, chars_max) in [("name", 200), ("company", 200), ("source", 200), ("message", 10_000)] {
        for character in ["x", "é", "語", "😀"] {
            check(field, json!(character.repeat(chars_max)), "");
            check(field, json!(character.repeat(chars_max + 1)), &format!("{field}:too_long"));
        }
    }
    // Two scalar values each, one glyph.
    check("name", json!("e\u{301}".repeat(101)), "name:too_long");
}

#[test]
fn an_escaped_character_counts_once() {
    let name = r"\u00e9\ud83d\ude00".repeat(100);
    let body = format!(r#"{{"name":"{name}","email":"j@x.co"}}"#);
    assert_eq!(parsed(body).name, "é😀".repeat(100));
}

#[test]
fn the_name_is_trimmed_before_it_is_measured() {
    let lead = parsed(lead("name", json!(format!("\u{2003}\n{}\u{a0} ", "x".repeat(200)))));
    assert_eq!(lead.name, "x".repeat(200));
}

#[test]
fn recommended_texts_are_kept_as_sent() {
    let lead = parsed(lead("message", json!(" Hello,\r\n\tworld\u{7}\n")));
    assert_eq!(lead.message.as_deref(), Some(" Hello,\r\n\tworld\u{7}\n"));
    check("company", json!(format!("{} ", "x".repeat(200))), "company:too_long");
}

#[test]
fn a_field_breaks_one_rule_at_a_time() {
    check("email", json!("x".repeat(255)), "email:too_long");
    check("email", json!("x".repeat(254)), "email:invalid_format");
    check("email", json!(" ".repeat(300)), "email:required");
    check("timestamp", json!("yesterday"), "timestamp:invalid_format");
    check("timestamp", json!("2024-02-30"), "timestamp:invalid_format");
}

#[test]
fn names_every_violation_at_once_in_the_order_of_the_fields() {
    let body = json!({
        "timestamp": "soon", "source": {}, "message": "x".repeat(10_001), "company": 7, "email": "jordan@", "x": null,
    });
    let refused = Submission::parse(body.to_string().as_bytes()).expect_err("nothing is right");
    assert_eq!(refused.code(), "validation_failed");
    let found = serde_json::to_string_pretty(refused.violations()).expect("serialises") + "\n";
    assert_eq!(found, include_str!("golden/violations.json"));
}

#[test]
fn an_empty_object_lacks_both_required_fields() {
    let refused = Submission::parse(b"{}").expect_err("empty");
    assert_eq!(refused.to_string(), "name is required; email is required");
}

#[test]
fn names_are_case_sensitive_and_resolved() {
    let lead = parsed(r#"{"n\u0061me":"J","email":"j@x.co","Name":"other","company ":1}"#);
    assert_eq!(lead.name, "J");
    assert_eq!(lead.fields.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["Name", "company "]);
}

#[test]
fn additional_fields_are_kept_to_the_byte() {
    let values = [
        ("z", "1.0e400"),
        ("a", "1E5"),
        ("big", "1234567890123456789012345678901234567890"),
        ("tiny", "-0.0000000000000000000000000000000000000000000010"),
        ("minus", "-0"),
        ("text", r#""caf\u00e9 \/ \ud83d\ude00""#),
        ("nested", r#"{"b": [1.10,  {"a":null}], "a":true}"#),
        ("null", "null"),
        ("blank", "\" \""),
    ];
    let members: Vec<String> = values.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
    let body = format!(r#"{{{}, "name":"J", "email":"j@x.co"}}"#, members.join(" ,\n"));
    let lead = parsed(body);
    let kept: Vec<(&str, &str)> = lead.fields.iter().map(|(key, value)| (key, value.get())).collect();
    assert_eq!(kept, values);
    let json = lead.fields.to_json();
    assert_eq!(Fields::from_json(&json), Ok(lead.fields.clone()));
    assert_eq!(serde_json::from_str::<Fields>(&json).expect("reads back"), lead.fields);
}

#[test]
fn keys_are_escaped_again_where_they_must_be() {
    let fields = Fields::from_json(r#"{"\"\\\n\u0001\u00e9":1}"#).expect("an object");
    assert_eq!(fields.get("\"\\\n\u{1}é").map(|value| value.get()), Some("1"));
    assert_eq!(fields.to_json(), "{\"\\\"\\\\\\n\\u0001é\":1}");
}

#[test]
fn stored_fields_may_be_wider_than_a_submission_but_never_ambiguous() {
    let members: Vec<String> = (0..1000).map(|key| format!(r#""k{key}":0"#)).collect();
    let wide = format!("{{{}}}", members.join(","));
    assert_eq!(Fields::from_json(&wide).expect("wide").len(), 1000);
    for json in ["", "[]", "null", r#"{"a":1,"\u0061":2}"#, r#"{"a":1}x"#] {
        assert!(Fields::from_json(json).is_err(), "{json}");
        assert!(serde_json::from_str::<Fields>(json).is_err(), "{json}");
    }
}

#[test]
fn a_newer_submission_adds_and_replaces_and_never_forgets() {
    let mut lead = parsed(
        r#"{"name":"Jo","email":"JO@x.co","company":"Old","source":"form","seats":5,"phone":"1","city":null,"a":1}"#,
    );
    let newer = parsed(
        r#"{"name":"Jordan","email":"jo@X.co","company":" ","message":"Hi","b":[],"seats":50,"phone":"","city":"Rome",
            "timestamp":"2024-11-14"}"#,
    );
    lead.merge(&newer);
    assert_eq!((lead.name.as_str(), lead.email.as_sent()), ("Jordan", "jo@X.co"));
    assert_eq!((lead.company.as_deref(), lead.message.as_deref()), (Some("Old"), Some("Hi")));
    assert_eq!(lead.source.as_deref(), Some("form"));
    assert!(lead.submitted_at.is_some());
    assert_eq!(lead.fields.to_json(), r#"{"seats":50,"phone":"1","city":"Rome","a":1,"b":[]}"#);
}

#[test]
fn a_merged_lead_has_no_more_fields_than_one_submission_may_have() {
    let numbered = |from: usize, value: &str| {
        let fields: String = (from..from + 200).map(|n| format!(r#","k{n}":"{value}""#)).collect();
        parsed(format!(r#"{{"name":"Jo","email":"jo@x.co"{fields}}}"#))
    };
    let mut lead = numbered(0, "old");
    lead.merge(&numbered(100, "new"));
    assert_eq!(lead.fields.len(), agentflow_lead::limits::KEYS_MAX);
    assert_eq!(lead.fields.get("k99").map(|value| value.get()), Some("\"old\""));
    assert_eq!(lead.fields.get("k100").map(|value| value.get()), Some("\"new\""));
    assert!(lead.fields.get("k255").is_some() && lead.fields.get("k256").is_none());

    // By bytes: what fits goes in, what was known stays.
    let large = |key: &str, bytes: usize| {
        parsed(format!(r#"{{"name":"Jo","email":"jo@x.co","{key}":"{}"}}"#, "x".repeat(bytes)))
    };
    let mut lead = large("a", 200_000);
    lead.merge(&large("b", 100_000));
    assert!(lead.fields.get("b").is_none());
    lead.merge(&large("b", 50_000));
    lead.merge(&large("a", 250_000));
    assert_eq!(lead.fields.get("a").map(|value| value.get().len()), Some(200_002));
    lead.merge(&large("a", 10));
    lead.merge(&large("b", 250_000));
    assert_eq!(lead.fields.get("b").map(|value| value.get().len()), Some(250_002));
}

#[test]
fn another_persons_email_never_replaces_a_leads_identity() {
    let mut lead = parsed(r#"{"name":"Jo","email":"jo@x.co"}"#);
    lead.merge(&parsed(r#"{"name":"Al","email":"al@x.co"}"#));
    assert_eq!(lead.email.identity(), "jo@x.co");
}

#[test]
fn debug_and_errors_say_nothing_about_the_person() {
    let shown = format!("{:?}", parsed(GUIDE.replace("\"source\"", "\"vat_id\"")));
    let email = "jordan ellis@stacklane.co";
    let refused = format!("{:?}", Submission::parse(&lead("email", json!(email))));
    for personal in ["Jordan", "jordan", "Stacklane", "stacklane", "evaluating", "vat_id", "contact", "2024"]
    {
        assert!(!shown.contains(personal), "{shown}");
        assert!(!refused.contains(personal), "{refused}");
    }
}
