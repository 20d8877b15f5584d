//! What a purge takes and what it leaves.

use super::check::{Check, LEASE, START, TICK, commit, done, ensure, fresh, in_flight, key, purges, the_key};
use crate::EventType::LeadQualified;
use crate::idempotency::IdempotencyStore;

pub(super) async fn forgets_what_was_done_before_the_limit(store: &impl IdempotencyStore) -> Check {
    let limit = START.plus(LEASE);
    for (lead, at) in [(1, START), (2, limit.minus(TICK)), (3, limit), (4, limit.plus(TICK))] {
        let token = fresh(store, key(lead, LeadQualified), at).await?;
        ensure(commit(store, key(lead, LeadQualified), token, at).await?, "the holder's commit was refused")?;
    }
    purges(store, limit, 2).await?;
    done(store, key(3, LeadQualified), limit).await?;
    done(store, key(4, LeadQualified), limit).await?;
    fresh(store, key(1, LeadQualified), limit).await?;
    fresh(store, key(2, LeadQualified), limit).await?;
    purges(store, limit, 0).await
}

pub(super) async fn keeps_what_is_in_flight(store: &impl IdempotencyStore) -> Check {
    let token = fresh(store, the_key(), START).await?;
    let until = START.plus(LEASE);
    // Begun long before the limit, and even at its very end still held.
    purges(store, START.plus(TICK), 0).await?;
    purges(store, until, 0).await?;
    in_flight(store, the_key(), until.minus(TICK), until).await?;
    ensure(commit(store, the_key(), token, until).await?, "a purge took a claim from its holder")?;
    done(store, the_key(), until).await
}

pub(super) async fn forgets_abandoned_claims_and_refuses_their_holders(
    store: &impl IdempotencyStore,
) -> Check {
    let abandoned = fresh(store, the_key(), START).await?;
    let past = START.plus(LEASE).plus(TICK);
    purges(store, past, 1).await?;
    ensure(!commit(store, the_key(), abandoned, past).await?, "a purged claim was committed")?;
    let token = fresh(store, the_key(), past).await?;
    ensure(token > abandoned, format!("token {token} after a purge is not above {abandoned}"))
}
