//! Deliveries that are not made any more: cancelled, superseded, or waiting at a destination that is paused.

use agentflow_events::EventType;

use super::Harness;
use super::attempts::finish;
use super::sent::Sent;
use super::world::{Expect, HOUR, Outcome, START, World, after};
use crate::record::{
    AttemptOutcome, DeliveryState, DestinationChange, DueDelivery, Lead, OperationKind, Settings, StateReason,
};
use crate::store::{Cancelled, DeliveryFilter, PageRequest, ResendFilter, StoreError};

const ALL: PageRequest = PageRequest { cursor: None, limit: 100 };

async fn cancel(world: &World, filter: ResendFilter) -> Result<Cancelled, StoreError> {
    let counted = world.store.cancel(world.id(), filter.clone(), None).await?;
    let done = world.store.cancel(world.id(), filter, Some(world.audit("cancel", after(1)))).await?;
    assert_eq!(counted.count, done.count, "a dry run counts what would be cancelled");
    Ok(done)
}

pub async fn only_pending_deliveries_are_cancelled_and_an_attempt_under_way_is_recorded(
    harness: &dyn Harness,
) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (_, claimed) = world.stored(&Sent::from("ada@stacklane.co")).await?;
    let (_, released) = world.stored(&Sent::from("ben@stacklane.co")).await?;
    let (_, delivered) = world.stored(&Sent::from("cleo@stacklane.co")).await?;
    finish(&world, &delivered[0], START, AttemptOutcome::Delivered).await?;
    world.store.release(&[released[0].id]);

    let everything = ResendFilter::Matching(DeliveryFilter::default());
    assert_eq!(cancel(&neighbour, everything.clone()).await?, Cancelled::default());
    let done = cancel(&world, everything.clone()).await?;
    assert_eq!(done, Cancelled { count: 2, claimed: vec![claimed[0].id] });
    assert_eq!(world.store.audit_rows(world.id(), 1).await?[0].subject, "2");
    assert_eq!(cancel(&world, ResendFilter::One(delivered[0].id)).await?.count, 0);

    finish(&world, &claimed[0], after(2), AttemptOutcome::RetryAt(after(9))).await?;
    for due in [&claimed[0], &released[0]] {
        let found = world.seen_delivery(due).await?;
        assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Cancelled, None));
        assert_eq!(found.state_reason, Some(StateReason::CancelledByOperator));
    }
    assert!(world.claim(destination.id, after(99), 10).await?.is_empty());

    let again = ResendFilter::One(released[0].id);
    world.store.resend(world.id(), again, after(100), Some(world.audit("resend", after(100)))).await?;
    let found = world.seen_delivery(&released[0]).await?;
    assert_eq!((found.state, found.state_reason), (DeliveryState::Pending, None));
    Ok(())
}

pub async fn a_paused_destination_gets_deliveries_and_makes_no_attempts(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let pause = async |paused, at| {
        let change = DestinationChange { paused: Some(paused), ..DestinationChange::default() };
        world.store.change_destination(destination.id, change, world.audit("pause", after(at))).await
    };
    assert!(pause(true, 1).await?.is_some_and(|changed| changed.paused && changed.enabled));
    let (_, due) = world.stored(&Sent::from("ada@stacklane.co").at(after(2))).await?;
    assert!(due.is_empty(), "nothing is handed over");
    assert_eq!(world.store.next_due().await?, [(destination.id, after(2))]);
    assert!(world.store.claim_due(destination.id, after(9), 10).await?.is_none());
    let world = world.reopened(harness).await;
    assert!(
        world.store.claim_due(destination.id, after(9), 10).await?.is_none(),
        "a restart resumes nothing"
    );

    let change = DestinationChange { paused: Some(false), ..DestinationChange::default() };
    world.store.change_destination(destination.id, change, world.audit("resume", after(10))).await?;
    assert_eq!(world.claim(destination.id, after(10), 10).await?.len(), 1);
    let log = world.store.operational_log(world.id(), ALL).await?.items;
    let told: Vec<_> = log.iter().map(|row| (row.kind, row.at, row.destination_id)).collect();
    assert_eq!(
        told,
        [
            (OperationKind::DestinationResumed, after(10), destination.id),
            (OperationKind::DestinationPaused, after(1), destination.id)
        ]
    );
    Ok(())
}

