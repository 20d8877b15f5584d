//! An operator's decision, and that an event of a type is made once for a lead.

use std::sync::Arc;

use agentflow_events::EventType;

use super::Harness;
use super::same::{assert_same_event, assert_same_lead};
use super::sent::Sent;
use super::world::{Expect, Outcome, World, after};
use crate::record::LeadState;
use crate::store::{Accepted, Basis, Decided};

pub async fn a_decision_is_stored_with_its_event_and_audit_row(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    for (email, approve, event_type) in [
        ("a@stacklane.co", true, EventType::LeadQualified),
        ("b@stacklane.co", false, EventType::LeadRejected),
    ] {
        let (lead, _) = world.stored(&Sent::from(email)).await?;
        let decide = world.judgement(&lead, approve, after(60));
        let (write, audit) = (decide.write.clone(), decide.audit.clone());
        world.store.decide(decide).await?.due();

        assert_same_lead(&world.seen_lead(&lead).await?, &write.lead);
        let events = world.store.lead_events(world.id(), lead.id).await?;
        let types: Vec<_> = events.iter().map(|event| event.event_type).collect();
        assert_eq!(types, [EventType::LeadReviewRequested, event_type]);
        assert_same_event(&events[1], &write.event.expect("a decision makes an event"));
        assert_eq!(world.store.audit_rows(world.id(), 1).await?, [audit]);
    }
    Ok(())
}

pub async fn a_decision_on_another_version_changes_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let (joined, _) = world.stored(&Sent::saying("jordan@stacklane.co", "A demo?").at(after(5))).await?;
    assert!(matches!(world.decide(&lead, true, after(60)).await?, Decided::Changed));
    // A version that is still to come is another one, too.
    let mut ahead = joined.clone();
    ahead.version += 1;
    assert!(matches!(world.decide(&ahead, true, after(60)).await?, Decided::Changed));

    assert_same_lead(&world.seen_lead(&lead).await?, &joined);
    assert_eq!(world.store.lead_events(world.id(), lead.id).await?.len(), 1);
    assert!(world.store.audit_rows(world.id(), 10).await?.is_empty());
    Ok(())
}

pub async fn a_decision_on_an_unknown_lead_finds_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let unknown = world.plan(&Sent::from("jordan@stacklane.co"), None).write.lead;
    assert!(matches!(world.decide(&unknown, true, after(60)).await?, Decided::NotFound));
    assert!(world.store.lead(world.id(), unknown.id).await?.is_none());
    assert!(world.store.audit_rows(world.id(), 10).await?.is_empty());
    Ok(())
}

pub async fn a_decision_from_another_workspace_finds_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let mut theirs = lead.clone();
    theirs.workspace_id = neighbour.id();
    assert!(matches!(neighbour.decide(&theirs, true, after(60)).await?, Decided::NotFound));
    assert_same_lead(&world.seen_lead(&lead).await?, &lead);
    assert_eq!(world.store.lead_events(world.id(), lead.id).await?.len(), 1);
    Ok(())
}

pub async fn racing_decisions_are_stored_once(harness: &dyn Harness) -> Outcome {
    let world = Arc::new(World::open(harness).await?);
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let (world, lead) = (Arc::clone(&world), lead.clone());
            tokio::spawn(async move { world.decide(&lead, number % 2 == 0, after(60)).await })
        })
        .collect();
    let (mut stored, mut changed) = (0, 0);
    for task in tasks {
        match task.await.expect("the task ends")? {
            Decided::Stored(_) => stored += 1,
            Decided::Changed => changed += 1,
            Decided::NotFound => panic!("the lead is there"),
        }
    }
    assert_eq!((stored, changed), (1, 11));
    let found = world.seen_lead(&lead).await?;
    assert_eq!(found.version, 2);
    assert!(!found.state.is_open());
    assert_eq!(world.store.lead_events(world.id(), lead.id).await?.len(), 2);
    assert_eq!(world.store.audit_rows(world.id(), 100).await?.len(), 1);
    Ok(())
}

pub async fn an_older_lead_can_be_decided_while_a_newer_one_is_there(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (first, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    world.decide(&first, false, after(10)).await?.due();
    let (second, _) = world.stored(&Sent::from("jordan@stacklane.co").at(after(20)).window(1)).await?;
    world.decide(&second, true, after(30)).await?.due();
    assert_eq!(world.seen_lead(&first).await?.state, LeadState::Rejected);
    assert_eq!(world.seen_lead(&second).await?.state, LeadState::Qualified);
    Ok(())
}

pub async fn a_second_event_of_a_type_is_refused_with_all_that_came_along(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.destination(EventType::ALL, after(0)).await?;
    let (lead, due) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let before = (due.len(), world.log_rows().await?.len());
    assert_eq!(before, (1, 1));

    // A joining submission that would ask for a review again.
    let further = Sent::saying("jordan@stacklane.co", "A demo?").at(after(5)).key("order-1");
    let mut accept = world.plan(&further, Some(&lead));
    let mut unscored = lead.clone();
    unscored.state = LeadState::Received;
    accept.write.event = further.plan(world.id(), Some(&unscored)).event;
    assert!(accept.write.event.is_some());
    let answer = world.store.accept(accept).await;
    assert!(matches!(answer, Err(_) | Ok(Accepted::Rebase(_))), "{answer:?}");

    assert_same_lead(&world.seen_lead(&lead).await?, &lead);
    assert_eq!(world.store.lead_events(world.id(), lead.id).await?.len(), 1);
    assert_eq!(world.submissions(lead.id).await?.len(), 1);
    assert_eq!(world.log_rows().await?.len(), 1);
    assert_eq!(world.all_deliveries().await?.len(), 1);
    // Neither its body nor its key was remembered: planned well it is stored.
    world.store.accept(world.plan(&further, Some(&lead))).await?.due();
    Ok(())
}

pub async fn a_decision_with_a_second_event_of_a_type_is_refused(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let first = world.judgement(&lead, true, after(10));
    let decided = first.write.lead.clone();
    world.store.decide(first).await?.due();

    let mut again = world.judgement(&decided, true, after(20));
    assert_eq!(again.write.basis, Basis::Newest(lead.id, 2));
    again.write.lead.version = 3;
    let answer = world.store.decide(again).await;
    assert!(matches!(answer, Err(_) | Ok(Decided::Changed)), "{answer:?}");
    assert_same_lead(&world.seen_lead(&lead).await?, &decided);
    assert_eq!(world.store.audit_rows(world.id(), 10).await?.len(), 1);
    Ok(())
}

pub async fn one_bad_write_does_not_spoil_those_beside_it(harness: &dyn Harness) -> Outcome {
    let world = Arc::new(World::open(harness).await?);
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let mut unscored = lead.clone();
    unscored.state = LeadState::Received;
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let (world, lead, unscored) = (Arc::clone(&world), lead.clone(), unscored.clone());
            tokio::spawn(async move {
                if number % 4 == 0 {
                    let bad = Sent::saying("jordan@stacklane.co", &format!("Message {number}."));
                    let mut accept = world.plan(&bad, Some(&lead));
                    accept.write.event = bad.plan(world.id(), Some(&unscored)).event;
                    assert!(!matches!(world.store.accept(accept).await, Ok(Accepted::Stored(_))));
                    Ok(())
                } else {
                    world.send(&Sent::from(&format!("person{number}@stacklane.co"))).await.map(|sent| {
                        sent.due();
                    })
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task ends")?;
    }
    assert_eq!(world.log_rows().await?.len(), 1 + 24);
    assert_same_lead(&world.seen_lead(&lead).await?, &lead);
    Ok(())
}
