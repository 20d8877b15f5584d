//! The suite on the store in memory, the suite on stores that are wrong on purpose, and the protocol around work.

#![expect(
    clippy::unwrap_used,
    reason = "outside its test functions, too, a test may stop where it cannot go on"
)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agentflow_events::idempotency::{
    Begin, Claim, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore, MemoryStore, Receipt, run_once,
};
use agentflow_events::{EventType, LeadId, Moment, suite};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn the_store_in_memory_keeps_the_protocol() {
    let report = block_on(suite::run(async || MemoryStore::new()));
    report.assert_sound();
    assert_eq!(report.passed.len(), 20);
}

#[test]
fn the_store_in_memory_keeps_the_protocol_under_real_threads() {
    suite::race_on_threads(&MemoryStore::new(), 8, |race| block_on(race)).assert_sound();
}

#[test]
fn the_store_in_memory_counts_what_it_remembers() {
    let store = MemoryStore::new();
    assert!(store.is_empty());
    let _ = block_on(store.begin(key(), NOW, LEASE)).unwrap();
    assert_eq!(store.len(), 1);
}

/// What a store could get wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bug {
    None,
    SaysDoneWhileInFlight,
    GivesWorkInFlightToAnyone,
    NeverLetsALeaseExpire,
    LetsALeaseExpireTooEarly,
    ExtendsTheLeaseOfAnother,
    LetsAnyTokenCommit,
    LetsAnyTokenAbort,
    UndoesACommitByAbort,
    ForgetsAnAbort,
    RefusesASecondCommit,
    MovesTheTimeOfASecondCommit,
    RefusesALateCommit,
    StartsTokensOver,
    PurgesWhatIsInFlight,
    PurgesByTheTimeOfBegin,
    PurgesNothing,
    MixesEventTypes,
    ChecksThenActs,
}

#[derive(Clone, Copy)]
struct Row {
    token: u64,
    begun: Moment,
    until: Moment,
    done: Option<Moment>,
}

/// A right store but for one bug.
struct Suspect {
    bug: Bug,
    rows: Mutex<(HashMap<String, Row>, u64)>,
}

impl Suspect {
    fn new(bug: Bug) -> Self {
        Self { bug, rows: Mutex::default() }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    fn column(&self, key: IdempotencyKey) -> String {
        if self.is(Bug::MixesEventTypes) { key.lead_id.to_string() } else { key.to_string() }
    }

    fn answer(&self, row: Option<&mut Row>, now: Moment, lease: Duration) -> Option<Begin> {
        let row = row?;
        let until = if self.is(Bug::LetsALeaseExpireTooEarly) {
            row.until.minus(Duration::from_millis(1))
        } else {
            row.until
        };
        if row.done.is_some() {
            Some(Begin::Done)
        } else if self.is(Bug::GivesWorkInFlightToAnyone) {
            None
        } else if now < until || self.is(Bug::NeverLetsALeaseExpire) {
            if self.is(Bug::ExtendsTheLeaseOfAnother) {
                row.until = now.plus(lease);
            }
            let in_flight = Begin::InFlight { until: row.until };
            Some(if self.is(Bug::SaysDoneWhileInFlight) { Begin::Done } else { in_flight })
        } else {
            None
        }
    }
}

impl IdempotencyStore for Suspect {
    type Error = Infallible;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> Result<Begin, Infallible> {
        let column = self.column(key);
        if self.is(Bug::ChecksThenActs) {
            let answer = self.answer(self.rows.lock().unwrap().0.get_mut(&column), now, lease);
            if let Some(answer) = answer {
                return Ok(answer);
            }
            tokio::task::yield_now().await;
        }
        let (rows, last_token) = &mut *self.rows.lock().unwrap();
        if !self.is(Bug::ChecksThenActs)
            && let Some(answer) = self.answer(rows.get_mut(&column), now, lease)
        {
            return Ok(answer);
        }
        if self.is(Bug::StartsTokensOver) && !rows.contains_key(&column) {
            *last_token = 0;
        }
        *last_token += 1;
        rows.insert(column, Row { token: *last_token, begun: now, until: now.plus(lease), done: None });
        Ok(Begin::Fresh(Claim { token: FencingToken::new(*last_token) }))
    }

    async fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<Infallible>> {
        let (rows, _) = &mut *self.rows.lock().unwrap();
        let row = rows.get_mut(&self.column(key)).ok_or(ClaimError::NotHeld)?;
        let stranger = row.token != token.as_u64() && !self.is(Bug::LetsAnyTokenCommit);
        let late = self.is(Bug::RefusesALateCommit) && now >= row.until && row.done.is_none();
        let second = self.is(Bug::RefusesASecondCommit) && row.done.is_some();
        if stranger || late || second {
            return Err(ClaimError::NotHeld);
        }
        if row.done.is_none() || self.is(Bug::MovesTheTimeOfASecondCommit) {
            row.done = Some(now);
        }
        Ok(())
    }

