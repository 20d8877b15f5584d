//! Any bytes as a lead: never a panic, the same verdict on the JSON as serde_json and a census of what it decodes,
//! and nothing lost of what was accepted.

#![no_main]

#[path = "../../crates/lead/tests/oracle/mod.rs"]
mod oracle;

use agentflow_lead::{Email, Fields, ParseError, Submission, SubmittedAt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let parsed = Submission::parse(body);
    let is_json = matches!(parsed, Ok(_) | Err(ParseError::Invalid(_)));
    assert!(oracle::accepts(body).is_none_or(|oracle| oracle == is_json), "we say {is_json}");
    match parsed {
        Ok(lead) => keeps_all(&lead),
        Err(ParseError::Invalid(violations)) => {
            assert!(!violations.is_empty() && violations.len() <= 6);
            assert!(violations.windows(2).all(|pair| pair[0].field != pair[1].field));
        }
        Err(_) => {}
    }
});

fn keeps_all(lead: &Submission) {
    let json = lead.fields.to_json();
    assert_eq!(Fields::from_json(&json).as_ref(), Ok(&lead.fields));

    let identity = Email::parse(lead.email.identity()).expect("an identity is an address");
    assert_eq!(identity.identity(), lead.email.identity());
    assert_eq!(Email::parse(lead.email.as_sent()).as_ref(), Ok(&lead.email));
    if let Some(time) = &lead.submitted_at {
        assert_eq!(SubmittedAt::parse(time.as_sent()).as_ref(), Ok(time));
    }

    let mut merged = lead.clone();
    merged.merge(lead);
    assert_eq!(&merged, lead);
}
