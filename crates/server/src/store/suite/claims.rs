//! The queue: what is due, who holds it, what comes next.

use std::collections::HashSet;
use std::sync::Arc;

use agentflow_events::{EventType, Moment};
use futures_util::FutureExt;

use super::Harness;
use super::same::assert_same_due;
use super::sent::Sent;
use super::world::{Expect, Outcome, START, World, after};
use crate::record::{Destination, DueDelivery, Settings};
use crate::store::StoreError;

/// A workspace whose deliveries wait a second, with a destination for every event.
async fn waiting(harness: &dyn Harness) -> Result<(World, Destination), StoreError> {
    let settings = Settings { retry_schedule_seconds: vec![1, 5], ..Settings::default() };
    let world = World::with(harness, settings).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    Ok((world, destination))
}

/// Stores `count` leads, a second apart from `first` on; their deliveries are due a second after each.
async fn leads(world: &World, count: u64, first: u64) -> Result<(), StoreError> {
    for number in first..first + count {
        world.stored(&Sent::from(&format!("person{number}@stacklane.co")).at(after(number))).await?;
    }
    Ok(())
}

fn due_at(claimed: &[DueDelivery]) -> Vec<Moment> {
    claimed.iter().map(|delivery| delivery.due_at).collect()
}

pub async fn claims_what_is_due_oldest_due_first(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    // Stored in another order than they are due.
    leads(&world, 2, 3).await?;
    leads(&world, 2, 1).await?;
    leads(&world, 1, 9).await?;
    let claimed = world.claim(destination.id, after(5), 10).await?;
    assert_eq!(due_at(&claimed), [after(2), after(3), after(4), after(5)]);
    for due in &claimed {
        let event = world.store.event(world.id(), due.event_id).await?.expect("the event is there");
        assert_eq!((due.lead_id, due.event_type), (event.lead_id, event.event_type));
        assert!(due.body == event.body, "the body is the event's, byte for byte");
    }
    Ok(())
}

pub async fn deliveries_due_at_the_same_moment_go_in_the_order_of_their_events(
    harness: &dyn Harness,
) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    let mut made = Vec::new();
    for number in 0..20 {
        made.push(world.stored(&Sent::from(&format!("person{number}@stacklane.co"))).await?.0.id);
    }
    let claimed = world.claim(destination.id, after(1), 100).await?;
    assert_eq!(claimed.iter().map(|due| due.lead_id).collect::<Vec<_>>(), made);
    Ok(())
}

pub async fn claims_no_more_than_the_limit_and_nothing_twice(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    leads(&world, 5, 0).await?;
    assert!(world.claim(destination.id, after(60), 0).await?.is_empty());
    let first = world.claim(destination.id, after(60), 2).await?;
    let second = world.claim(destination.id, after(60), 2).await?;
    let third = world.claim(destination.id, after(60), 2).await?;
    assert_eq!(due_at(&first), [after(1), after(2)]);
    assert_eq!(due_at(&second), [after(3), after(4)]);
    assert_eq!(due_at(&third), [after(5)]);
    assert!(world.claim(destination.id, after(60), 2).await?.is_empty());
    Ok(())
}

pub async fn racing_claims_share_what_is_due(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    leads(&world, 30, 0).await?;
    let world = Arc::new(world);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (world, destination) = (Arc::clone(&world), destination.id);
            tokio::spawn(async move { world.claim(destination, after(60), 4).await })
        })
        .collect();
    let mut claimed = Vec::new();
    for task in tasks {
        let part = task.await.expect("the task ends")?;
        assert!(part.len() <= 4);
        claimed.extend(part.into_iter().map(|due| due.id));
    }
    assert_eq!(claimed.len(), 30);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 30);
    Ok(())
}

pub async fn the_latest_are_claimed_in_order_and_the_rest_is_left(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    leads(&world, 6, 0).await?;
    let latest = world.store.claim_latest(destination.id, after(5), 2).await?.unwrap_or_default();
    assert_eq!(due_at(&latest), [after(4), after(5)]);
    let next = world.store.claim_latest(destination.id, after(5), 1).await?.unwrap_or_default();
    assert_eq!(due_at(&next), [after(3)]);
    assert_eq!(due_at(&world.claim(destination.id, after(60), 10).await?), [after(1), after(2), after(6)]);
    assert!(world.store.claim_latest(crate::id::mint(START), after(60), 10).await?.is_none());
    Ok(())
}

pub async fn the_latest_overtake_no_earlier_event_of_their_lead(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    world.decide(&lead, true, after(5)).await?;
    let latest = world.store.claim_latest(destination.id, after(60), 10).await?.unwrap_or_default();
    assert_eq!(due_at(&latest), [after(1)], "the decision waits although the request for it is claimed");
    let next = world.store.claim_latest(destination.id, after(60), 10).await?.unwrap_or_default();
    assert!(next.is_empty());
    assert_eq!(due_at(&world.claim(destination.id, after(60), 10).await?), [after(6)]);
    Ok(())
}

pub async fn a_clock_set_back_does_not_turn_the_events_of_a_lead_round(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co").at(after(100))).await?;
    world.decide(&lead, true, after(5)).await?;
    assert!(world.claim(destination.id, after(50), 10).await?.is_empty());
    assert_eq!(world.store.next_due().await?, [(destination.id, after(101))]);
    assert_eq!(due_at(&world.claim(destination.id, after(200), 10).await?), [after(101), after(6)]);
    Ok(())
}