    async fn abort(&self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<Infallible>> {
        let (rows, _) = &mut *self.rows.lock().unwrap();
        let column = self.column(key);
        let row = rows.get(&column).ok_or(ClaimError::NotHeld)?;
        let stranger = row.token != token.as_u64() && !self.is(Bug::LetsAnyTokenAbort);
        let done = row.done.is_some() && !self.is(Bug::UndoesACommitByAbort);
        if stranger || done {
            return Err(ClaimError::NotHeld);
        }
        if !self.is(Bug::ForgetsAnAbort) {
            rows.remove(&column);
        }
        Ok(())
    }

    async fn purge(&self, older_than: Moment) -> Result<u64, Infallible> {
        let (rows, _) = &mut *self.rows.lock().unwrap();
        let before = rows.len();
        rows.retain(|_, row| match (self.bug, row.done) {
            (Bug::PurgesNothing, _) => true,
            (Bug::PurgesByTheTimeOfBegin, _) => row.begun >= older_than,
            (Bug::PurgesWhatIsInFlight, None) => false,
            (_, done) => done.unwrap_or(row.until) >= older_than,
        });
        Ok((before - rows.len()) as u64)
    }
}

/// The tests that a store with this bug fails.
fn broken_by(bug: Bug) -> Vec<&'static str> {
    let report = block_on(suite::run(async || Suspect::new(bug)));
    assert_eq!(report.passed.len() + report.broken.len(), 20);
    report.broken.into_iter().map(|broken| broken.test).collect()
}

#[test]
fn the_suite_passes_the_suspect_without_a_bug() {
    assert_eq!(broken_by(Bug::None), [""; 0]);
}

#[track_caller]
fn catches(bug: Bug, test: &str) {
    let broken = broken_by(bug);
    assert!(broken.contains(&test), "{bug:?} was found by {broken:?} only");
}

#[test]
fn the_suite_catches_each_bug_in_the_test_that_is_named_for_it() {
    catches(Bug::SaysDoneWhileInFlight, "begins_fresh_once_and_is_in_flight_from_then_on");
    catches(Bug::GivesWorkInFlightToAnyone, "begins_fresh_once_and_is_in_flight_from_then_on");
    catches(Bug::NeverLetsALeaseExpire, "gives_an_expired_claim_to_the_next_with_a_higher_token");
    catches(Bug::LetsALeaseExpireTooEarly, "holds_a_lease_up_to_its_last_millisecond");
    catches(Bug::ExtendsTheLeaseOfAnother, "begins_fresh_once_and_is_in_flight_from_then_on");
    catches(Bug::LetsAnyTokenCommit, "refuses_the_old_holders_commit_after_a_takeover");
    catches(Bug::LetsAnyTokenAbort, "refuses_the_old_holders_abort_after_a_takeover");
    catches(Bug::UndoesACommitByAbort, "does_not_abort_what_is_done");
    catches(Bug::ForgetsAnAbort, "begins_afresh_at_once_after_an_abort");
    catches(Bug::RefusesASecondCommit, "commits_again_for_the_same_claim_without_changing_anything");
    catches(Bug::MovesTheTimeOfASecondCommit, "commits_again_for_the_same_claim_without_changing_anything");
    catches(Bug::RefusesALateCommit, "accepts_a_late_commit_when_nobody_took_over");
    catches(Bug::StartsTokensOver, "raises_the_token_across_abort_takeover_and_purge");
    catches(Bug::PurgesWhatIsInFlight, "keeps_what_is_in_flight");
    catches(Bug::PurgesByTheTimeOfBegin, "keeps_what_is_in_flight");
    catches(Bug::PurgesNothing, "forgets_what_was_done_before_the_limit");
    catches(Bug::MixesEventTypes, "keeps_keys_apart");
    catches(Bug::ChecksThenActs, "lets_one_of_many_begin");
    catches(Bug::ChecksThenActs, "lets_one_of_many_take_over");
}

#[test]
fn the_race_on_threads_catches_a_store_that_lets_two_begin() {
    let suspect = Suspect::new(Bug::GivesWorkInFlightToAnyone);
    let report = suite::race_on_threads(&suspect, 4, |race| block_on(race));
    assert!(report.to_string().contains("4 of those who began at once were told Fresh"), "{report}");
}

#[test]
#[should_panic(expected = "keeps_keys_apart: begin should have been Fresh, was InFlight")]
fn the_report_says_what_broke() {
    block_on(suite::run(async || Suspect::new(Bug::MixesEventTypes))).assert_sound();
}

const NOW: Moment = Moment::from_unix_millis(1_731_573_972_345);
const LEASE: Duration = Duration::from_secs(60);

fn key() -> IdempotencyKey {
    IdempotencyKey { lead_id: LeadId::at(NOW, [7; 10]), event_type: EventType::LeadQualified }
}

/// Runs work that ends like this, and says what became of it.
fn run(store: &MemoryStore, outcome: Result<u8, &'static str>) -> Receipt<u8, &'static str> {
    block_on(run_once(store, key(), LEASE, || NOW, |_| async move { outcome })).unwrap()
}

#[test]
fn work_that_succeeds_runs_once() {
    let store = MemoryStore::new();
    assert_eq!(run(&store, Ok(1)), Receipt::Done(1));
    assert_eq!(run(&store, Ok(2)), Receipt::AlreadyDone);
}

#[test]
fn work_that_fails_runs_again() {
    let store = MemoryStore::new();
    let failed = run(&store, Err("disk full"));
    assert_eq!(failed, Receipt::Failed("disk full"));
    assert!(!failed.is_acknowledged());
    assert_eq!(run(&store, Ok(2)), Receipt::Done(2));
}

#[test]
fn work_in_flight_elsewhere_is_neither_run_nor_acknowledged() {
    let store = MemoryStore::new();
    let _ = block_on(store.begin(key(), NOW, LEASE)).unwrap();
    let receipt = run(&store, Ok(1));
    assert_eq!(receipt, Receipt::InFlight { until: NOW.plus(LEASE) });
    assert!(!receipt.is_acknowledged());
    assert_eq!(receipt.retry_after(NOW.plus(Duration::from_secs(20))), Some(Duration::from_secs(40)));
    assert!(run(&MemoryStore::new(), Ok(1)).is_acknowledged());
}

#[test]
fn work_that_outlives_its_lease_is_not_acknowledged_once_another_took_over() {
    let store = MemoryStore::new();
    let now = AtomicI64::new(NOW.unix_millis());
    let clock = || Moment::from_unix_millis(now.load(Ordering::SeqCst));
    let receipt = block_on(run_once(&store, key(), LEASE, clock, async |claim: Claim| {
        now.store(NOW.plus(LEASE).unix_millis(), Ordering::SeqCst);
        let Ok(Begin::Fresh(other)) = store.begin(key(), clock(), LEASE).await else {
            panic!("the lease ran out")
        };
        assert!(other.token > claim.token);
        Ok::<_, Infallible>(1)
    }))
    .unwrap();
    assert_eq!(receipt, Receipt::TakenOver(1));
    assert!(!receipt.is_acknowledged());
}

#[test]
fn work_that_is_dropped_halfway_is_taken_over_when_the_lease_has_run_out() {
    let store = MemoryStore::new();
    block_on(async {
        let work =
            run_once(&store, key(), LEASE, || NOW, |_| std::future::pending::<Result<u8, Infallible>>());
        tokio::select! {
            biased;
            _ = work => unreachable!("the work never ends"),
            () = std::future::ready(()) => {}
        }
    });
    assert_eq!(run(&store, Ok(1)), Receipt::InFlight { until: NOW.plus(LEASE) });
    let later = || NOW.plus(LEASE);
    let receipt = block_on(run_once(&store, key(), LEASE, later, |_| async { Ok::<_, Infallible>(1) }));
    assert_eq!(receipt, Ok(Receipt::Done(1)));
}

#[test]
fn the_future_of_work_can_move_between_threads() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let store = MemoryStore::new();
    let work = run_once(&store, key(), LEASE, || NOW, |_| async { Ok::<_, Infallible>(1) });
    assert_eq!(block_on(is_send(work)), Ok(Receipt::Done(1)));
}

/// A store that is down whenever it is to record an end.
struct Down(MemoryStore);

impl IdempotencyStore for Down {
    type Error = std::io::Error;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> std::io::Result<Begin> {
        self.0.begin(key, now, lease).await.map_err(|never| match never {})
    }

