//! A finished attempt: what it leaves on the delivery and on the destination.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{EventType, Moment};

use super::Harness;
use super::sent::Sent;
use super::world::{DAY, HOUR, Outcome, START, World, after};
use crate::record::{
    Attempt, AttemptOutcome, DeliveryState, Destination, DisabledReason, DueDelivery, Exchange,
    FinishedAttempt, SentRequest, SignedRequest, Timings,
};
use crate::store::StoreError;

const DISABLE_AFTER: Duration = Duration::from_secs(120 * HOUR);

/// A workspace with one delivery that this process holds.
async fn claimed(harness: &dyn Harness) -> Result<(World, Destination, DueDelivery), StoreError> {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let due = one_more(&world, "jordan@stacklane.co", START).await?;
    Ok((world, destination, due))
}

async fn one_more(world: &World, email: &str, at: Moment) -> Result<DueDelivery, StoreError> {
    let (_, mut due) = world.stored(&Sent::from(email).at(at)).await?;
    assert_eq!(due.len(), 1);
    Ok(due.remove(0))
}

/// The attempt at `due`, begun at `at`.
pub(super) fn attempt(due: &DueDelivery, at: Moment, outcome: &AttemptOutcome) -> Attempt {
    let ok = *outcome == AttemptOutcome::Delivered;
    Attempt {
        number: due.attempt_number,
        at,
        status: Some(match outcome {
            AttemptOutcome::Delivered => 204,
            AttemptOutcome::Gone => 410,
            AttemptOutcome::RetryAt(_) | AttemptOutcome::Dead => 503,
        }),
        duration_ms: 1_234,
        error: (!ok).then(|| "status: the answer was 503".to_owned()),
        response_head: (!ok).then(|| "<h1>“Busy”</h1>\u{fffd}".to_owned()),
        exchange: Exchange {
            request: Some(SentRequest {
                url: "https://hooks.example.com/leads?key=1".into(),
                agent: "AgentFlow-Webhooks/0.1.0".into(),
                signed: ok.then_some(SignedRequest { at: at.unix_seconds() + 2, mark: u32::MAX }),
            }),
            remote: Some(if ok { [1, 2, 3, 4].into() } else { [0x2606, 0x4700, 0, 0, 0, 0, 0, 1].into() }),
            reused: ok,
            timings: Timings {
                resolve_ms: Some(0),
                connect_ms: None,
                tls_ms: (!ok).then_some(7),
                first_byte_ms: Some(9),
            },
            response_headers: (!ok).then(|| "server: caf\u{fffd}\n…\n".to_owned()),
        },
    }
}

/// Finishes the attempt at `due` that began at `at`.
pub(super) async fn finish(
    world: &World,
    due: &DueDelivery,
    at: Moment,
    outcome: AttemptOutcome,
) -> Result<bool, StoreError> {
    let attempt = attempt(due, at, &outcome);
    let finished = FinishedAttempt {
        delivery_id: due.id,
        workspace_id: due.workspace_id,
        destination_id: due.destination_id,
        attempt,
        outcome,
        disable_after: DISABLE_AFTER,
    };
    world.store.finish_attempt(Arc::new(finished)).await
}

/// The delivery claimed again at `at`.
async fn again(world: &World, destination: &Destination, at: Moment) -> Result<DueDelivery, StoreError> {
    let mut due = world.claim(destination.id, at, 10).await?;
    assert_eq!(due.len(), 1, "one delivery is due");
    Ok(due.remove(0))
}

pub async fn a_delivered_delivery_is_done(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    assert!(!finish(&world, &due, after(1), AttemptOutcome::Delivered).await?);
    let found = world.seen_delivery(&due).await?;
    assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Delivered, None));
    assert_eq!(found.attempts, [attempt(&due, after(1), &AttemptOutcome::Delivered)]);
    assert_eq!(world.seen_destination(&destination).await?, destination);
    assert!(world.claim(destination.id, after(DAY), 10).await?.is_empty());
    assert!(world.store.next_due().await?.is_empty());
    assert_eq!(world.store.pending_deliveries().await?, 0);
    Ok(())
}