pub async fn an_event_is_not_handed_out_before_an_earlier_one_that_nobody_holds(
    harness: &dyn Harness,
) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (lead, first) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    world.store.release(&[first[0].id]);
    assert!(world.decide(&lead, true, after(5)).await?.due().is_empty());
    let claimed = world.claim(destination.id, after(5), 10).await?;
    assert_eq!(
        claimed.iter().map(|due| due.event_type).collect::<Vec<_>>(),
        [EventType::LeadReviewRequested, EventType::LeadQualified]
    );
    Ok(())
}

pub async fn claims_only_of_the_destination_asked_for(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    let other = world.destination(EventType::ALL, after(1)).await?;
    leads(&world, 1, 2).await?;
    let claimed = world.claim(destination.id, after(60), 10).await?;
    assert_eq!(claimed.iter().map(|due| due.destination_id).collect::<Vec<_>>(), [destination.id]);
    let claimed = world.claim(other.id, after(60), 10).await?;
    assert_eq!(claimed.iter().map(|due| due.destination_id).collect::<Vec<_>>(), [other.id]);
    let unknown = crate::id::mint(START);
    assert!(world.store.claim_due(unknown, after(60), 10).await?.is_none());
    Ok(())
}

pub async fn a_disabled_destination_waits_and_goes_on_when_enabled(harness: &dyn Harness) -> Outcome {
    let (world, mut destination) = waiting(harness).await?;
    leads(&world, 1, 0).await?;
    destination.enabled = false;
    world.put(&destination).await?;
    assert!(world.store.claim_due(destination.id, after(60), 10).await?.is_none());
    assert_eq!(world.store.next_due().await?, [(destination.id, after(1))]);
    assert_eq!(world.store.pending_deliveries().await?, 1);
    destination.enabled = true;
    world.put(&destination).await?;
    assert_eq!(world.store.next_due().await?, [(destination.id, after(1))]);
    assert_eq!(world.claim(destination.id, after(60), 10).await?.len(), 1);
    Ok(())
}

pub async fn a_released_claim_is_due_as_before(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    leads(&world, 2, 0).await?;
    let claimed = world.claim(destination.id, after(60), 10).await?;
    world.store.release(&[claimed[0].id]);
    assert_eq!(world.store.next_due().await?, [(destination.id, after(1))]);
    let again = world.claim(destination.id, after(60), 10).await?;
    assert_eq!(again.len(), 1);
    assert_same_due(&again[0], &claimed[0]);
    world.store.release(&[claimed[0].id, claimed[1].id]);
    assert_eq!(world.claim(destination.id, after(60), 10).await?.len(), 2);
    // What nobody holds can be released, too.
    world.store.release(&[crate::id::mint(START)]);
    world.store.release(&[]);
    Ok(())
}

pub async fn a_claim_from_an_acceptance_can_be_released(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    world.store.release(&[due[0].id]);
    let again = world.claim(destination.id, START, 10).await?;
    assert_eq!(again.len(), 1);
    assert_same_due(&again[0], &due[0]);
    Ok(())
}

pub async fn a_caller_that_goes_away_holds_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let mut answered = Vec::new();
    for number in 0..20 {
        let accept = world.plan(&Sent::from(&format!("person{number}@stacklane.co")), None);
        // Begun, and dropped before it is answered, as when a sender hangs up.
        if let Some(answer) = world.store.accept(accept).now_or_never() {
            answered.extend(answer?.due().into_iter().map(|due| due.id));
        }
    }
    // Behind them, so that they are committed once this is.
    world.store.check_writable().await?;
    world.store.release(&answered);
    let claimed = world.claim(destination.id, after(1), 100).await?;
    assert_eq!(claimed.len(), 20);

    world.store.release(&claimed.iter().map(|due| due.id).collect::<Vec<_>>());
    if let Some(answer) = world.claim(destination.id, after(1), 100).now_or_never() {
        world.store.release(&answer?.iter().map(|due| due.id).collect::<Vec<_>>());
    }
    world.store.check_writable().await?;
    assert_eq!(world.claim(destination.id, after(1), 100).await?.len(), 20);
    Ok(())
}

pub async fn next_due_tells_the_earliest_unclaimed_of_each_destination(harness: &dyn Harness) -> Outcome {
    let (world, destination) = waiting(harness).await?;
    assert!(world.store.next_due().await?.is_empty());
    leads(&world, 3, 0).await?;
    let late = world.destination(EventType::ALL, after(3)).await?;
    let idle = world.destination(&[], after(4)).await?;
    leads(&world, 1, 7).await?;

    let mut next = world.store.next_due().await?;
    next.sort();
    assert_eq!(next, [(destination.id, after(1)), (late.id, after(8))]);
    assert!(next.iter().all(|(id, _)| *id != idle.id));
    world.claim(destination.id, after(2), 10).await?;
    let mut next = world.store.next_due().await?;
    next.sort();
    assert_eq!(next, [(destination.id, after(3)), (late.id, after(8))]);
    world.claim(late.id, after(8), 10).await?;
    assert_eq!(world.store.next_due().await?, [(destination.id, after(3))]);
    Ok(())
}
