//! Sending again, and what deleting a destination leaves of its deliveries.

use agentflow_events::EventType;

use super::Harness;
use super::attempts::{attempt, finish};
use super::sent::Sent;
use super::world::{Expect, Outcome, START, World, after};
use crate::record::{AttemptOutcome, DeliveryState, Destination, DueDelivery};
use crate::store::{DeliveryFilter, ResendFilter, StoreError};

/// A workspace with a destination and so many deliveries that this process holds.
async fn claimed(
    harness: &dyn Harness,
    count: usize,
) -> Result<(World, Destination, Vec<DueDelivery>), StoreError> {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let mut due = Vec::new();
    for number in 0..count {
        due.append(&mut world.stored(&Sent::from(&format!("person{number}@stacklane.co"))).await?.1);
    }
    assert_eq!(due.len(), count);
    Ok((world, destination, due))
}

async fn resend(world: &World, filter: ResendFilter, at: u64) -> Result<u64, StoreError> {
    let counted = world.store.resend(world.id(), filter.clone(), after(at), None).await?;
    let audit = world.audit("resend", after(at));
    let mut expected = audit.clone();
    if let ResendFilter::Matching(_) = filter {
        expected.subject = counted.to_string();
    }
    let changed = world.store.resend(world.id(), filter, after(at), Some(audit)).await?;
    assert_eq!(counted, changed, "a dry run counts what would be sent");
    let newest = world.store.audit_rows(world.id(), 1).await?.pop();
    assert_eq!(newest.is_some_and(|row| row == expected), changed > 0, "audited unless it sent nothing");
    Ok(changed)
}

fn matching(state: Option<DeliveryState>) -> ResendFilter {
    ResendFilter::Matching(DeliveryFilter { state, ..DeliveryFilter::default() })
}

pub async fn a_resend_is_due_at_once_with_the_schedule_begun_anew(harness: &dyn Harness) -> Outcome {
    for outcome in [AttemptOutcome::Delivered, AttemptOutcome::Dead, AttemptOutcome::RetryAt(after(999))] {
        let (world, destination, due) = claimed(harness, 1).await?;
        let due = &due[0];
        finish(&world, due, after(1), outcome.clone()).await?;
        assert_eq!(resend(&world, ResendFilter::One(due.id), 60).await?, 1);

        let found = world.seen_delivery(due).await?;
        assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Pending, Some(after(60))));
        assert_eq!(world.store.next_due().await?, [(destination.id, after(60))]);
        let again = world.claim(destination.id, after(60), 10).await?;
        assert_eq!(again.len(), 1, "a resend does not claim");
        let again = &again[0];
        assert_eq!((again.id, again.event_id, again.due_at), (due.id, due.event_id, after(60)));
        assert_eq!((again.attempt_number, again.schedule_step), (2, 0));
        assert!(again.body == due.body, "the body is the same");

        finish(&world, again, after(61), AttemptOutcome::RetryAt(after(70))).await?;
        let third = world.claim(destination.id, after(70), 10).await?;
        assert_eq!((third[0].attempt_number, third[0].schedule_step), (3, 1));
        assert_eq!(
            world.seen_delivery(due).await?.attempts,
            [
                attempt(due, after(1), &outcome),
                attempt(again, after(61), &AttemptOutcome::RetryAt(after(70))),
            ]
        );
    }
    Ok(())
}

pub async fn a_dry_run_changes_nothing(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness, 1).await?;
    finish(&world, &due[0], after(1), AttemptOutcome::Dead).await?;
    let before = world.seen_delivery(&due[0]).await?;
    for filter in [ResendFilter::One(due[0].id), matching(None), matching(Some(DeliveryState::Dead))] {
        assert_eq!(world.store.resend(world.id(), filter, after(60), None).await?, 1);
    }
    assert_eq!(world.seen_delivery(&due[0]).await?, before);
    assert!(world.claim(destination.id, after(99), 10).await?.is_empty());
    Ok(())
}

pub async fn without_a_state_the_dead_ones_are_sent_again(harness: &dyn Harness) -> Outcome {
    let (world, _, due) = claimed(harness, 4).await?;
    finish(&world, &due[0], after(1), AttemptOutcome::Dead).await?;
    finish(&world, &due[1], after(1), AttemptOutcome::Dead).await?;
    finish(&world, &due[2], after(1), AttemptOutcome::Delivered).await?;
    assert_eq!(resend(&world, matching(None), 60).await?, 2);
    assert_eq!(world.seen_delivery(&due[0]).await?.next_attempt_at, Some(after(60)));
    assert_eq!(world.seen_delivery(&due[2]).await?.state, DeliveryState::Delivered);
    assert_eq!(world.seen_delivery(&due[3]).await?.next_attempt_at, Some(START));
    assert_eq!(resend(&world, matching(None), 61).await?, 0);
    assert_eq!(resend(&world, matching(Some(DeliveryState::Delivered)), 62).await?, 1);
    assert_eq!(resend(&world, matching(Some(DeliveryState::Pending)), 63).await?, 4);
    Ok(())
}

