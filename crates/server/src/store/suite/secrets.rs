//! Secrets that wait, retire or are dropped, and what is sealed.

use agentflow_events::EventType;

use super::Harness;
use super::world::{DAY, HOUR, Outcome, START, World, after};
use crate::id::mint;
use crate::record::{SealedBytes, SecretDirection, SecretRow, SecretUses};
use crate::store::{SealedIn, SecretDropped, StoreError};

const OUTBOUND: SecretDirection = SecretDirection::Outbound;

async fn rotate(world: &World, at: u64, active_from: u64, old_ends: u64) -> Result<SecretRow, StoreError> {
    let secret = SecretRow {
        id: mint(after(at)),
        workspace_id: world.id(),
        direction: OUTBOUND,
        secret: SealedBytes(vec![9; 64]),
        created_at: after(at),
        active_from: after(active_from),
        expires_at: None,
        uses: 0,
        last_used_at: None,
    };
    let audit = world.audit("secret.rotate", after(at));
    world.store.rotate_secret(secret.clone(), after(old_ends), audit).await?;
    Ok(secret)
}

async fn outbound(world: &World, at: u64) -> Result<Vec<SecretRow>, StoreError> {
    let mut rows = world.store.secrets(after(at)).await?;
    rows.retain(|row| row.workspace_id == world.id() && row.direction == OUTBOUND);
    rows.sort_by_key(|row| row.active_from);
    Ok(rows)
}

pub async fn an_announced_secret_is_present_from_its_time_on(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let first = world.founding.secrets[1].clone();
    let second = rotate(&world, 10, HOUR, 2 * HOUR).await?;
    let world = world.reopened(harness).await;
    for (at, present, count) in
        [(10, first.id, 2), (HOUR - 1, first.id, 2), (HOUR, second.id, 2), (2 * HOUR, second.id, 1)]
    {
        let rows = outbound(&world, at).await?;
        let found = SecretRow::present(&rows, after(at)).map(|row| row.id);
        assert_eq!((found, rows.len()), (Some(present), count), "at {at}");
    }
    Ok(())
}

pub async fn a_pending_secret_that_is_dropped_leaves_the_present_one_without_an_end(
    harness: &dyn Harness,
) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let first = world.founding.secrets[1].clone();
    let second = rotate(&world, 10, 10, DAY).await?;
    let third = rotate(&world, 20, HOUR, 2 * HOUR).await?;
    let not_theirs = neighbour.store.drop_secret(third.id, neighbour.audit("drop", after(30))).await?;
    assert_eq!(not_theirs, SecretDropped::NotFound);
    let drop = async |id, at| world.store.drop_secret(id, world.audit("secret.drop", after(at))).await;
    assert_eq!(drop(second.id, 30).await?, SecretDropped::Present);
    assert_eq!(drop(third.id, 30).await?, SecretDropped::Done);
    assert_eq!(drop(third.id, 30).await?, SecretDropped::NotFound);
    let ends: Vec<_> = outbound(&world, 30).await?.into_iter().map(|row| (row.id, row.expires_at)).collect();
    assert_eq!(ends, [(first.id, Some(after(2 * HOUR))), (second.id, None)]);

    assert_eq!(drop(first.id, 40).await?, SecretDropped::Done, "a retiring one before its end");
    assert_eq!(outbound(&world, 40).await?.len(), 1);
    assert_eq!(drop(second.id, 50).await?, SecretDropped::Present);
    Ok(())
}

pub async fn uses_of_a_secret_add_up(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let id = world.founding.secrets[0].id;
    let note = async |more, at| {
        let uses = vec![SecretUses { id, more, last_used_at: after(at) }];
        world.store.note_uses(uses, Vec::new()).await
    };
    note(3, 20).await?;
    note(2, 10).await?;
    let gone = SecretUses { id: mint(START), more: 1, last_used_at: START };
    world.store.note_uses(vec![gone], Vec::new()).await?;
    let rows = world.store.secrets(START).await?;
    let row = rows.iter().find(|row| row.id == id).expect("it is there");
    assert_eq!((row.uses, row.last_used_at), (5, Some(after(20))));
    Ok(())
}

pub async fn everything_that_is_sealed_is_told_and_replaced_as_a_whole(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.destination(EventType::ALL, START).await?;
    // Past its end, and not forgotten yet.
    rotate(&world, 10, 10, 10).await?;
    let admin = world.founding.admin.id;
    let begin = world.audit("second_factor.begin", after(11));
    assert!(world.store.put_factor(admin, SealedBytes(vec![5; 60]), mint(after(1)), begin).await?);
    let sealed = world.store.sealed().await?;
    assert_eq!(sealed.len(), 5);
    let [inbound, outbound] = &world.founding.secrets;
    for expected in [
        (SealedIn::Secret(inbound.id), inbound.secret.clone()),
        (SealedIn::Secret(outbound.id), outbound.secret.clone()),
        (SealedIn::Endpoint(world.endpoint()), world.founding.endpoint.token.clone()),
        (SealedIn::Factor(admin), SealedBytes(vec![5; 60])),
    ] {
        assert!(sealed.contains(&expected), "{expected:?}");
    }
    let other: Vec<_> = sealed.iter().map(|(place, _)| (*place, SealedBytes(vec![7; 50]))).collect();
    world.store.reseal(other.clone()).await?;
    let world = world.reopened(harness).await;
    assert_eq!(world.store.sealed().await?, other);
    Ok(())
}
