//! Settings that make no client.

use std::time::Duration;

use agentflow_client::{Client, ClientBuilder, EndpointError, Error, InboundSecret};

const URL: &str = "https://leads.example/v1/inbound/TOKEN";

fn secret() -> InboundSecret {
    InboundSecret::new("whsec_test").unwrap()
}

#[track_caller]
fn check(change: impl FnOnce(ClientBuilder) -> ClientBuilder, expected: Result<(), &str>) {
    let built = change(Client::builder(URL, secret())).build();
    assert_eq!(built.as_ref().map(|_| ()).map_err(|error| error.code()), expected);
}

#[test]
fn a_url_that_is_not_https_makes_no_client() {
    let refused = |url: &str| Client::new(url, secret()).unwrap_err();
    assert_eq!(refused(&URL.replace("https", "http")), Error::Endpoint(EndpointError::NotHttps));
    let named = URL.replace("leads.", "jordan:secret@leads.");
    assert_eq!(refused(&named), Error::Endpoint(EndpointError::UserInfo));
    assert_eq!(refused(&named).code(), "invalid_endpoint");
}

#[test]
fn settings_are_checked() {
    check(|builder| builder, Ok(()));
    check(|builder| builder.attempt_timeout(Duration::MAX).deadline(Duration::MAX), Ok(()));
    check(|builder| builder.backoff(Duration::MAX, Duration::ZERO), Ok(()));
    check(|builder| builder.attempt_timeout(Duration::ZERO), Err("invalid_setting"));
    check(|builder| builder.deadline(Duration::ZERO), Err("invalid_setting"));
    check(|builder| builder.attempts(0), Err("invalid_setting"));
    check(|builder| builder.user_agent_suffix("contact-form/7 (beta)"), Ok(()));
    for suffix in ["", " ", "a\r\nX: y", "Formulär/7"] {
        check(|builder| builder.user_agent_suffix(suffix), Err("invalid_setting"));
    }
}

#[test]
fn authorities_that_are_none_make_no_client() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no PEM", broken] {
        check(|builder| builder.only_ca(pem), Err("invalid_authority"));
        check(|builder| builder.extra_ca(pem), Err("invalid_authority"));
    }
}
