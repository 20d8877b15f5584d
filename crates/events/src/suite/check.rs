//! The suite's vocabulary: keys, times, and questions to a store whose wrong answers become sentences.

use std::fmt;
use std::time::Duration;

use crate::idempotency::{Begin, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore};
use crate::{EventType, LeadId, Moment};

pub(super) type Check<T = ()> = Result<T, String>;

pub(super) const LEASE: Duration = Duration::from_secs(60);
pub(super) const TICK: Duration = Duration::from_millis(1);
/// When every test begins: 2024-11-14T08:46:12.345Z.
pub(super) const START: Moment = Moment::from_unix_millis(1_731_573_972_345);

/// The key of the lead with this number.
pub(super) fn key(lead: u8, event_type: EventType) -> IdempotencyKey {
    IdempotencyKey { lead_id: LeadId::at(START, [lead; 10]), event_type }
}

/// The key of tests that need only one.
pub(super) fn the_key() -> IdempotencyKey {
    key(1, EventType::LeadQualified)
}

pub(super) fn ensure(holds: bool, fault: impl fmt::Display) -> Check {
    if holds { Ok(()) } else { Err(fault.to_string()) }
}

fn store_failed(error: impl fmt::Display) -> String {
    format!("the store failed: {error}")
}

pub(super) async fn begin<S: IdempotencyStore>(store: &S, key: IdempotencyKey, now: Moment) -> Check<Begin> {
    store.begin(key, now, LEASE).await.map_err(store_failed)
}

/// Begins and expects to be given the work.
pub(super) async fn fresh<S: IdempotencyStore>(
    store: &S,
    key: IdempotencyKey,
    now: Moment,
) -> Check<FencingToken> {
    match begin(store, key, now).await? {
        Begin::Fresh(claim) => Ok(claim.token),
        other => Err(format!("begin should have been Fresh, was {other:?}")),
    }
}

/// Begins and expects to hear that somebody is at it, until then.
pub(super) async fn in_flight<S: IdempotencyStore>(
    store: &S,
    key: IdempotencyKey,
    now: Moment,
    until: Moment,
) -> Check {
    let said = begin(store, key, now).await?;
    ensure(
        said == Begin::InFlight { until },
        format!("begin should have been InFlight until {until}, was {said:?}"),
    )
}

/// Begins and expects to hear that the work is done.
pub(super) async fn done<S: IdempotencyStore>(store: &S, key: IdempotencyKey, now: Moment) -> Check {
    let said = begin(store, key, now).await?;
    ensure(said == Begin::Done, format!("begin should have been Done, was {said:?}"))
}

/// Commits; true where the store took it, false where the claim was not held.
pub(super) async fn commit<S: IdempotencyStore>(
    store: &S,
    key: IdempotencyKey,
    token: FencingToken,
    now: Moment,
) -> Check<bool> {
    taken(store.commit(key, token, now).await)
}

/// Aborts; true where the store took it, false where the claim was not held.
pub(super) async fn abort<S: IdempotencyStore>(
    store: &S,
    key: IdempotencyKey,
    token: FencingToken,
) -> Check<bool> {
    taken(store.abort(key, token).await)
}

fn taken<E: fmt::Display>(outcome: Result<(), ClaimError<E>>) -> Check<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(ClaimError::NotHeld) => Ok(false),
        Err(ClaimError::Store(error)) => Err(store_failed(error)),
    }
}

/// Purges and expects so many records to go.
pub(super) async fn purges<S: IdempotencyStore>(store: &S, older_than: Moment, expected: u64) -> Check {
    let count = store.purge(older_than).await.map_err(store_failed)?;
    ensure(count == expected, format!("purge should have said {expected}, said {count}"))
}