pub async fn failing_is_warned_of_once_at_half_of_the_time(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (_, due) = world.stored(&Sent::from("ada@stacklane.co")).await?;
    let mut due = due.into_iter().next().expect("one delivery");
    for (hours, rows) in [(0, 0), (59, 0), (60, 1), (61, 1), (119, 1), (120, 2)] {
        let next = AttemptOutcome::RetryAt(after(hours * HOUR + 1));
        let disabled = finish(&world, &due, after(hours * HOUR), next).await?;
        let log = world.store.operational_log(world.id(), ALL).await?.items;
        assert_eq!((log.len(), disabled), (rows, hours == 120), "after {hours} hours");
        if hours < 120 {
            due = world.claim(destination.id, after(hours * HOUR + 1), 1).await?.remove(0);
        } else {
            assert_eq!(log[0].kind, OperationKind::DestinationDisabled);
            assert_eq!(log[1].kind, OperationKind::DestinationFailing);
        }
    }
    Ok(())
}

/// A lead in review with the delivery of its request, which this process holds.
async fn in_review(harness: &dyn Harness, wanted: bool) -> Result<(World, Lead, DueDelivery), StoreError> {
    let settings = Settings { supersede_review_requests: wanted, ..Settings::default() };
    let world = World::with(harness, settings).await?;
    world.destination(EventType::ALL, START).await?;
    let (lead, mut due) = world.stored(&Sent::from("ada@stacklane.co")).await?;
    assert_eq!(due[0].event_type, EventType::LeadReviewRequested);
    Ok((world, lead, due.remove(0)))
}

pub async fn a_decision_supersedes_what_waits_of_its_review_request_where_that_is_set(
    harness: &dyn Harness,
) -> Outcome {
    for wanted in [false, true] {
        let (world, lead, due) = in_review(harness, wanted).await?;
        world.store.release(&[due.id]);
        world.decide(&lead, true, after(5)).await?.due();
        let found = world.seen_delivery(&due).await?;
        let expected = if wanted {
            (DeliveryState::Superseded, Some(StateReason::LeadDecided), None)
        } else {
            (DeliveryState::Pending, None, Some(START))
        };
        assert_eq!((found.state, found.state_reason, found.next_attempt_at), expected);
    }
    Ok(())
}

pub async fn an_attempt_under_way_finishes_before_its_delivery_is_superseded(
    harness: &dyn Harness,
) -> Outcome {
    for (outcome, expected) in [
        (AttemptOutcome::Delivered, (DeliveryState::Delivered, None)),
        (AttemptOutcome::RetryAt(after(9)), (DeliveryState::Superseded, Some(StateReason::LeadDecided))),
        (AttemptOutcome::Dead, (DeliveryState::Superseded, Some(StateReason::LeadDecided))),
    ] {
        let (world, lead, due) = in_review(harness, true).await?;
        world.decide(&lead, false, after(5)).await?.due();
        assert_eq!(world.seen_delivery(&due).await?.state, DeliveryState::Pending);
        finish(&world, &due, after(6), outcome).await?;
        let found = world.seen_delivery(&due).await?;
        assert_eq!((found.state, found.state_reason), expected);
        assert_eq!((found.next_attempt_at, found.attempts.len()), (None, 1));
    }
    Ok(())
}

pub async fn what_was_given_back_without_an_attempt_is_superseded_when_it_would_be_claimed(
    harness: &dyn Harness,
) -> Outcome {
    let (world, lead, due) = in_review(harness, true).await?;
    let decided = world.decide(&lead, true, after(5)).await?.due();
    world.store.release(&[due.id, decided[0].id]);
    let claimed = world.claim(due.destination_id, after(6), 10).await?;
    assert_eq!(claimed.iter().map(|due| due.id).collect::<Vec<_>>(), [decided[0].id]);
    assert_eq!(world.seen_delivery(&due).await?.state, DeliveryState::Superseded);
    Ok(())
}
