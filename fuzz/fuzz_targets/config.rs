//! The TOML file of settings, any text: settings that are all within their bounds, or one line that says what is wrong.

#![no_main]

use agentflow_server::config::{Flags, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match load(&Flags::default(), [], Some(("agentflow.toml", text))) {
        Ok(loaded) => {
            let limits = loaded.config.limits;
            assert!(limits.connections_max >= 1 && limits.connections_per_address_max >= 1);
            assert!((1..=16 * 1024 * 1024).contains(&limits.body_bytes_max));
            assert_eq!(loaded.config.tls.cert.is_some(), loaded.config.tls.key.is_some());
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("agentflow.toml") || line.starts_with("tls."));
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
});
