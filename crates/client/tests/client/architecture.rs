//! What only one place in the crate does.

use std::fs;
use std::path::Path;

/// Fails for every file of `src` but `allowed` whose code has one of the words.
#[track_caller]
fn only_in(allowed: &[&str], words: &[&str]) {
    let mut files = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        files += 1;
        if allowed.contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in words {
                assert!(!line.contains(word), "src/{name}: `{word}` belongs to {allowed:?}: {line}");
            }
        }
    }
    assert!(files > 15, "the sources were not found");
}

#[test]
fn only_the_clock_reads_the_time_of_day() {
    only_in(&["clock.rs"], &["SystemTime::now"]);
}

#[test]
fn only_one_file_draws_randomness() {
    only_in(&["random.rs"], &["getrandom"]);
}

#[test]
fn only_the_exchange_and_its_faults_know_the_http_client() {
    only_in(&["exchange.rs", "fault.rs"], &["hyper"]);
}

#[test]
fn only_the_client_waits() {
    only_in(&["client.rs", "exchange.rs", "blocking.rs"], &["tokio::"]);
}

#[test]
fn nothing_is_printed_or_logged() {
    only_in(&[], &["println!", "eprintln!", "tracing", "log::"]);
}
