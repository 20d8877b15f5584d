//! Many at once: as interleaved futures of one task, and on real threads.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Barrier, Mutex, PoisonError};
use std::task::Poll;
use std::thread;

use super::Report;
use super::check::{Check, LEASE, START, abort, begin, commit, done, ensure, fresh, in_flight, key, the_key};
use crate::EventType::LeadQualified;
use crate::Moment;
use crate::idempotency::{Begin, FencingToken, IdempotencyKey, IdempotencyStore};

const RACERS: usize = 32;

pub(super) async fn lets_one_of_many_begin(store: &impl IdempotencyStore) -> Check {
    let said = all((0..RACERS).map(|_| begin(store, the_key(), START))).await;
    let winner = one_winner(said, START.plus(LEASE))?;
    ensure(commit(store, the_key(), winner, START).await?, "the winner's commit was refused")?;
    done(store, the_key(), START).await
}

pub(super) async fn lets_one_of_many_take_over(store: &impl IdempotencyStore) -> Check {
    let old = fresh(store, the_key(), START).await?;
    let expired = START.plus(LEASE);
    let said = all((0..RACERS).map(|_| begin(store, the_key(), expired))).await;
    let winner = one_winner(said, expired.plus(LEASE))?;
    ensure(winner > old, format!("token {winner} of the takeover is not above {old}"))?;
    ensure(!commit(store, the_key(), old, expired).await?, "the old holder committed")?;
    in_flight(store, the_key(), expired, expired.plus(LEASE)).await
}

pub(super) async fn ends_a_claim_once_when_commit_and_abort_race(store: &impl IdempotencyStore) -> Check {
    let token = fresh(store, the_key(), START).await?;
    let ends = (0..RACERS).map(|racer| async move {
        let commits = racer % 2 == 0;
        let taken = if commits {
            commit(store, the_key(), token, START).await?
        } else {
            abort(store, the_key(), token).await?
        };
        Ok::<_, String>((commits, taken))
    });
    let ends = all(ends).await.into_iter().collect::<Check<Vec<_>>>()?;
    let count = |commits| ends.iter().filter(|&&end| end == (commits, true)).count();
    match (count(true), count(false)) {
        (0, 1) => fresh(store, the_key(), START).await.map(drop),
        (1.., 0) => done(store, the_key(), START).await,
        (commits, aborts) => {
            Err(format!("one claim was committed {commits} times and aborted {aborts} times"))
        }
    }
}

/// Of all that began at once one must have won, and the others must know until when.
fn one_winner(said: Vec<Check<Begin>>, until: Moment) -> Check<FencingToken> {
    let mut winners = Vec::new();
    for said in said {
        match said? {
            Begin::Fresh(claim) => winners.push(claim.token),
            Begin::InFlight { until: found } if found == until => {}
            other => {
                return Err(format!("a loser should have heard InFlight until {until}, heard {other:?}"));
            }
        }
    }
    match winners[..] {
        [winner] => Ok(winner),
        _ => Err(format!("{} of those who began at once were told Fresh", winners.len())),
    }
}

/// Polls all of them in turn until each is done.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(Box::pin).map(Some).collect();
    let mut outputs = Vec::new();
    poll_fn(|context| {
        for slot in &mut running {
            if let Some(future) = slot
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                outputs.push(output);
                *slot = None;
            }
        }
        if running.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs
}

/// One thread's part in a race, for the caller's way of blocking on a future.
pub type Race<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

const ROUNDS: u8 = 100;

/// Has real threads begin the same keys at the same moment, a hundred times over, first afresh and then as takeovers.
///
/// `block_on` runs a future to its end on the thread that calls it. The store is to be empty.
///
/// # Panics
///
/// When `block_on` does, or returns before the future has ended.
pub fn race_on_threads<S, B>(store: &S, threads: usize, block_on: B) -> Report
where
    S: IdempotencyStore,
    B: Fn(Race<'_>) + Sync,
{
    let mut report = Report::default();
    let outcome = (0..ROUNDS).try_for_each(|round| {
        let key = key(round, LeadQualified);
        let expired = START.plus(LEASE);
        let old = one_winner(begin_on_threads(store, threads, &block_on, key, START), expired)?;
        let new = one_winner(begin_on_threads(store, threads, &block_on, key, expired), expired.plus(LEASE))?;
        ensure(new > old, format!("token {new} of the takeover is not above {old}"))
    });
    report.record("lets_one_of_many_threads_begin_and_one_take_over", outcome);
    report
}

fn begin_on_threads<S, B>(
    store: &S,
    threads: usize,
    block_on: &B,
    key: IdempotencyKey,
    now: Moment,
) -> Vec<Check<Begin>>
where
    S: IdempotencyStore,
    B: Fn(Race<'_>) + Sync,
{
    let (start, said) = (Barrier::new(threads), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                block_on(Box::pin(async {
                    let answer = begin(store, key, now).await;
                    said.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                }));
            });
        }
    });
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(said.len(), threads, "block_on returned before the future had ended");
    said
}
