//! Seeds, thousands of them, and the planted faults that they must find.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::bug::Bug;
use super::chaos::live;
use super::ledger::Violation;

/// Names the seed with which a run can be repeated.
#[track_caller]
fn check(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        if let Err(violation) = live(seed, Bug::None) {
            panic!("seed {seed}: {violation:?}");
        }
    }
}

/// A test for each range, so that they run side by side.
macro_rules! whatever_happens_the_invariants_hold {
    ($($name:ident: $seeds:expr;)+) => {
        mod whatever_happens_the_invariants_hold {
            $(
                #[test]
                fn $name() {
                    super::check($seeds);
                }
            )+
        }
    };
}

whatever_happens_the_invariants_hold! {
    with_seeds_from_0: 0..625;
    with_seeds_from_625: 625..1_250;
    with_seeds_from_1250: 1_250..1_875;
    with_seeds_from_1875: 1_875..2_500;
    with_seeds_from_2500: 2_500..3_125;
    with_seeds_from_3125: 3_125..3_750;
    with_seeds_from_3750: 3_750..4_375;
    with_seeds_from_4375: 4_375..5_000;
}

#[test]
fn a_seed_repeats_its_run() {
    for seed in 0..20 {
        assert_eq!(live(seed, Bug::None), live(seed, Bug::None));
    }
}

/// Seeds after 5,000 for so many seconds, where `SIMULATE_SECONDS` says so; `SIMULATE_SEED`: from this one on.
#[test]
fn further_seeds_for_as_long_as_is_asked_for() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let Some(seconds) = number("SIMULATE_SECONDS") else { return };
    let first = number("SIMULATE_SEED").unwrap_or(5_000);
    let (next, deliveries) = (AtomicU64::new(first), AtomicU64::new(0));
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while begun.elapsed() < Duration::from_secs(seconds) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    match live(seed, Bug::None) {
                        Ok(count) => deliveries.fetch_add(count as u64, Ordering::Relaxed),
                        Err(violation) => panic!("seed {seed}: {violation:?}"),
                    };
                }
            });
        }
    });
    let count = next.load(Ordering::Relaxed) - first;
    println!(
        "{count} seeds from {first} on, {} deliveries, {seconds} s: every invariant held",
        deliveries.into_inner()
    );
}

/// The first seed that shows the fault.
#[track_caller]
fn finds(bug: Bug, expected: Violation) {
    let found = (0..2_000).find_map(|seed| live(seed, bug).err());
    assert_eq!(found, Some(expected), "{bug:?}");
}

#[test]
fn a_store_that_forgets_retries_is_found() {
    finds(Bug::StoreForgetsRetries, Violation::Unfinished);
}

#[test]
fn attempts_that_end_without_a_word_are_found() {
    finds(Bug::AttemptsVanish, Violation::Unfinished);
}

#[test]
fn a_transport_that_sends_twice_is_found() {
    finds(Bug::TransportRepeats, Violation::TwiceInFlight);
}

#[test]
fn answers_that_are_counted_twice_are_found() {
    finds(Bug::AnswersCountTwice, Violation::OverLimit);
}

#[test]
fn a_scheduler_that_cannot_tell_leads_apart_is_found() {
    finds(Bug::SchedulerBlindToLeads, Violation::TwiceInFlight);
}

#[test]
fn a_store_that_turns_the_order_round_is_found() {
    finds(Bug::StoreClaimsOutOfOrder, Violation::OutOfOrder);
}

#[test]
fn a_store_that_hands_out_early_is_found() {
    finds(Bug::StoreClaimsEarly, Violation::TooEarly);
}

#[test]
fn a_body_that_changes_between_attempts_is_found() {
    finds(Bug::BodyRenderedAnew, Violation::BodyChanged);
}

#[test]
fn a_final_state_that_changes_is_found() {
    finds(Bug::StoreOverwritesFinalStates, Violation::FinalChanged);
}

#[test]
fn what_was_delivered_and_is_sent_again_is_found() {
    finds(Bug::StoreClaimsWhatIsOver, Violation::FinalChanged);
}

#[test]
fn a_failure_that_counts_as_delivered_is_found() {
    finds(Bug::StoreTakesFailuresForSuccess, Violation::WrongEnd);
}

#[test]
fn slots_that_are_given_back_early_are_found() {
    finds(Bug::SlotsFreedEarly, Violation::OverLimit);
}

#[test]
fn a_rate_that_is_not_kept_is_found() {
    finds(Bug::PaceUnknown, Violation::TooFast);
}
