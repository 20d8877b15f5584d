//! One key's life with one holder at a time.

use super::check::{
    Check, LEASE, START, TICK, abort, commit, done, ensure, fresh, in_flight, key, purges, the_key,
};
use crate::EventType::{LeadQualified, LeadRejected};
use crate::idempotency::IdempotencyStore;

pub(super) async fn begins_fresh_once_and_is_in_flight_from_then_on(store: &impl IdempotencyStore) -> Check {
    fresh(store, the_key(), START).await?;
    in_flight(store, the_key(), START, START.plus(LEASE)).await?;
    in_flight(store, the_key(), START.plus(TICK), START.plus(LEASE)).await
}

pub(super) async fn holds_a_lease_up_to_its_last_millisecond(store: &impl IdempotencyStore) -> Check {
    fresh(store, the_key(), START).await?;
    let until = START.plus(LEASE);
    in_flight(store, the_key(), until.minus(TICK), until).await?;
    fresh(store, the_key(), until).await?;
    in_flight(store, the_key(), until, until.plus(LEASE)).await
}

pub(super) async fn stays_done_after_a_commit(store: &impl IdempotencyStore) -> Check {
    let token = fresh(store, the_key(), START).await?;
    ensure(commit(store, the_key(), token, START.plus(TICK)).await?, "the holder's commit was refused")?;
    done(store, the_key(), START.plus(TICK)).await?;
    done(store, the_key(), START.plus(LEASE)).await?;
    done(store, the_key(), START.plus(LEASE * 100_000)).await
}

pub(super) async fn begins_afresh_at_once_after_an_abort(store: &impl IdempotencyStore) -> Check {
    let token = fresh(store, the_key(), START).await?;
    ensure(abort(store, the_key(), token).await?, "the holder's abort was refused")?;
    fresh(store, the_key(), START).await?;
    in_flight(store, the_key(), START, START.plus(LEASE)).await
}

pub(super) async fn commits_again_for_the_same_claim_without_changing_anything(
    store: &impl IdempotencyStore,
) -> Check {
    let token = fresh(store, the_key(), START).await?;
    ensure(commit(store, the_key(), token, START).await?, "the holder's commit was refused")?;
    let later = START.plus(LEASE * 10);
    ensure(commit(store, the_key(), token, later).await?, "the same claim's second commit was refused")?;
    done(store, the_key(), later).await?;
    // Had the second commit moved the time of the work, the record would be too young to go.
    purges(store, later, 1).await
}

pub(super) async fn does_not_abort_what_is_done(store: &impl IdempotencyStore) -> Check {
    let token = fresh(store, the_key(), START).await?;
    ensure(commit(store, the_key(), token, START).await?, "the holder's commit was refused")?;
    ensure(!abort(store, the_key(), token).await?, "an abort undid a commit")?;
    done(store, the_key(), START.plus(LEASE)).await
}

pub(super) async fn keeps_keys_apart(store: &impl IdempotencyStore) -> Check {
    let (ours, other_type, other_lead) = (key(1, LeadQualified), key(1, LeadRejected), key(2, LeadQualified));
    let token = fresh(store, ours, START).await?;
    fresh(store, other_type, START.plus(TICK)).await?;
    let other_token = fresh(store, other_lead, START.plus(TICK)).await?;

    ensure(commit(store, ours, token, START).await?, "the holder's commit was refused")?;
    in_flight(store, other_type, START.plus(TICK), START.plus(TICK).plus(LEASE)).await?;
    in_flight(store, other_lead, START.plus(TICK), START.plus(TICK).plus(LEASE)).await?;

    ensure(abort(store, other_lead, other_token).await?, "the holder's abort was refused")?;
    done(store, ours, START.plus(TICK)).await?;
    in_flight(store, other_type, START.plus(TICK), START.plus(TICK).plus(LEASE)).await
}
