//! Sums over time: they agree with what is written, whenever it changes.

use std::time::Duration;

use agentflow_events::EventType;

use super::Harness;
use super::attempts::finish;
use super::sent::Sent;
use super::world::{DAY, Expect, HOUR, Outcome, START, World, after};
use crate::record::{AttemptOutcome, Destination, Settings};
use crate::store::{DeliveryFilter, Health, Overview, ResendFilter, Step, StoreError};

/// The three hours from the one of the start on.
async fn three_hours(world: &World) -> Result<Overview, StoreError> {
    let since = START.minus(Duration::from_secs(44 * 60));
    world.store.overview(world.id(), since, Duration::from_secs(HOUR), 3).await
}

/// Delivered, dead and waiting, of the start's hour.
async fn became(world: &World) -> Result<(u64, u64, u64), StoreError> {
    let overview = three_hours(world).await?;
    Ok((overview.steps[0].delivered, overview.steps[0].dead, overview.pending))
}

async fn health(world: &World, since: u64) -> Result<Vec<Health>, StoreError> {
    let mut health = world.store.health(world.id(), after(since)).await?;
    health.sort_by_key(|one| one.destination_id);
    Ok(health)
}

fn told(of: &Destination, delivered: u64, dead: u64, pending: u64) -> Health {
    Health { destination_id: of.id, delivered, dead, pending }
}

pub async fn a_fresh_store_sums_to_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    assert_eq!(
        three_hours(&world).await?,
        Overview { steps: vec![Step::default(); 3], ..Overview::default() }
    );
    assert_eq!(health(&world, 0).await?, []);
    assert_eq!(world.store.scores(world.id(), START).await?, [0; 101]);
    Ok(())
}

pub async fn leads_and_decisions_are_counted_in_their_hour(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    neighbour.stored(&Sent::from("theirs@stacklane.co").approved()).await?;
    let (first, _) = world.stored(&Sent::from("first@stacklane.co")).await?;
    world.stored(&Sent::from("won@stacklane.co").approved()).await?;
    world.stored(&Sent::from("lost@stacklane.co").rejected().at(after(16 * 60 - 1))).await?;
    // The next hour begins.
    world.stored(&Sent::from("unscored@stacklane.co").unscored().at(after(16 * 60))).await?;
    world.decide(&first, true, after(16 * 60 + HOUR)).await?.due();
    // A further submission is no further lead, and one before all hours is in none.
    let again = Sent::saying("unscored@stacklane.co", "And more.").unscored().at(after(16 * 60 + HOUR));
    world.stored(&again).await?;
    world.stored(&Sent::from("early@stacklane.co").at(START.minus(Duration::from_secs(HOUR)))).await?;

    let step = |leads, approved, rejected| Step { leads, approved, rejected, ..Step::default() };
    assert_eq!(three_hours(&world).await?.steps, [step(3, 1, 1), step(1, 0, 0), step(0, 1, 0)]);
    let day = Duration::from_secs(DAY);
    let since = START.minus(Duration::from_secs(DAY + 8 * HOUR + 44 * 60));
    let days = world.store.overview(world.id(), since, day, 2).await?;
    assert_eq!(days.steps, [step(0, 0, 0), step(5, 2, 1)]);
    Ok(())
}

pub async fn a_refused_write_is_not_counted(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co").approved();
    world.stored(&sent).await?;
    world.send(&sent).await?;
    let mut twice = world.plan(&Sent::from("alex@stacklane.co").approved(), None);
    let known = world.store.events(world.id(), crate::store::PageRequest { cursor: None, limit: 1 }).await?;
    twice.write.event = known.items.into_iter().next();
    assert!(world.store.accept(twice).await.is_err());
    let steps = three_hours(&world).await?.steps;
    assert_eq!(steps[0], Step { leads: 1, approved: 1, ..Step::default() });
    Ok(())
}

pub async fn a_delivery_moves_between_the_sums_of_its_own_hour(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let later = HOUR + 20 * 60;
    assert_eq!(became(&world).await?, (0, 0, 1));
    assert_eq!(three_hours(&world).await?.oldest_pending_at, Some(START));
    finish(&world, &due[0], after(later), AttemptOutcome::RetryAt(after(later + 1))).await?;
    assert_eq!(became(&world).await?, (0, 0, 1));
    let due = world.claim(destination.id, after(later + 1), 1).await?;
    finish(&world, &due[0], after(later + 1), AttemptOutcome::Dead).await?;
    assert_eq!(became(&world).await?, (0, 1, 0));

    let dead = || ResendFilter::Matching(DeliveryFilter::default());
    world.store.resend(world.id(), dead(), after(later + 2), Some(world.audit("resend", START))).await?;
    assert_eq!(became(&world).await?, (0, 0, 1));
    let due = world.claim(destination.id, after(later + 2), 1).await?;
    finish(&world, &due[0], after(later + 2), AttemptOutcome::Delivered).await?;
    assert_eq!(became(&world).await?, (1, 0, 0));
    let overview = three_hours(&world).await?;
    assert_eq!(
        (overview.delivery_ms, overview.oldest_pending_at),
        (vec![later * 1_000 + 2_000 + 1_234], None)
    );

    let this = ResendFilter::One(due[0].id);
    world.store.resend(world.id(), this.clone(), after(later), Some(world.audit("resend", START))).await?;
    world.store.cancel(world.id(), this, Some(world.audit("cancel", START))).await?;
    assert_eq!(became(&world).await?, (0, 0, 0));
    Ok(())
}