pub async fn a_failed_attempt_is_due_again_when_it_says(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    let outcome = AttemptOutcome::RetryAt(after(30));
    assert!(!finish(&world, &due, after(1), outcome.clone()).await?);
    let found = world.seen_delivery(&due).await?;
    assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Pending, Some(after(30))));
    assert_eq!(found.attempts, [attempt(&due, after(1), &outcome)]);

    assert_eq!(world.store.next_due().await?, [(destination.id, after(30))]);
    assert!(world.claim(destination.id, after(29), 10).await?.is_empty());
    let second = again(&world, &destination, after(31)).await?;
    assert_eq!((second.id, second.due_at), (due.id, after(30)));
    assert_eq!((second.attempt_number, second.schedule_step), (2, 1));
    assert!(second.body == due.body, "the body is the same on every attempt");
    Ok(())
}

pub async fn attempts_are_numbered_and_listed_oldest_first(harness: &dyn Harness) -> Outcome {
    let (world, destination, mut due) = claimed(harness).await?;
    let mut expected = Vec::new();
    for step in 0..12 {
        let (at, outcome) = (after(step * 60), AttemptOutcome::RetryAt(after(step * 60 + 30)));
        assert_eq!((u64::from(due.attempt_number), u64::from(due.schedule_step)), (step + 1, step));
        finish(&world, &due, at, outcome.clone()).await?;
        expected.push(attempt(&due, at, &outcome));
        due = again(&world, &destination, after(step * 60 + 30)).await?;
    }
    assert_eq!(world.seen_delivery(&due).await?.attempts, expected);
    let listed = world.all_deliveries().await?;
    assert_eq!(listed[0].attempts, expected[11..], "lists have the last one alone");
    Ok(())
}

pub async fn an_attempt_without_an_answer_is_kept_as_such(harness: &dyn Harness) -> Outcome {
    let (world, _, due) = claimed(harness).await?;
    let outcome = AttemptOutcome::RetryAt(after(30));
    let attempt = Attempt {
        status: None,
        response_head: None,
        duration_ms: 10_000,
        error: Some("timeout: no answer within ten seconds".to_owned()),
        ..attempt(&due, after(1), &outcome)
    };
    let finished = FinishedAttempt {
        delivery_id: due.id,
        workspace_id: due.workspace_id,
        destination_id: due.destination_id,
        attempt: attempt.clone(),
        outcome,
        disable_after: DISABLE_AFTER,
    };
    world.store.finish_attempt(Arc::new(finished)).await?;
    assert_eq!(world.seen_delivery(&due).await?.attempts, [attempt]);
    Ok(())
}

pub async fn a_delivery_out_of_attempts_is_dead(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    assert!(!finish(&world, &due, after(1), AttemptOutcome::Dead).await?);
    let found = world.seen_delivery(&due).await?;
    assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Dead, None));
    assert_eq!(found.attempts, [attempt(&due, after(1), &AttemptOutcome::Dead)]);
    assert!(world.seen_destination(&destination).await?.enabled);
    assert!(world.claim(destination.id, after(DAY), 10).await?.is_empty());
    assert_eq!(world.store.pending_deliveries().await?, 0);
    Ok(())
}

pub async fn gone_disables_the_destination_at_once(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    let other = one_more(&world, "alex@stacklane.co", START).await?;
    world.store.release(&[other.id]);
    assert!(finish(&world, &due, after(1), AttemptOutcome::Gone).await?);

    let found = world.seen_delivery(&due).await?;
    assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Dead, None));
    let disabled = world.seen_destination(&destination).await?;
    assert_eq!((disabled.enabled, disabled.disabled_reason), (false, Some(DisabledReason::Gone)));
    // What else is pending waits; new events pass the destination by.
    assert_eq!(world.seen_delivery(&other).await?.state, DeliveryState::Pending);
    assert!(world.claim(destination.id, after(DAY), 10).await?.is_empty());
    assert!(world.stored(&Sent::from("kim@stacklane.co")).await?.1.is_empty());
    Ok(())
}

pub async fn an_attempt_in_flight_after_gone_does_not_disable_again(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    let other = one_more(&world, "alex@stacklane.co", START).await?;
    assert!(finish(&world, &due, after(1), AttemptOutcome::Gone).await?);
    assert!(!finish(&world, &other, after(2), AttemptOutcome::Gone).await?);
    assert_eq!(world.seen_destination(&destination).await?.disabled_reason, Some(DisabledReason::Gone));
    Ok(())
}

