//! The target policy on any text: what it accepts is a plain https URL of the public Internet, and stays so when read again.

#![no_main]

use std::net::IpAddr;

use agentflow_server::deliver::{AddressPolicy, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let policy = AddressPolicy::default();
    let Ok(target) = Target::parse(text, &policy) else { return };
    let url = target.url();
    assert!(url.is_ascii() && url.starts_with("https://") && !url.contains(['#', ' ', '\r', '\n', '\0']));
    let authority = url["https://".len()..].split('/').next().unwrap_or_default();
    assert!(!authority.is_empty() && !authority.contains('@'));
    if let Some(address) = target.address() {
        assert!(policy.allows(address) && !address.is_loopback() && !address.is_unspecified());
        match address {
            IpAddr::V4(address) => assert!(!address.is_private() && !address.is_link_local()),
            IpAddr::V6(address) => assert!(address.to_ipv4_mapped().is_none()),
        }
    }
    let again = Target::parse(&url, &policy).expect("what was accepted once is accepted in its plain form");
    assert_eq!((again.url(), again.address()), (url, target.address()));
});
