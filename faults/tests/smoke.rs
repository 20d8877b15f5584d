//! A part of each campaign; `scripts/faults` runs all of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;

use agentflow_faults::power::{self, Plant};
use agentflow_faults::sweep::{self, Bench};

#[test]
fn nothing_acknowledged_is_lost_when_a_call_of_the_disk_fails() {
    let scenes = sweep::scenes(&Bench::new().unwrap(), 5_000, 1).unwrap();
    let parts = |part: u64| {
        sweep::sweep(&Bench::new().unwrap(), &scenes, 5_000, |call| call % 50 == 0 && call / 50 % 2 == part)
    };
    let report = thread::scope(|scope| {
        let other = scope.spawn(|| parts(1));
        let mut report = parts(0);
        report.add(other.join().unwrap());
        report
    });
    println!("{report:?}");
    assert!(report.injected > 200 && report.stopped > 50, "{report:?}");
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
}

/// The first calls make the file; a store that came out of them without its write-ahead log lost what it acknowledged.
#[test]
fn nothing_acknowledged_is_lost_when_a_call_of_the_first_start_fails() {
    let bench = Bench::new().unwrap();
    let scenes = sweep::scenes(&bench, 1, 1).unwrap();
    let report = sweep::sweep(&bench, &scenes, 100, |call| call < 12 || call % 9 == 0);
    assert!(report.injected > 50, "{report:?}");
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut() {
    let report = power::campaign(&Bench::new().unwrap(), 200, 1, Plant::None).unwrap();
    println!("{report:?}");
    assert!(report.acknowledged > 1_000, "{report:?}");
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
}

#[track_caller]
fn finds(plant: Plant) {
    let report = power::campaign(&Bench::new().unwrap(), 100, 1, plant).unwrap();
    println!("{plant:?}: {} violations in {} images", report.violations.len(), report.images);
    let lost = |what: &String| what.contains("was acknowledged");
    assert!(report.violations.iter().any(lost), "{:#?}", report.violations);
}

#[test]
fn the_campaign_finds_a_store_that_does_not_sync() {
    finds(Plant::SynchronousOff);
}

#[test]
fn the_campaign_finds_a_disk_whose_syncs_do_nothing() {
    finds(Plant::SyncsIgnored);
}

#[test]
fn the_campaign_finds_answers_that_come_before_their_sync() {
    finds(Plant::AcknowledgedEarly);
}
