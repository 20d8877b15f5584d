//! What holds for every input.

mod corpus;
mod oracle;

use agentflow_lead::{Email, Fields, ParseError, Submission, SubmittedAt};
use proptest::prelude::*;

use self::corpus::{LEAD, PIECES, json, lead_with, number};

/// Whether the JSON was accepted, whatever the fields say.
fn accepts(body: &[u8]) -> bool {
    matches!(Submission::parse(body), Ok(_) | Err(ParseError::Invalid(_)))
}

fn agrees(body: &[u8]) -> Result<(), TestCaseError> {
    let (ours, oracle) = (accepts(body), oracle::accepts(body));
    prop_assert!(
        oracle.is_none_or(|oracle| oracle == ours),
        "we say {ours}: {}",
        String::from_utf8_lossy(body)
    );
    Ok(())
}

fn submission() -> impl Strategy<Value = Submission> {
    let text = || prop::option::of("[ a-zé]{0,5}");
    let fields = prop::collection::btree_map(
        "[a-e]",
        prop_oneof![number(), Just("\"\"".into()), Just("null".into())],
        0..5,
    );
    ("[a-z]{1,5}", text(), text(), text(), fields).prop_map(|(name, company, message, source, fields)| {
        let lead = serde_json::json!({
            "name": name, "email": "j@x.co", "company": company, "message": message, "source": source,
        });
        let fields: String = fields.iter().map(|(key, value)| format!(",\"{key}\":{value}")).collect();
        let lead = lead.to_string();
        Submission::parse(format!("{}{fields}}}", lead.trim_end_matches('}')).as_bytes()).expect("valid")
    })
}

proptest! {
    #[test]
    fn agrees_with_the_oracle_on_any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        agrees(&body)?;
    }

    #[test]
    fn agrees_with_the_oracle_on_pieces_of_json(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..20)) {
        agrees(pieces.concat().as_bytes())?;
        agrees(lead_with("x", &pieces.concat()).as_bytes())?;
    }

    #[test]
    fn agrees_with_the_oracle_on_a_damaged_lead(at in 0..LEAD.len(), byte in any::<u8>(), cut in 0..4_usize) {
        let mut body = LEAD.as_bytes().to_vec();
        body[at] = byte;
        agrees(&body)?;
        body.drain(at..(at + cut).min(LEAD.len()));
        agrees(&body)?;
        agrees(&LEAD.as_bytes()[..at])?;
    }

    #[test]
    fn agrees_with_the_oracle_on_json_and_keeps_it_verbatim(json in json()) {
        let body = lead_with("x", &json);
        agrees(body.as_bytes())?;
        if let Ok(lead) = Submission::parse(body.as_bytes()) {
            prop_assert_eq!(lead.fields.get("x").map(|value| value.get()), Some(json.as_str()));
        }
    }

    #[test]
    fn numbers_keep_every_digit(number in number()) {
        let lead = Submission::parse(lead_with("x", &number).as_bytes()).expect("valid");
        prop_assert_eq!(lead.fields.to_json(), format!("{{\"x\":{number}}}"));
    }

    #[test]
    fn texts_come_back_as_sent(name in any::<String>(), message in any::<String>()) {
        let body = serde_json::json!({"name": name, "email": "j@x.co", "message": message}).to_string();
        if let Ok(lead) = Submission::parse(body.as_bytes()) {
            prop_assert_eq!(lead.name, name.trim());
            prop_assert!(lead.message.is_none_or(|kept| kept == message));
        }
    }

    #[test]
    fn fields_survive_being_stored(lead in submission()) {
        let json = lead.fields.to_json();
        prop_assert_eq!(&Fields::from_json(&json).expect("stored"), &lead.fields);
        prop_assert_eq!(&serde_json::from_str::<Fields>(&json).expect("stored"), &lead.fields);
    }

    #[test]
    fn merging_twice_is_merging_once(a in submission(), b in submission()) {
        let mut once = a.clone();
        once.merge(&b);
        let mut twice = once.clone();
        twice.merge(&b);
        prop_assert_eq!(&once, &twice);
        let mut itself = a.clone();
        itself.merge(&a);
        prop_assert_eq!(itself, a);
    }

    #[test]
    fn merging_groups_as_you_like(a in submission(), b in submission(), c in submission()) {
        let (mut left, mut right, mut tail) = (a.clone(), a, b.clone());
        left.merge(&b);
        left.merge(&c);
        tail.merge(&c);
        right.merge(&tail);
        prop_assert_eq!(left, right);
    }

    #[test]
    fn merging_never_forgets(a in submission(), b in submission()) {
        let mut both = a.clone();
        both.merge(&b);
        prop_assert!(both.company.is_some() || a.company.is_none() && b.company.is_none());
        prop_assert_eq!(&both.name, &b.name);
        for (key, _) in a.fields.iter().chain(b.fields.iter()) {
            prop_assert!(both.fields.get(key).is_some());
        }
    }

    #[test]
    fn an_identity_is_an_address_of_the_same_identity(
        text in "[a-zA-ZéÖİẞΣςﬁK.+\u{301}\u{94d}ß用-]{1,20}@[a-zA-ZéÖİẞΣ用ｅ\u{200d}·-]{1,8}\\.[a-zA-Zü用。.]{1,5}",
    ) {
        if let Ok(email) = Email::parse(&text) {
            let again = Email::parse(email.identity()).expect("an identity is an address");
            prop_assert_eq!(again.identity(), email.identity());
            prop_assert!(email.domain().is_ascii() && email.domain().contains('.'));
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>(), time in "[0-9TtZz:+,.W\\[\\]é -]{0,30}") {
        let _ = Email::parse(&text);
        let _ = SubmittedAt::parse(&text);
        let _ = SubmittedAt::parse(&time);
        let _ = Fields::from_json(&text);
    }

    #[test]
    fn offsets_move_the_instant(minutes in -1439..1440_i64) {
        let sign = if minutes < 0 { '-' } else { '+' };
        let text = format!("2024-11-14T00:00:00{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        let time = SubmittedAt::parse(&text).expect("a time");
        prop_assert_eq!(time.unix_millis(), 1_731_542_400_000 - minutes * 60_000);
    }
}
