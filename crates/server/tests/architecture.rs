//! The rules of ARCHITECTURE.md that the compiler does not hold.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found
}

/// Fails for every file of `src` outside `allowed` (prefixes) whose code has one of the words.
#[track_caller]
fn only_in(allowed: &[&str], words: &[&str]) {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = sources(&src);
    assert!(all.len() > 30, "the sources were not found");
    for path in all {
        let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        if allowed.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words {
                assert!(!code.contains(word), "src/{name}:{}: `{word}` belongs to {allowed:?}", number + 1);
            }
        }
    }
}

#[test]
fn only_the_clock_reads_the_time_of_day() {
    only_in(&["clock.rs"], &["SystemTime::now", "Utc::now", "Timestamp::now", "Zoned::now"]);
}

#[test]
fn only_the_delivery_client_opens_outbound_sockets() {
    only_in(&["deliver/client.rs"], &["TcpStream::connect"]);
    only_in(&["deliver/names.rs"], &["hickory_resolver", "lookup_host", "to_socket_addrs"]);
    // The one asks for a route and sends nothing; the other has a DNS server in its tests.
    only_in(&["deliver/address.rs", "deliver/names.rs"], &["UdpSocket"]);
}

#[test]
fn only_the_edge_and_the_replies_name_status_codes() {
    only_in(&["edge/", "reply.rs"], &["StatusCode::"]);
}

#[test]
fn only_the_sqlite_store_knows_sql() {
    only_in(&["store/sqlite/"], &["rusqlite", "SELECT ", "INSERT "]);
}

#[test]
fn no_stage_imports_a_later_one() {
    // The way of a lead: edge -> intake -> qualify -> store -> deliver.
    only_in(
        &[
            "deliver/",
            "server.rs",
            "api/",
            "dashboard/",
            "management.rs",
            "destinations.rs",
            "settings.rs",
            "lib.rs",
            "config/",
        ],
        &["crate::deliver"],
    );
    only_in(
        &["edge/", "intake.rs", "review.rs", "server.rs", "lib.rs", "api/", "deliver/", "reply.rs"],
        &["crate::intake"],
    );
    only_in(&["edge/", "setup/", "server.rs", "lib.rs", "api/", "dashboard/"], &["crate::edge"]);
}
