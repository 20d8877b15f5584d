use std::net::SocketAddr;

use super::settings::SETTINGS;
use super::{Config, Flags, StoreUrl, load};
use crate::telemetry::LogFormat;

fn loaded(flags: &Flags, environment: &[(&str, &str)], file: &str) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(flags, environment, Some(("agentflow.toml", file)))
        .map(|loaded| loaded.config)
        .map_err(|error| error.to_string())
}

#[track_caller]
fn check_refused(environment: &[(&str, &str)], file: &str, expected: &str) {
    let line = loaded(&Flags::default(), environment, file).unwrap_err();
    assert_eq!(line, expected);
    assert!(!line.contains('\n'));
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(loaded(&Flags::default(), &[], ""), Ok(Config::default()));
    assert_eq!(
        loaded(&Flags::default(), &[("AGENTFLOW_LISTEN", ""), ("HOME", "/root")], ""),
        Ok(Config::default())
    );
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let file = "listen = '127.0.0.1:1'";
    let variable = [("AGENTFLOW_LISTEN", "127.0.0.1:2")];
    let flags = Flags { listen: Some("127.0.0.1:3".into()), ..Flags::default() };
    let port = |config: Result<Config, String>| config.unwrap().listen.port();
    assert_eq!(port(loaded(&Flags::default(), &[], file)), 1);
    assert_eq!(port(loaded(&Flags::default(), &variable, file)), 2);
    assert_eq!(port(loaded(&flags, &variable, file)), 3);
}

#[test]
fn every_key_of_the_file_is_read() {
    let file = r#"
        listen = "[::1]:9000"
        data_dir = "/var/lib/agentflow"
        public_url = "https://hooks.example.com/"
        [tls]
        cert = "cert.pem"
        key = "key.pem"
        [store]
        url = "sqlite:/var/lib/leads.db"
        [secrets]
        key_file = "/etc/agentflow.key"
        [delivery]
        allow_networks = ["127.0.0.0/8", "fd00::/8"]
        extra_ca = "ca.pem"
        concurrency = 100
        concurrency_per_destination = 10
        [limits]
        body_bytes_max = 1024
        connections_max = 100
        requests_per_second = 50
        requests_per_second_per_address = 5
        handshake_timeout_ms = 1
        header_timeout_ms = 2
        body_idle_timeout_ms = 3
        request_timeout_ms = 4
        drain_timeout_ms = 5
        [log]
        filter = "warn"
        format = "json"
    "#;
    let config = loaded(&Flags::default(), &[], file).unwrap();
    assert_eq!(config.listen, "[::1]:9000".parse::<SocketAddr>().unwrap());
    assert_eq!(config.public_url.as_deref(), Some("https://hooks.example.com"));
    assert_eq!((config.tls.cert, config.tls.key), (Some("cert.pem".into()), Some("key.pem".into())));
    assert_eq!(config.store, StoreUrl::Sqlite("/var/lib/leads.db".into()));
    assert_eq!(config.secrets.key_file, Some("/etc/agentflow.key".into()));
    assert_eq!(config.delivery.allow_networks.len(), 2);
    assert_eq!((config.delivery.concurrency, config.delivery.concurrency_per_destination), (100, 10));
    let limits = config.limits;
    assert_eq!((limits.connections_max, limits.connections_per_address_max), (100, 50), "half, unless set");
    assert_eq!((limits.requests_per_second, limits.requests_per_second_per_address), (Some(50), Some(5)));
    let timeouts = [limits.handshake_timeout_ms, limits.header_timeout_ms, limits.body_idle_timeout_ms];
    assert_eq!(timeouts, [1, 2, 3]);
    assert_eq!((limits.request_timeout_ms, limits.drain_timeout_ms), (4, 5));
    assert_eq!((config.log.filter.as_str(), config.log.format), ("warn", LogFormat::Json));
}

