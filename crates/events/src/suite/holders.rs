//! Who may end a claim: takeovers, and holders that come too late.

use super::check::{
    Check, LEASE, START, TICK, abort, commit, done, ensure, fresh, in_flight, purges, the_key,
};
use crate::idempotency::{FencingToken, IdempotencyStore};

pub(super) async fn gives_an_expired_claim_to_the_next_with_a_higher_token(
    store: &impl IdempotencyStore,
) -> Check {
    let old = fresh(store, the_key(), START).await?;
    let expired = START.plus(LEASE);
    let new = fresh(store, the_key(), expired).await?;
    ensure(new > old, format!("token {new} of the takeover is not above {old}"))?;
    in_flight(store, the_key(), expired, expired.plus(LEASE)).await?;
    ensure(commit(store, the_key(), new, expired).await?, "the new holder's commit was refused")?;
    done(store, the_key(), expired).await
}

pub(super) async fn refuses_the_old_holders_commit_after_a_takeover(store: &impl IdempotencyStore) -> Check {
    let old = fresh(store, the_key(), START).await?;
    let expired = START.plus(LEASE);
    let new = fresh(store, the_key(), expired).await?;
    ensure(
        !commit(store, the_key(), old, expired).await?,
        "the old holder committed while the new one is at work",
    )?;
    in_flight(store, the_key(), expired, expired.plus(LEASE)).await?;
    ensure(abort(store, the_key(), new).await?, "the new holder's abort was refused")?;
    ensure(
        !commit(store, the_key(), old, expired).await?,
        "the old holder committed after the new one's abort",
    )?;

    let third = fresh(store, the_key(), expired).await?;
    ensure(commit(store, the_key(), third, expired).await?, "the third holder's commit was refused")?;
    ensure(!commit(store, the_key(), old, expired).await?, "the old holder committed what another has done")
}

pub(super) async fn refuses_the_old_holders_abort_after_a_takeover(store: &impl IdempotencyStore) -> Check {
    let old = fresh(store, the_key(), START).await?;
    let expired = START.plus(LEASE);
    let new = fresh(store, the_key(), expired).await?;
    ensure(!abort(store, the_key(), old).await?, "the old holder aborted the new one's claim")?;
    in_flight(store, the_key(), expired, expired.plus(LEASE)).await?;
    ensure(commit(store, the_key(), new, expired).await?, "the new holder's commit was refused")?;
    ensure(!abort(store, the_key(), old).await?, "the old holder aborted what the new one has done")?;
    done(store, the_key(), expired).await
}

pub(super) async fn accepts_a_late_commit_when_nobody_took_over(store: &impl IdempotencyStore) -> Check {
    let token = fresh(store, the_key(), START).await?;
    let late = START.plus(LEASE * 3);
    ensure(
        commit(store, the_key(), token, late).await?,
        "a late commit that nobody forestalled was refused",
    )?;
    done(store, the_key(), late).await
}

pub(super) async fn refuses_a_claim_that_was_aborted(store: &impl IdempotencyStore) -> Check {
    let token = fresh(store, the_key(), START).await?;
    ensure(abort(store, the_key(), token).await?, "the holder's abort was refused")?;
    ensure(!commit(store, the_key(), token, START).await?, "an aborted claim was committed")?;
    ensure(!abort(store, the_key(), token).await?, "an aborted claim was aborted again")?;
    fresh(store, the_key(), START).await?;
    ensure(
        !commit(store, the_key(), token, START).await?,
        "an aborted claim was committed in another's place",
    )
}

pub(super) async fn refuses_a_token_that_was_never_given(store: &impl IdempotencyStore) -> Check {
    let stray = FencingToken::new(1_000_000);
    ensure(!commit(store, the_key(), stray, START).await?, "a key that nobody began was committed")?;
    ensure(!abort(store, the_key(), stray).await?, "a key that nobody began was aborted")?;
    let token = fresh(store, the_key(), START).await?;
    let stray = FencingToken::new(token.as_u64() + 1);
    ensure(!commit(store, the_key(), stray, START).await?, "a token from the future committed")?;
    ensure(!abort(store, the_key(), stray).await?, "a token from the future aborted")?;
    in_flight(store, the_key(), START, START.plus(LEASE)).await
}

pub(super) async fn raises_the_token_across_abort_takeover_and_purge(store: &impl IdempotencyStore) -> Check {
    let first = fresh(store, the_key(), START).await?;
    ensure(abort(store, the_key(), first).await?, "the holder's abort was refused")?;

    let second = fresh(store, the_key(), START).await?;
    ensure(second > first, format!("token {second} after an abort is not above {first}"))?;

    let expired = START.plus(LEASE);
    let third = fresh(store, the_key(), expired).await?;
    ensure(third > second, format!("token {third} after a takeover is not above {second}"))?;

    ensure(commit(store, the_key(), third, expired).await?, "the holder's commit was refused")?;
    purges(store, expired.plus(TICK), 1).await?;
    let fourth = fresh(store, the_key(), expired).await?;
    ensure(fourth > third, format!("token {fourth} after a purge is not above {third}"))?;
    ensure(
        !commit(store, the_key(), third, expired).await?,
        "a purged claim was committed in another's place",
    )
}
