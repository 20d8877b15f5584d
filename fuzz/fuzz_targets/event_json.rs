//! Any bytes as an event: parsing never panics, and what it accepts reads back the same from its own bytes.

#![no_main]

use agentflow_events::{Event, IdempotencyKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| match Event::parse(body) {
    Ok(event) => {
        let bytes = event.to_bytes();
        let again = Event::parse(&bytes).expect("an event reads what it wrote");
        assert_eq!(again, event);
        assert_eq!(again.to_bytes(), bytes);
        assert!(std::str::from_utf8(&bytes).is_ok());

        let key = IdempotencyKey::of(&event);
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    Err(error) => {
        assert!(!error.code().is_empty());
        assert!(error.to_string().len() < 1024, "an error quotes little of what is foreign");
    }
});
