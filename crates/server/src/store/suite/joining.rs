//! Submissions with one email: which lead they open or join, and that a plan on an old version is never committed.

use std::sync::Arc;

use super::same::{assert_same_event, assert_same_lead};
use super::sent::Sent;
use super::world::{Expect, Outcome, START, World, after};
use super::{Harness, world};
use crate::record::{Lead, LeadState};
use crate::store::{Accepted, Basis, LeadFilter, StoreError};

async fn leads(world: &World) -> Result<Vec<Lead>, StoreError> {
    let filter = LeadFilter::default();
    world::walk(100, async |page| world.store.leads(world.id(), &filter, page).await).await
}

#[track_caller]
fn rebased(accepted: Accepted) -> Option<Lead> {
    match accepted {
        Accepted::Rebase(found) => found.map(|lead| *lead),
        other => panic!("expected to be told to plan again: {other:?}"),
    }
}

pub async fn a_new_lead_is_stored_as_it_was_planned(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    for (sent, state) in [
        (Sent::from("a@stacklane.co").unscored(), LeadState::Received),
        (Sent::from("b@stacklane.co"), LeadState::InReview),
        (Sent::from("c@stacklane.co").approved(), LeadState::Qualified),
        (Sent::from("d@stacklane.co").rejected(), LeadState::Rejected),
    ] {
        let accept = world.plan(&sent, None);
        let (lead, event, submission) =
            (accept.write.lead.clone(), accept.write.event.clone(), accept.submission.clone());
        world.store.accept(accept).await?.due();

        let found = world.seen_lead(&lead).await?;
        assert_same_lead(&found, &lead);
        assert_eq!(found.state, state);
        let events = world.store.lead_events(world.id(), lead.id).await?;
        assert_eq!(events.len(), usize::from(event.is_some()));
        if let Some(event) = event {
            assert_same_event(&events[0], &event);
            assert_same_event(
                &world.store.event(world.id(), event.id).await?.expect("the event is there"),
                &event,
            );
        }
        let submissions = world.submissions(lead.id).await?;
        assert_eq!(submissions.len(), 1);
        let found = &submissions[0];
        assert_eq!(
            (found.id, found.endpoint_id, found.at),
            (submission.id, submission.endpoint_id, submission.at)
        );
        assert_eq!(found.body, submission.body);
    }
    Ok(())
}

pub async fn fields_are_kept_to_the_byte(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let fields = concat!(
        r#"{"zeta":1234567890123456789012345678901234567890.0000000001,"alpha":1.0e400,"Alpha":-0,"#,
        r#""nested":{"b":[1,  2],"a":null},"emoji":"😀\u00e9","":false,"percent%_":"\\\"'"}"#
    );
    let person = r#"{"name":"Zoë  O'Brien","email":"Zoë.OBrien@BÜCHER.example","company":"A \"B\" 'C' \\","message":"  two\nlines  ","source":"a%b_c","timestamp":"2024-11-14T09:44+01:00""#;
    let body = format!("{person},{}", &fields[1..]);
    let (lead, _) = world.stored(&Sent::body(body.clone())).await?;

    let found = world.seen_lead(&lead).await?;
    assert_same_lead(&found, &lead);
    assert_eq!(found.details.fields.to_json(), fields);
    assert_eq!(found.details.email.as_sent(), "Zoë.OBrien@BÜCHER.example");
    assert_eq!(found.details.message.as_deref(), Some("  two\nlines  "));
    assert_eq!(
        found.details.submitted_at.map(|at| at.as_sent().to_owned()).as_deref(),
        Some("2024-11-14T09:44+01:00")
    );
    let submissions = world.submissions(lead.id).await?;
    assert_eq!(submissions[0].body, body);
    let events = world.store.lead_events(world.id(), lead.id).await?;
    assert!(std::str::from_utf8(&events[0].body).expect("events are UTF-8").contains(fields));
    Ok(())
}

