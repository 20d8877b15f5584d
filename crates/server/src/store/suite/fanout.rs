//! Which deliveries an event makes, and which of them come back claimed.

use agentflow_events::EventType;

use super::Harness;
use super::sent::Sent;
use super::world::{Expect, Outcome, START, World, after};
use crate::record::{DeliveryState, Settings};

fn first_wait(seconds: u32) -> Settings {
    Settings { retry_schedule_seconds: vec![seconds, 5, 300], ..Settings::default() }
}

pub async fn an_event_that_nobody_wants_is_kept(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, due) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    assert!(due.is_empty());
    assert_eq!(world.store.lead_events(world.id(), lead.id).await?.len(), 1);
    assert!(world.all_deliveries().await?.is_empty());
    Ok(())
}

pub async fn each_enabled_destination_that_subscribes_gets_a_delivery(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let wants = world.destination(EventType::ALL, after(1)).await?;
    let wants_too = world.destination(&[EventType::LeadReviewRequested], after(2)).await?;
    world.destination(&[EventType::LeadQualified, EventType::LeadRejected], after(3)).await?;
    world.destination(&[], after(4)).await?;
    let mut disabled = world.destination(EventType::ALL, after(5)).await?;
    disabled.enabled = false;
    world.put(&disabled).await?;
    let neighbour = world.neighbour().await?;
    neighbour.destination(EventType::ALL, after(6)).await?;

    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co").at(after(10))).await?;
    let mut reached: Vec<_> = due.iter().map(|delivery| delivery.destination_id).collect();
    reached.sort();
    assert_eq!(reached, [wants.id, wants_too.id]);
    assert_eq!(world.all_deliveries().await?.len(), 2);
    assert!(neighbour.all_deliveries().await?.is_empty());
    Ok(())
}

pub async fn a_destination_gets_only_events_made_after_it(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let late = world.destination(EventType::ALL, after(5)).await?;
    assert!(world.all_deliveries().await?.is_empty());
    let due = world.decide(&lead, true, after(10)).await?.due();
    assert_eq!(
        due.iter().map(|one| (one.destination_id, one.event_type)).collect::<Vec<_>>(),
        [(late.id, EventType::LeadQualified)]
    );
    Ok(())
}

pub async fn changed_destinations_count_as_they_are_now(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let mut destination = world.destination(&[EventType::LeadQualified], START).await?;
    assert!(world.stored(&Sent::from("a@stacklane.co")).await?.1.is_empty());
    destination.event_types.push(EventType::LeadReviewRequested);
    world.put(&destination).await?;
    assert_eq!(world.stored(&Sent::from("b@stacklane.co")).await?.1.len(), 1);
    destination.enabled = false;
    world.put(&destination).await?;
    assert!(world.stored(&Sent::from("c@stacklane.co")).await?.1.is_empty());
    destination.enabled = true;
    world.put(&destination).await?;
    assert_eq!(world.stored(&Sent::from("d@stacklane.co")).await?.1.len(), 1);
    world.store.delete_destination(destination.id, world.audit("destination.delete", after(1))).await?;
    assert!(world.stored(&Sent::from("e@stacklane.co")).await?.1.is_empty());
    Ok(())
}

pub async fn a_delivery_due_at_once_comes_back_claimed(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let accept = world.plan(&Sent::from("jordan@stacklane.co").at(after(10)), None);
    let event = accept.write.event.clone().expect("a lead in review makes an event");
    let due = world.store.accept(accept).await?.due();
    assert_eq!(due.len(), 1);
    let due = &due[0];
    assert_eq!((due.workspace_id, due.destination_id), (world.id(), destination.id));
    assert_eq!((due.event_id, due.event_type, due.lead_id), (event.id, event.event_type, event.lead_id));
    assert!(due.body == event.body, "the body is the event's, byte for byte");
    assert_eq!((due.attempt_number, due.schedule_step, due.due_at), (1, 0, after(10)));

    let stored = world.seen_delivery(due).await?;
    assert_eq!(
        (stored.event_id, stored.event_type, stored.lead_id),
        (event.id, event.event_type, event.lead_id)
    );
    assert_eq!((stored.workspace_id, stored.destination_id), (world.id(), destination.id));
    assert_eq!((stored.state, stored.next_attempt_at), (DeliveryState::Pending, Some(after(10))));
    assert_eq!((stored.created_at, stored.attempts.len()), (after(10), 0));
    assert!(world.claim(destination.id, after(99), 10).await?.is_empty());
    assert_eq!(world.store.pending_deliveries().await?, 1);
    Ok(())
}

pub async fn the_first_wait_is_the_schedules_first(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, first_wait(30)).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co").at(after(10))).await?;
    assert!(due.is_empty(), "nothing is due at once");
    assert_eq!(world.store.next_due().await?, [(destination.id, after(40))]);
    assert!(world.claim(destination.id, after(39), 10).await?.is_empty());
    let claimed = world.claim(destination.id, after(40), 10).await?;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].due_at, claimed[0].attempt_number, claimed[0].schedule_step), (after(40), 1, 0));
    Ok(())
}

pub async fn a_changed_schedule_counts_from_the_next_event(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, first_wait(30)).await?;
    world.destination(EventType::ALL, START).await?;
    assert!(world.stored(&Sent::from("a@stacklane.co")).await?.1.is_empty());
    world.set(first_wait(0)).await?;
    assert_eq!(world.stored(&Sent::from("c@stacklane.co").at(after(5))).await?.1.len(), 1);
    world.set(first_wait(7)).await?;
    assert!(world.stored(&Sent::from("b@stacklane.co").at(after(6))).await?.1.is_empty());
    let mut waits: Vec<_> =
        world.all_deliveries().await?.iter().filter_map(|one| one.next_attempt_at).collect();
    waits.sort();
    assert_eq!(waits, [after(5), after(13), after(30)]);
    Ok(())
}

pub async fn each_workspace_has_its_own_schedule(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, first_wait(30)).await?;
    let neighbour = world.neighbour().await?;
    world.destination(EventType::ALL, START).await?;
    neighbour.destination(EventType::ALL, START).await?;
    assert!(world.stored(&Sent::from("jordan@stacklane.co")).await?.1.is_empty());
    assert_eq!(neighbour.stored(&Sent::from("jordan@stacklane.co")).await?.1.len(), 1);
    assert!(world.stored(&Sent::from("alex@stacklane.co")).await?.1.is_empty());
    Ok(())
}
