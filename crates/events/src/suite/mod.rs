//! A test suite that any [`IdempotencyStore`] can run against itself.
//!
//! Nothing in it reads a clock, sleeps or needs a runtime: [`run`] is a future on which the caller blocks in whatever
//! way the store asks for, and [`race_on_threads`] brings the caller's way of blocking to real threads.
//!
//! # Example: in a store's tests
//!
//! ```
//! use agentflow_events::idempotency::MemoryStore;
//! use agentflow_events::suite;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! runtime.block_on(suite::run(async || MemoryStore::new())).assert_sound();
//! suite::race_on_threads(&MemoryStore::new(), 4, |race| runtime.handle().block_on(race)).assert_sound();
//! # Ok::<(), std::io::Error>(())
//! ```

mod check;
mod holders;
mod life;
mod purging;
mod race;

use std::fmt;

use crate::idempotency::IdempotencyStore;

pub use race::{Race, race_on_threads};

/// A rule that a store broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The test that found it, a sentence with underscores.
    pub test: &'static str,
    /// What was wrong.
    pub fault: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.test, self.fault)
    }
}

/// What the suite found out about a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a report that nobody looks at proves nothing"]
pub struct Report {
    /// The tests that the store passed.
    pub passed: Vec<&'static str>,
    /// Those it did not.
    pub broken: Vec<Broken>,
}

impl Report {
    /// Whether tests were run and the store passed them all.
    pub fn is_sound(&self) -> bool {
        self.broken.is_empty() && !self.passed.is_empty()
    }

    /// For the end of a test.
    ///
    /// # Panics
    ///
    /// When the store is not sound; the message lists every broken rule.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert!(self.is_sound(), "the store breaks the protocol:\n{self}");
    }

    fn record(&mut self, test: &'static str, outcome: check::Check) {
        match outcome {
            Ok(()) => self.passed.push(test),
            Err(fault) => self.broken.push(Broken { test, fault }),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for broken in &self.broken {
            writeln!(f, "{broken}")?;
        }
        write!(f, "{} passed, {} broken", self.passed.len(), self.broken.len())
    }
}

/// Runs every test, each on a store of its own: `empty_store` is to give a new one with nothing in it at each call.
pub async fn run<S: IdempotencyStore>(empty_store: impl AsyncFn() -> S) -> Report {
    let mut report = Report::default();
    macro_rules! tests {
        ($($stage:ident: $($test:ident)+;)+) => {$($(
            let store = empty_store().await;
            report.record(stringify!($test), $stage::$test(&store).await);
        )+)+};
    }
    tests! {
        life:
            begins_fresh_once_and_is_in_flight_from_then_on
            holds_a_lease_up_to_its_last_millisecond
            stays_done_after_a_commit
            begins_afresh_at_once_after_an_abort
            commits_again_for_the_same_claim_without_changing_anything
            does_not_abort_what_is_done
            keeps_keys_apart;
        holders:
            gives_an_expired_claim_to_the_next_with_a_higher_token
            refuses_the_old_holders_commit_after_a_takeover
            refuses_the_old_holders_abort_after_a_takeover
            accepts_a_late_commit_when_nobody_took_over
            refuses_a_claim_that_was_aborted
            refuses_a_token_that_was_never_given
            raises_the_token_across_abort_takeover_and_purge;
        purging:
            forgets_what_was_done_before_the_limit
            keeps_what_is_in_flight
            forgets_abandoned_claims_and_refuses_their_holders;
        race:
            lets_one_of_many_begin
            lets_one_of_many_take_over
            ends_a_claim_once_when_commit_and_abort_race;
    }
    report
}