pub async fn health_is_told_of_each_destination_since_an_hour(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let first = world.destination(EventType::ALL, START).await?;
    let second = world.destination(&[EventType::LeadQualified], after(1)).await?;
    let (_, due) = world.stored(&Sent::from("early@stacklane.co").at(after(2))).await?;
    finish(&world, &due[0], after(2), AttemptOutcome::Dead).await?;
    let (_, due) = world.stored(&Sent::from("late@stacklane.co").approved().at(after(2 * HOUR))).await?;
    let to_first = due.iter().find(|due| due.destination_id == first.id).expect("the first wants it");
    finish(&world, to_first, after(2 * HOUR), AttemptOutcome::Delivered).await?;
    assert_eq!(health(&world, 60).await?, [told(&first, 1, 1, 0), told(&second, 0, 0, 1)]);
    assert_eq!(health(&world, 2 * HOUR).await?, [told(&first, 1, 0, 0), told(&second, 0, 0, 1)]);
    assert_eq!(health(&world, 3 * HOUR).await?, []);
    Ok(())
}

pub async fn health_is_told_whatever_becomes_of_a_delivery(harness: &dyn Harness) -> Outcome {
    let settings = Settings { supersede_review_requests: true, ..Settings::default() };
    let world = World::with(harness, settings).await?;
    let to = world.destination(EventType::ALL, START).await?;
    let (reviewed, due) = world.stored(&Sent::from("ada@stacklane.co")).await?;
    assert_eq!(health(&world, 0).await?, [told(&to, 0, 0, 1)]);
    world.store.release(&[due[0].id]);
    let decided = world.decide(&reviewed, true, after(5)).await?.due();
    assert_eq!(health(&world, 0).await?, [told(&to, 0, 0, 1)], "its review request was superseded");
    finish(&world, &decided[0], after(6), AttemptOutcome::Delivered).await?;
    assert_eq!(health(&world, 0).await?, [told(&to, 1, 0, 0)]);
    let this = || ResendFilter::One(decided[0].id);
    world.store.resend(world.id(), this(), after(7), Some(world.audit("resend", START))).await?;
    assert_eq!(health(&world, 0).await?, [told(&to, 0, 0, 1)]);
    world.store.cancel(world.id(), this(), Some(world.audit("cancel", START))).await?;
    assert_eq!(health(&world, 0).await?, [told(&to, 0, 0, 0)]);

    let (_, due) = world.stored(&Sent::from("lost@stacklane.co").approved()).await?;
    finish(&world, &due[0], after(8), AttemptOutcome::Dead).await?;
    world.stored(&Sent::from("waits@stacklane.co").approved()).await?;
    assert_eq!(health(&world, 0).await?, [told(&to, 0, 1, 1)]);
    world.store.delete_destination(to.id, world.audit("destination.delete", START)).await?;
    assert_eq!(health(&world, 0).await?, [told(&to, 0, 1, 0)]);
    Ok(())
}

pub async fn what_the_retention_deletes_stays_counted(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, Settings { retention_days: Some(1), ..Settings::default() }).await?;
    world.destination(EventType::ALL, START).await?;
    let (lead, due) = world.stored(&Sent::from("jordan@stacklane.co").approved()).await?;
    finish(&world, &due[0], after(1), AttemptOutcome::Delivered).await?;
    let expected = three_hours(&world).await?.steps;
    while world.store.upkeep(after(2 * DAY), Duration::from_secs(DAY)).await? {}
    assert!(world.store.lead(world.id(), lead.id).await?.is_none());
    let world = world.reopened(harness).await;
    assert_eq!(three_hours(&world).await?.steps, expected);
    while world.store.upkeep(after(500 * DAY), Duration::from_secs(DAY)).await? {}
    assert_eq!(three_hours(&world).await?.steps, [Step::default(); 3], "but not for ever");
    Ok(())
}

pub async fn scores_are_counted_of_what_arrived_since(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.stored(&Sent::from("early@stacklane.co")).await?;
    world.stored(&Sent::from("late@stacklane.co").at(after(60))).await?;
    world.stored(&Sent::from("unscored@stacklane.co").unscored().at(after(60))).await?;
    // Every lead of the suite has this score.
    assert_eq!(world.store.scores(world.id(), START).await?[61], 2);
    let late = world.store.scores(world.id(), after(60)).await?;
    assert_eq!((late[61], late.iter().sum::<u64>()), (1, 1));
    Ok(())
}