#[test]
fn every_setting_has_a_variable_that_reads_as_the_file_does() {
    for setting in SETTINGS {
        let name = setting.variable();
        let refused = loaded(&Flags::default(), &[(&name, "\u{7f}")], "");
        match setting.key {
            "data_dir" | "delivery.extra_ca" | "secrets.key_file" => {
                assert!(refused.is_ok(), "any text is a path")
            }
            "tls.cert" | "tls.key" => assert!(refused.unwrap_err().contains("set both")),
            _ => assert!(refused.unwrap_err().starts_with(&format!("{name}: expected ")), "{name}"),
        }
    }
    let variables = [
        ("AGENTFLOW_DELIVERY_ALLOW_NETWORKS", "127.0.0.0/8, fd00::/8"),
        ("AGENTFLOW_LIMITS_BODY_BYTES_MAX", "2048"),
        ("AGENTFLOW_DATA_DIR", "/data"),
        ("AGENTFLOW_TLS_CERT", "c.pem"),
        ("AGENTFLOW_TLS_KEY", "k.pem"),
    ];
    let config = loaded(&Flags::default(), &variables, "").unwrap();
    assert_eq!(config.delivery.allow_networks.len(), 2);
    assert_eq!((config.limits.body_bytes_max, config.data_dir), (2_048, "/data".into()));
    assert_eq!(config.tls.cert, Some("c.pem".into()));
}

#[test]
fn a_wrong_value_is_told_in_one_line_with_its_place() {
    check_refused(
        &[],
        "listen = 8443",
        "agentflow.toml: listen: expected an address (not a name) and a port, such as 127.0.0.1:8443 or [::]:8443, found 8443",
    );
    check_refused(
        &[],
        "[limits]\nconnections_max = 0",
        "agentflow.toml: limits.connections_max: expected a whole number from 1 to 1000000, found 0",
    );
    check_refused(
        &[],
        "[delivery]\nallow_networks = ['10.0.0.0/8', 'ten']",
        "agentflow.toml: delivery.allow_networks: expected networks such as 10.0.0.0/8 or 192.168.1.5/32: \
         a list in the file, with commas in a variable, found that list",
    );
    check_refused(
        &[],
        "data_dir = {}",
        "agentflow.toml: data_dir: expected the path of a folder, found a table",
    );
    check_refused(
        &[("AGENTFLOW_LIMITS_BODY_BYTES_MAX", "12k")],
        "",
        "AGENTFLOW_LIMITS_BODY_BYTES_MAX: expected bytes, a whole number from 1 to 16777216, found \"12k\"",
    );
    check_refused(
        &[],
        "[tls]\ncert = 'c.pem'",
        "tls.key: expected beside tls.cert, found nothing; set both, or neither for a self-signed certificate",
    );
    let flags = Flags { public_url: Some("http://x".into()), ..Flags::default() };
    assert_eq!(
        loaded(&flags, &[], "").unwrap_err(),
        "--public-url: expected https://HOST or https://HOST:PORT without a path, found \"http://x\""
    );
}

#[test]
fn a_database_that_this_build_does_not_support_is_named_without_its_password() {
    check_refused(
        &[("AGENTFLOW_STORE_URL", "postgres://user:hunter2@db/leads")],
        "",
        "AGENTFLOW_STORE_URL: expected sqlite:PATH (postgres:// is not supported by this build), found \"postgres:\"",
    );
}

#[test]
fn a_workspaces_setting_is_told_from_the_servers() {
    let expected = |place| {
        format!(
            "{place}: is a setting of the workspace, not of the server; change it with PUT /api/v1/settings"
        )
    };
    for file in ["auto_approve_at = 80", "[scoring]\npreferred_sources = ['x']", "retention_days = 3"] {
        let key = file.trim_start_matches('[').split([' ', ']']).next().unwrap();
        check_refused(&[], file, &expected(format!("agentflow.toml: {key}")));
    }
    check_refused(
        &[("AGENTFLOW_AUTO_APPROVE_AT", "90")],
        "",
        &expected("AGENTFLOW_AUTO_APPROVE_AT".to_owned()),
    );
}