pub async fn a_further_submission_joins_the_open_lead(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    for (email, first) in [
        ("a@stacklane.co", Sent::from("a@stacklane.co").unscored()),
        ("b@stacklane.co", Sent::from("b@stacklane.co")),
    ] {
        let (lead, _) = world.stored(&first).await?;
        let further = Sent::saying(email, "And a demo, please.").unscored().at(after(60));
        let found = rebased(world.send(&further).await?).expect("there is a lead");
        assert_same_lead(&found, &lead);
        let accept = world.plan(&further, Some(&found));
        let planned = accept.write.lead.clone();
        world.store.accept(accept).await?.due();

        let joined = world.seen_lead(&lead).await?;
        assert_same_lead(&joined, &planned);
        assert_eq!((joined.version, joined.received_at), (2, START));
        assert_eq!(joined.details.message.as_deref(), Some("And a demo, please."));
        let submissions = world.submissions(lead.id).await?;
        assert_eq!(submissions.iter().map(|one| &one.body).collect::<Vec<_>>(), [&first.body, &further.body]);
    }
    assert_eq!(leads(&world).await?.len(), 2);
    Ok(())
}

pub async fn a_lead_after_a_closed_one_is_new_and_names_it(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (first, _) = world.stored(&Sent::from("jordan@stacklane.co").rejected()).await?;
    let further = Sent::saying("jordan@stacklane.co", "Once more.").at(after(60));
    assert_same_lead(&rebased(world.send(&further).await?).expect("the closed lead is told"), &first);

    let (second, _) = world.stored(&further).await?;
    assert_ne!(second.id, first.id);
    assert_eq!(world.seen_lead(&second).await?.previous_lead_id, Some(first.id));
    assert_same_lead(&world.seen_lead(&first).await?, &first);
    // From now on the second is what plans rest on.
    let third = Sent::saying("jordan@stacklane.co", "And again.").at(after(90));
    let told =
        rebased(world.store.accept(world.plan(&third, Some(&first))).await?).expect("there is a newer lead");
    assert_same_lead(&told, &second);
    Ok(())
}

pub async fn a_plan_on_an_older_version_is_answered_with_the_lead_as_it_is(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (first, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let (second, _) = world.stored(&Sent::saying("jordan@stacklane.co", "A demo?").at(after(5))).await?;
    let third = Sent::saying("jordan@stacklane.co", "In May?").at(after(6));
    assert_same_lead(
        &rebased(world.store.accept(world.plan(&third, Some(&first))).await?).expect("a lead"),
        &second,
    );
    world.decide(&second, true, after(7)).await?.due();
    let told = rebased(world.store.accept(world.plan(&third, Some(&second))).await?).expect("a lead");
    assert_eq!((told.id, told.version, told.state), (second.id, 3, LeadState::Qualified));
    Ok(())
}

pub async fn a_plan_on_a_lead_that_is_not_there_is_answered_with_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let gone = world.plan(&Sent::from("jordan@stacklane.co"), None).write.lead;
    let further = Sent::saying("jordan@stacklane.co", "A demo?");
    assert!(rebased(world.store.accept(world.plan(&further, Some(&gone))).await?).is_none());
    assert!(leads(&world).await?.is_empty());
    Ok(())
}

pub async fn an_address_is_known_by_its_identity(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, _) = world.stored(&Sent::from("Jordan@Bücher.example")).await?;
    let (joined, _) = world.stored(&Sent::from("jordan@xn--bcher-kva.EXAMPLE").at(after(1))).await?;
    assert_eq!(joined.id, lead.id);
    let (other, _) = world.stored(&Sent::from("jordan@buecher.example")).await?;
    assert_ne!(other.id, lead.id);
    Ok(())
}

pub async fn the_newest_submissions_are_told_back_to_a_number_of_bytes(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let mut lead = None;
    for number in 0..5 {
        let sent = Sent::saying("jordan@stacklane.co", &format!("Message {number}."));
        lead = Some(world.stored(&sent).await?.0);
    }
    let id = lead.expect("five were stored").id;
    let all = world.submissions(id).await?;
    let bytes = all[0].body.len();
    assert!(all.iter().all(|one| one.body.len() == bytes), "the case needs bodies of one size");
    for (bytes_max, expected) in [(0, 1), (bytes, 1), (3 * bytes - 1, 2), (3 * bytes, 3), (99 * bytes, 5)] {
        let found = world.store.submissions(world.id(), id, bytes_max).await?;
        assert_eq!(found.count, 5);
        let ids: Vec<_> = found.newest.iter().map(|one| one.id).collect();
        assert_eq!(ids, all[5 - expected..].iter().map(|one| one.id).collect::<Vec<_>>());
    }
    let neighbour = world.neighbour().await?;
    let found = world.store.submissions(neighbour.id(), id, usize::MAX).await?;
    assert_eq!((found.count, found.newest.len()), (0, 0));
    Ok(())
}