pub async fn a_resend_matches_destination_event_and_type(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let first = world.destination(EventType::ALL, START).await?;
    let second = world.destination(&[EventType::LeadQualified], after(1)).await?;
    let (lead, mut due) = world.stored(&Sent::from("jordan@stacklane.co").at(after(2))).await?;
    due.extend(world.decide(&lead, true, after(3)).await?.due());
    assert_eq!(due.len(), 3);
    for due in &due {
        finish(&world, due, after(4), AttemptOutcome::Dead).await?;
    }
    let count =
        async |filter| world.store.resend(world.id(), ResendFilter::Matching(filter), after(5), None).await;
    let any = DeliveryFilter::default();
    assert_eq!(count(any.clone()).await?, 3);
    assert_eq!(count(DeliveryFilter { destination: Some(first.id), ..any.clone() }).await?, 2);
    assert_eq!(count(DeliveryFilter { destination: Some(second.id), ..any.clone() }).await?, 1);
    assert_eq!(count(DeliveryFilter { event_type: Some(EventType::LeadQualified), ..any.clone() }).await?, 2);
    assert_eq!(count(DeliveryFilter { event: Some(due[0].event_id), ..any.clone() }).await?, 1);
    let both = DeliveryFilter {
        destination: Some(second.id),
        event_type: Some(EventType::LeadReviewRequested),
        ..any
    };
    assert_eq!(count(both).await?, 0);
    Ok(())
}

pub async fn a_resend_while_an_attempt_is_under_way_ends_with_that_attempt(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness, 1).await?;
    assert_eq!(resend(&world, ResendFilter::One(due[0].id), 60).await?, 1);
    // Whoever holds it goes on holding it.
    assert!(world.claim(destination.id, after(99), 10).await?.is_empty());
    finish(&world, &due[0], after(2), AttemptOutcome::Delivered).await?;
    assert_eq!(world.seen_delivery(&due[0]).await?.state, DeliveryState::Delivered);
    Ok(())
}

pub async fn a_resend_reaches_no_other_workspace(harness: &dyn Harness) -> Outcome {
    let (world, _, due) = claimed(harness, 1).await?;
    let neighbour = world.neighbour().await?;
    finish(&world, &due[0], after(1), AttemptOutcome::Dead).await?;
    assert_eq!(resend(&neighbour, ResendFilter::One(due[0].id), 60).await?, 0);
    assert_eq!(resend(&neighbour, matching(None), 60).await?, 0);
    assert_eq!(world.seen_delivery(&due[0]).await?.state, DeliveryState::Dead);
    assert_eq!(resend(&world, ResendFilter::One(crate::id::mint(START)), 60).await?, 0);
    Ok(())
}

pub async fn a_resend_to_a_disabled_destination_waits_for_it(harness: &dyn Harness) -> Outcome {
    let (world, mut destination, due) = claimed(harness, 1).await?;
    finish(&world, &due[0], after(1), AttemptOutcome::Gone).await?;
    assert_eq!(resend(&world, ResendFilter::One(due[0].id), 60).await?, 1);
    assert!(world.claim(destination.id, after(99), 10).await?.is_empty());
    destination.enabled = true;
    world.put(&destination).await?;
    assert_eq!(world.claim(destination.id, after(99), 10).await?.len(), 1);
    Ok(())
}

pub async fn deleting_a_destination_cancels_what_is_pending_and_keeps_the_rest(
    harness: &dyn Harness,
) -> Outcome {
    let (world, destination, due) = claimed(harness, 4).await?;
    let other = world.destination(&[EventType::LeadReviewRequested], after(1)).await?;
    let (_, both) = world.stored(&Sent::from("kim@stacklane.co").at(after(2))).await?;
    assert_eq!(both.len(), 2);
    finish(&world, &due[0], after(3), AttemptOutcome::Delivered).await?;
    finish(&world, &due[1], after(3), AttemptOutcome::Dead).await?;
    finish(&world, &due[2], after(3), AttemptOutcome::RetryAt(after(30))).await?;
    assert!(
        world.store.delete_destination(destination.id, world.audit("destination.delete", after(4))).await?
    );

    let states =
        [DeliveryState::Delivered, DeliveryState::Dead, DeliveryState::Cancelled, DeliveryState::Cancelled];
    for (due, state) in due.iter().zip(states) {
        let found = world.seen_delivery(due).await?;
        assert_eq!((found.state, found.next_attempt_at), (state, None));
        assert_eq!(
            resend(&world, ResendFilter::One(due.id), 60).await?,
            0,
            "nothing goes to a deleted destination"
        );
    }
    assert_eq!(resend(&world, matching(None), 60).await?, 0);
    assert_eq!(resend(&world, matching(Some(DeliveryState::Cancelled)), 60).await?, 0);
    assert_eq!(world.store.pending_deliveries().await?, 1);
    let left = world.store.destinations(world.id()).await?;
    assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), [other.id]);
    assert!(world.store.next_due().await?.is_empty(), "the other's is held");
    Ok(())
}