#[test]
fn every_setting_is_documented_with_its_variable() {
    let documented = include_str!("../../../../docs/settings.md");
    for setting in super::settings::SETTINGS {
        let row = format!("| `{}` | `{}` |", setting.key, setting.variable());
        assert!(documented.contains(&row), "docs/settings.md lacks {row}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_those_near_it() {
    check_refused(
        &[],
        "[limits]\nbody_byte_max = 3",
        "agentflow.toml: limits.body_byte_max: there is no such setting; the nearest are limits.body_bytes_max, \
         limits.connections_max, limits.connections_per_address_max",
    );
    check_refused(
        &[],
        "[limit]\nconnections_max = 3",
        "agentflow.toml: limit: there is no such setting; the nearest are limits.body_bytes_max, \
         limits.connections_max, limits.connections_per_address_max",
    );
    for file in [
        "limts = 3",
        "[limits.body]\nbytes_max = 3",
        "limits = 3",
        "[unknown]",
        "listen.port = 1",
        "'a\nb' = 1",
    ] {
        assert!(!loaded(&Flags::default(), &[], file).unwrap_err().contains('\n'), "{file}");
    }
    for name in ["AGENTFLOW_LISTN", "AGENTFLOW_TLS_CERTIFICATE", "AGENTFLOW_LIMITS_X", "AGENTFLOW_DATADIR"] {
        let line = loaded(&Flags::default(), &[(name, "1")], "").unwrap_err();
        assert!(
            line.starts_with(&format!("{name}: there is no such setting; the nearest are AGENTFLOW_")),
            "{line}"
        );
    }
}

#[test]
fn variables_of_others_are_passed_over_and_told() {
    let environment =
        [("AGENTFLOW_SERVICE_HOST", "10.0.0.1"), ("AGENTFLOW_SECRET", "x"), ("AGENTFLOW_CONFIG", "f")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loaded = load(&Flags::default(), environment, None).unwrap();
    assert_eq!(loaded.passed_over, ["AGENTFLOW_SECRET", "AGENTFLOW_SERVICE_HOST"]);
}

#[test]
fn text_that_is_not_toml_is_told_with_its_line() {
    let line = loaded(&Flags::default(), &[], "listen = '127.0.0.1:1'\n[limits\n").unwrap_err();
    assert!(line.starts_with("agentflow.toml, line 2: not TOML: "), "{line}");
}

#[test]
fn rust_log_counts_where_the_setting_is_not_set() {
    let filter =
        |environment: &[(&str, &str)], file| loaded(&Flags::default(), environment, file).unwrap().log.filter;
    assert_eq!(filter(&[("RUST_LOG", "debug")], ""), "debug");
    assert_eq!(filter(&[("RUST_LOG", "debug"), ("AGENTFLOW_LOG", "warn")], ""), "warn");
    assert_eq!(filter(&[("RUST_LOG", "debug")], "log.filter = 'error'"), "error");
    assert_eq!(filter(&[("RUST_LOG", "=,=")], ""), "info");
}

#[test]
fn a_master_key_is_given_once_and_never_shown() {
    let key = "07".repeat(32);
    let config = loaded(&Flags::default(), &[("AGENTFLOW_SECRETS_KEY", &key)], "").unwrap();
    assert!(config.secrets.key.is_some());
    assert!(!format!("{config:?}").contains("0707"));
    let expected = "AGENTFLOW_SECRETS_KEY: expected 32 bytes as 64 hex digits or as base64, found something else, which is not shown";
    check_refused(&[("AGENTFLOW_SECRETS_KEY", &key[1..])], "", expected);
    let both =
        "secrets.key: expected to be the only one beside secrets.key_file, found both; set one of them";
    check_refused(&[("AGENTFLOW_SECRETS_KEY", &key)], "[secrets]\nkey_file = 'x'", both);
}