pub async fn racing_senders_with_one_email_open_one_lead(harness: &dyn Harness) -> Outcome {
    let world = Arc::new(World::open(harness).await?);
    let tasks: Vec<_> = (0..24)
        .map(|number| {
            let world = Arc::clone(&world);
            let sent = Sent::saying("jordan@stacklane.co", &format!("Message {number}."));
            tokio::spawn(async move { world.send(&sent).await })
        })
        .collect();
    let mut stored = 0;
    let mut told = Vec::new();
    for task in tasks {
        match task.await.expect("the task ends")? {
            Accepted::Stored(_) => stored += 1,
            Accepted::Rebase(Some(lead)) => told.push(lead.id),
            other => panic!("expected one lead: {other:?}"),
        }
    }
    let leads = leads(&world).await?;
    assert_eq!((stored, told.len(), leads.len()), (1, 23, 1));
    assert!(told.iter().all(|id| *id == leads[0].id));
    assert_eq!(world.submissions(leads[0].id).await?.len(), 1);
    Ok(())
}

pub async fn racing_senders_that_plan_again_all_join_it(harness: &dyn Harness) -> Outcome {
    let world = Arc::new(World::open(harness).await?);
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let world = Arc::clone(&world);
            let sent = Sent::saying("jordan@stacklane.co", &format!("Message {number}."));
            tokio::spawn(async move { world.stored(&sent).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task ends")?;
    }
    let leads = leads(&world).await?;
    assert_eq!((leads.len(), leads[0].version), (1, 12));
    assert_eq!(world.submissions(leads[0].id).await?.len(), 12);
    assert_eq!(world.store.lead_events(world.id(), leads[0].id).await?.len(), 1);
    Ok(())
}

pub async fn racing_equal_bodies_are_stored_once(harness: &dyn Harness) -> Outcome {
    let world = Arc::new(World::open(harness).await?);
    let tasks: Vec<_> = (0..24)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let accept = world.plan(&Sent::from("jordan@stacklane.co"), None);
                (accept.write.lead.id, world.store.accept(accept).await)
            })
        })
        .collect();
    let (mut stored, mut told) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.expect("the task ends") {
            (id, Ok(Accepted::Stored(_))) => stored.push(id),
            (_, Ok(Accepted::Duplicate(id))) => told.push(id),
            (_, other) => panic!("expected a duplicate: {other:?}"),
        }
    }
    assert_eq!((stored.len(), told.len()), (1, 23));
    assert!(told.iter().all(|id| *id == stored[0]));
    assert_eq!(leads(&world).await?.len(), 1);
    assert_eq!(world.log_rows().await?.len(), 24);
    Ok(())
}

pub async fn racing_bodies_with_one_key_are_stored_once(harness: &dyn Harness) -> Outcome {
    let world = Arc::new(World::open(harness).await?);
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let world = Arc::clone(&world);
            let sent = Sent::from(&format!("person{number}@stacklane.co")).key("order-1");
            tokio::spawn(async move { world.send(&sent).await })
        })
        .collect();
    let (mut stored, mut reused) = (0, 0);
    for task in tasks {
        match task.await.expect("the task ends")? {
            Accepted::Stored(_) => stored += 1,
            Accepted::KeyReused => reused += 1,
            other => panic!("expected a reused key: {other:?}"),
        }
    }
    assert_eq!((stored, reused, leads(&world).await?.len()), (1, 15, 1));
    Ok(())
}

pub async fn a_second_open_lead_is_refused_by_the_store_itself(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let further = Sent::saying("jordan@stacklane.co", "A demo?").at(after(5)).key("order-1");
    // A plan that knows of the open lead and opens another one all the same.
    let mut accept = world.plan(&further, None);
    accept.write.basis = Basis::Newest(lead.id, lead.version);
    let answer = world.store.accept(accept).await;
    assert!(matches!(answer, Err(_) | Ok(Accepted::Rebase(_))), "{answer:?}");

    assert_eq!(leads(&world).await?.len(), 1);
    assert_same_lead(&world.seen_lead(&lead).await?, &lead);
    assert_eq!(world.log_rows().await?.len(), 1);
    world.store.accept(world.plan(&further, Some(&lead))).await?.due();
    Ok(())
}
