//! What a clock that was wrong leaves in the store, and how the store gets over it.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{EventType, Moment};

use super::SqliteStore;
use crate::record::{Attempt, AttemptOutcome, DueDelivery, Exchange, FinishedAttempt, Settings};
use crate::store::suite::sent::Sent;
use crate::store::suite::world::{DAY, HOUR, START, World, after};
use crate::store::{Accepted, Store};

/// Seconds of ten years.
const YEARS: u64 = 10 * 365 * DAY;

async fn world(folder: &tempfile::TempDir, settings: Settings) -> World {
    let store = SqliteStore::open(&folder.path().join("agentflow.db")).expect("a new store opens");
    World::in_store(Arc::new(store) as Arc<dyn Store>, settings).await.expect("writable")
}

async fn fails_at(world: &World, due: &DueDelivery, at: Moment) {
    let attempt = Attempt {
        number: due.attempt_number,
        at,
        status: None,
        duration_ms: 1,
        error: Some("connect: nobody listens".to_owned()),
        response_head: None,
        exchange: Exchange::default(),
    };
    let finished = FinishedAttempt {
        delivery_id: due.id,
        workspace_id: due.workspace_id,
        destination_id: due.destination_id,
        attempt,
        outcome: AttemptOutcome::RetryAt(at.plus(Duration::from_secs(300))),
        disable_after: Duration::from_secs(5 * DAY),
    };
    world.store.finish_attempt(Arc::new(finished)).await.expect("recorded");
}

#[tokio::test]
async fn a_retry_that_a_clock_put_years_ahead_is_due_when_the_clock_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(&folder, Settings::default()).await;
    let destination = world.destination(EventType::ALL, START).await.expect("writable");
    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co")).await.expect("stored");
    fails_at(&world, &due[0], after(YEARS)).await;
    assert!(world.claim(destination.id, after(2 * DAY), 9).await.expect("readable").is_empty());
    assert_eq!(world.store.mend_due_times(after(HOUR)).await.expect("writable"), 1);
    let claimed = world.claim(destination.id, after(HOUR), 9).await.expect("readable");
    assert_eq!(claimed.iter().map(|due| due.attempt_number).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_clock_set_back_by_an_hour_hastens_no_retry() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(&folder, Settings::default()).await;
    world.destination(EventType::ALL, START).await.expect("writable");
    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co")).await.expect("stored");
    fails_at(&world, &due[0], after(10 * HOUR)).await;
    assert_eq!(world.store.mend_due_times(after(9 * HOUR)).await.expect("writable"), 0);
}

#[tokio::test]
async fn a_schedule_of_a_month_is_no_wrong_clock() {
    let month = 30 * DAY;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        retry_schedule_seconds: vec![0, u32::try_from(month).expect("a month has few seconds")],
        ..Settings::default()
    };
    let world = world(&folder, settings).await;
    world.destination(EventType::ALL, START).await.expect("writable");
    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co")).await.expect("stored");
    // With its jitter.
    fails_at(&world, &due[0], after(month * 6 / 5 - 300)).await;
    assert_eq!(world.store.mend_due_times(START).await.expect("writable"), 0);
}

#[tokio::test]
async fn a_body_and_a_key_from_years_ahead_are_not_known_for_years() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(&folder, Settings::default()).await;
    let sent = Sent::from("jordan@stacklane.co").key("order-1").approved();
    world.stored(&sent.clone().at(after(YEARS))).await.expect("stored");
    // As soon as the clock is right again it is a lead of its own; from then on it is known again.
    let (lead, _) = world.stored(&sent.clone().at(after(HOUR))).await.expect("stored");
    let again = world.send(&sent.at(after(2 * HOUR))).await.expect("answered");
    assert!(matches!(again, Accepted::Duplicate(known) if known == lead.id), "{again:?}");
}

#[tokio::test]
async fn a_clock_set_back_by_an_hour_makes_no_second_lead() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(&folder, Settings::default()).await;
    let sent = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&sent.clone().at(after(HOUR))).await.expect("stored");
    let again = world.send(&sent).await.expect("answered");
    assert!(matches!(again, Accepted::Duplicate(known) if known == lead.id), "{again:?}");
}