pub async fn failing_since_is_set_by_the_first_failure_and_cleared_by_a_success(
    harness: &dyn Harness,
) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    let other = one_more(&world, "alex@stacklane.co", START).await?;
    assert_eq!(world.seen_destination(&destination).await?.failing_since, None);
    finish(&world, &due, after(10), AttemptOutcome::RetryAt(after(15))).await?;
    assert_eq!(world.seen_destination(&destination).await?.failing_since, Some(after(10)));
    let due = again(&world, &destination, after(15)).await?;
    finish(&world, &due, after(15), AttemptOutcome::RetryAt(after(30))).await?;
    assert_eq!(world.seen_destination(&destination).await?.failing_since, Some(after(10)));
    finish(&world, &other, after(20), AttemptOutcome::Delivered).await?;
    assert_eq!(world.seen_destination(&destination).await?.failing_since, None);
    let due = again(&world, &destination, after(30)).await?;
    finish(&world, &due, after(30), AttemptOutcome::Dead).await?;
    assert_eq!(world.seen_destination(&destination).await?.failing_since, Some(after(30)));
    Ok(())
}

pub async fn a_destination_that_fails_too_long_is_disabled(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    finish(&world, &due, START, AttemptOutcome::RetryAt(after(119 * HOUR))).await?;
    let due = again(&world, &destination, after(119 * HOUR)).await?;
    let next = AttemptOutcome::RetryAt(after(120 * HOUR));
    assert!(!finish(&world, &due, after(119 * HOUR), next).await?);
    assert!(world.seen_destination(&destination).await?.enabled);

    let due = again(&world, &destination, after(120 * HOUR)).await?;
    let next = AttemptOutcome::RetryAt(after(121 * HOUR));
    assert!(finish(&world, &due, after(120 * HOUR), next).await?);
    let disabled = world.seen_destination(&destination).await?;
    assert_eq!((disabled.enabled, disabled.disabled_reason), (false, Some(DisabledReason::Failing)));
    assert_eq!(disabled.failing_since, Some(START));
    // The delivery itself waits for the destination.
    let found = world.seen_delivery(&due).await?;
    assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Pending, Some(after(121 * HOUR))));
    assert!(world.claim(destination.id, after(200 * HOUR), 10).await?.is_empty());
    Ok(())
}

pub async fn one_success_begins_the_hours_anew(harness: &dyn Harness) -> Outcome {
    let (world, destination, due) = claimed(harness).await?;
    let other = one_more(&world, "alex@stacklane.co", START).await?;
    finish(&world, &due, START, AttemptOutcome::RetryAt(after(130 * HOUR))).await?;
    finish(&world, &other, after(100 * HOUR), AttemptOutcome::Delivered).await?;
    let due = again(&world, &destination, after(130 * HOUR)).await?;
    assert!(!finish(&world, &due, after(130 * HOUR), AttemptOutcome::Dead).await?);
    let found = world.seen_destination(&destination).await?;
    assert_eq!((found.enabled, found.failing_since), (true, Some(after(130 * HOUR))));
    Ok(())
}

pub async fn an_attempt_after_the_destination_was_deleted_is_recorded_alone(
    harness: &dyn Harness,
) -> Outcome {
    for outcome in [
        AttemptOutcome::Delivered,
        AttemptOutcome::RetryAt(after(30)),
        AttemptOutcome::Dead,
        AttemptOutcome::Gone,
    ] {
        let (world, destination, due) = claimed(harness).await?;
        assert!(
            world
                .store
                .delete_destination(destination.id, world.audit("destination.delete", after(1)))
                .await?
        );
        assert!(!finish(&world, &due, after(2), outcome.clone()).await?);
        let found = world.seen_delivery(&due).await?;
        assert_eq!((found.state, found.next_attempt_at), (DeliveryState::Cancelled, None));
        assert_eq!(found.attempts, [attempt(&due, after(2), &outcome)]);
        assert!(world.store.all_destinations().await?.is_empty());
        assert!(world.store.next_due().await?.is_empty());
        assert_eq!(world.store.pending_deliveries().await?, 0);
    }
    Ok(())
}