    async fn commit(
        &self,
        _: IdempotencyKey,
        _: FencingToken,
        _: Moment,
    ) -> Result<(), ClaimError<std::io::Error>> {
        Err(std::io::Error::other("the store is down").into())
    }

    async fn abort(&self, _: IdempotencyKey, _: FencingToken) -> Result<(), ClaimError<std::io::Error>> {
        Err(std::io::Error::other("the store is down").into())
    }

    async fn purge(&self, _: Moment) -> std::io::Result<u64> {
        Err(std::io::Error::other("the store is down"))
    }
}

#[test]
fn work_that_the_store_fails_to_record_is_not_acknowledged() {
    let store = Down(MemoryStore::new());
    let done = block_on(run_once(&store, key(), LEASE, || NOW, |_| async { Ok::<u8, &str>(1) }));
    assert_eq!(done.unwrap_err().to_string(), "the store is down");
    let again = block_on(run_once(&store, key(), LEASE, || NOW, |_| async { Ok::<u8, &str>(1) })).unwrap();
    assert_eq!(again, Receipt::InFlight { until: NOW.plus(LEASE) });
}

#[test]
fn work_that_fails_while_the_store_is_down_reports_its_own_failure() {
    let store = Down(MemoryStore::new());
    let failed = block_on(run_once(&store, key(), LEASE, || NOW, |_| async { Err::<u8, _>("disk full") }));
    assert_eq!(failed.unwrap(), Receipt::Failed("disk full"));
}

#[test]
fn the_suite_reports_a_store_that_fails() {
    let report = block_on(suite::run(async || Down(MemoryStore::new())));
    assert!(!report.is_sound());
    assert!(report.to_string().contains("stays_done_after_a_commit: the store failed: the store is down"));
    let codes = [ClaimError::NotHeld, ClaimError::Store(())].map(|error: ClaimError<()>| error.code());
    assert_eq!(codes, ["claim_not_held", "store_unavailable"]);
}
