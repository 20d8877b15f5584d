//! Lists: newest first, in pages, under every filter, for one workspace.

use agentflow_events::EventType;

use super::Harness;
use super::attempts::finish;
use super::sent::Sent;
use super::world::{Expect, Outcome, START, World, after, walk};
use crate::id::mint;
use crate::reason::Reason;
use crate::record::{
    AttemptOutcome, AuditRow, Change, DeliveryState, Finding, InboundLogRow, InboundStatus, LeadState,
};
use crate::store::{AuditFilter, DeliveryFilter, InboundLogFilter, LeadFilter, PageRequest, StoreError};

/// The names of the leads that match, newest first.
async fn names(world: &World, filter: LeadFilter) -> Result<Vec<String>, StoreError> {
    let leads = walk(100, async |page| world.store.leads(world.id(), &filter, page).await).await?;
    Ok(leads.into_iter().map(|lead| lead.details.name).collect())
}

fn person(name: &str, rest: &str) -> Sent {
    let email = name.to_lowercase();
    Sent::body(format!(r#"{{"name":"{name}","email":"{email}@stacklane.co"{rest}}}"#))
}

pub async fn every_list_is_walked_newest_first_without_gap_or_repeat(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.destination(EventType::ALL, START).await?;
    let (mut leads, mut events, mut deliveries, mut logs) = (vec![], vec![], vec![], vec![]);
    for number in 0..23 {
        // Many in one millisecond, and a clock that was set back: the order is that of the commits.
        let at =
            if number == 11 { START.minus(std::time::Duration::from_secs(60)) } else { after(number / 5) };
        let accept = world.plan(&Sent::from(&format!("person{number}@stacklane.co")).at(at), None);
        leads.insert(0, accept.write.lead.id);
        events.insert(0, accept.write.event.as_ref().expect("an event is made").id);
        logs.insert(0, accept.log.id);
        deliveries.insert(0, world.store.accept(accept).await?.due()[0].id);
    }
    let (leads_like, logs_like, deliveries_like) =
        (LeadFilter::default(), InboundLogFilter::default(), DeliveryFilter::default());
    for limit in [1, 2, 7, 22, 23, 24, 100] {
        let found = walk(limit, async |page| world.store.leads(world.id(), &leads_like, page).await).await?;
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), leads);
        let found = walk(limit, async |page| world.store.events(world.id(), page).await).await?;
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), events);
        let found =
            walk(limit, async |page| world.store.inbound_log(world.id(), &logs_like, page).await).await?;
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), logs);
        let found =
            walk(limit, async |page| world.store.deliveries(world.id(), &deliveries_like, page).await)
                .await?;
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), deliveries);
    }
    Ok(())
}

pub async fn rows_that_come_while_a_list_is_walked_do_not_disturb_it(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    for name in ["A", "B", "C", "D"] {
        world.stored(&person(name, "")).await?;
    }
    let filter = LeadFilter::default();
    let first = world.store.leads(world.id(), &filter, PageRequest { cursor: None, limit: 2 }).await?;
    world.stored(&person("E", "")).await?;
    // A lead that changes keeps its place.
    world.stored(&person("A", r#","company":"Acme""#)).await?;
    let rest =
        world.store.leads(world.id(), &filter, PageRequest { cursor: first.next_cursor, limit: 2 }).await?;
    let seen: Vec<_> = first.items.iter().chain(&rest.items).map(|lead| lead.details.name.as_str()).collect();
    assert_eq!(seen, ["D", "C", "B", "A"]);
    assert_eq!(rest.next_cursor, None);
    let from_the_oldest = LeadFilter { oldest_first: true, ..filter };
    let walked = walk(2, async |page| world.store.leads(world.id(), &from_the_oldest, page).await).await?;
    let walked: Vec<_> = walked.iter().map(|lead| lead.details.name.as_str()).collect();
    assert_eq!(walked, ["A", "B", "C", "D", "E"]);
    Ok(())
}

pub async fn an_empty_list_is_one_empty_page(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let page = PageRequest { cursor: None, limit: 10 };
    let leads = world.store.leads(world.id(), &LeadFilter::default(), page).await?;
    assert!(leads.items.is_empty() && leads.next_cursor.is_none());
    let events = world.store.events(world.id(), page).await?;
    assert!(events.items.is_empty() && events.next_cursor.is_none());
    assert!(world.all_deliveries().await?.is_empty());
    assert!(world.log_rows().await?.is_empty());
    Ok(())
}

pub async fn leads_are_found_by_state_email_and_source(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.stored(&person("New", r#","source":"form""#).unscored()).await?;
    world.stored(&person("Open", r#","source":"Form""#)).await?;
    world.stored(&person("Won", r#","source":"form%""#).approved()).await?;
    world.stored(&person("Lost", "").rejected()).await?;
    world.stored(&person("Open2", r#","source":"form""#)).await?;

    let any = LeadFilter::default();
    assert_eq!(names(&world, any.clone()).await?, ["Open2", "Lost", "Won", "Open", "New"]);
    let state = |state| LeadFilter { state: Some(state), ..LeadFilter::default() };
    assert_eq!(names(&world, state(LeadState::Received)).await?, ["New"]);
    assert_eq!(names(&world, state(LeadState::InReview)).await?, ["Open2", "Open"]);
    let queue = LeadFilter { oldest_first: true, ..state(LeadState::InReview) };
    assert_eq!(names(&world, queue).await?, ["Open", "Open2"]);
    assert_eq!(names(&world, state(LeadState::Qualified)).await?, ["Won"]);
    assert_eq!(names(&world, state(LeadState::Rejected)).await?, ["Lost"]);

    let email = |email: &str| LeadFilter { email: Some(email.to_owned()), ..LeadFilter::default() };
    assert_eq!(names(&world, email("won@stacklane.co")).await?, ["Won"]);
    assert!(names(&world, email("won@stacklane")).await?.is_empty());
    assert!(names(&world, email("%")).await?.is_empty());

    let source = |source: &str| LeadFilter { source: Some(source.to_owned()), ..LeadFilter::default() };
    assert_eq!(names(&world, source("form")).await?, ["Open2", "New"]);
    assert_eq!(names(&world, source("Form")).await?, ["Open"]);
    assert_eq!(names(&world, source("form%")).await?, ["Won"]);
    let both = LeadFilter { state: Some(LeadState::InReview), ..source("form") };
    assert_eq!(names(&world, both).await?, ["Open2"]);
    Ok(())
}

pub async fn the_audit_log_is_found_by_person_and_action(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let change = |before: &str| Change {
        field: "url".to_owned(),
        before: before.to_owned(),
        after: "https://b.example/".to_owned(),
    };
    let first = world.audit("secret.reveal", after(1)).changing(vec![change("https://a.example/")]);
    let second = AuditRow { operator_id: mint(START), ..world.audit("secret.reveal", after(2)) };
    let third = world.audit("lead.approve", after(3));
    for row in [&first, &second, &third] {
        world.store.audit(row.clone()).await?;
    }
    let found = async |operator, action: Option<&str>| {
        let filter = AuditFilter { operator, action: action.map(str::to_owned) };
        walk(1, async |page| world.store.audit_log(world.id(), &filter, page).await).await
    };
    let admin = Some(first.operator_id);
    assert_eq!(found(None, None).await?, [third.clone(), second.clone(), first.clone()]);
    assert_eq!(found(admin, None).await?, [third, first.clone()]);
    assert_eq!(found(None, Some("secret.reveal")).await?, [second, first.clone()]);
    assert_eq!(found(admin, Some("secret.reveal")).await?, [first]);
    assert!(found(admin, Some("secret")).await?.is_empty());
    Ok(())
}

pub async fn leads_are_found_by_text(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.stored(&person("Anna", r#","company":"50% Off Ltd","message":"under_score""#)).await?;
    world.stored(&person("Bert", r#","company":"500 Off Ltd","message":"underXscore""#)).await?;
    world.stored(&person("Cleo", r#","message":"back\\slash 'quoted' \"text\"","source":"needle""#)).await?;
    world.stored(&person("Dora", r#","message":"Grüße aus Köln","hidden":"needle""#)).await?;

    for (text, found) in [
        ("50% off", &["Anna"][..]),
        ("50", &["Bert", "Anna"]),
        ("%", &["Anna"]),
        ("_", &["Anna"]),
        ("under_score", &["Anna"]),
        ("UNDERXSCORE", &["Bert"]),
        ("back\\slash", &["Cleo"]),
        ("\\", &["Cleo"]),
        ("'quoted'", &["Cleo"]),
        ("\"text\"", &["Cleo"]),
        ("Grüße", &["Dora"]),
        ("aus KöLN", &["Dora"]),
        ("anna@", &["Anna"]),
        ("ERT", &["Bert"]),
        ("STACKLANE", &["Dora", "Cleo", "Bert", "Anna"]),
        ("needle", &[]),
        ("no such text", &[]),
    ] {
        let filter = LeadFilter { text: Some(text.to_owned()), ..LeadFilter::default() };
        assert_eq!(names(&world, filter).await?, found, "looked for {text:?}");
    }
    Ok(())
}

pub async fn a_filtered_list_is_paged_as_well(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    for number in 0..10 {
        let sent = Sent::from(&format!("person{number}@stacklane.co"));
        world.stored(&if number % 3 == 0 { sent.approved() } else { sent }).await?;
    }
    let filter = LeadFilter { state: Some(LeadState::Qualified), ..LeadFilter::default() };
    for limit in [1, 2, 3, 4, 5] {
        let found = walk(limit, async |page| world.store.leads(world.id(), &filter, page).await).await?;
        let emails: Vec<_> = found.iter().map(|lead| lead.details.email.as_sent().to_owned()).collect();
        assert_eq!(emails, [9, 6, 3, 0].map(|number| format!("person{number}@stacklane.co")));
    }
    Ok(())
}

pub async fn the_log_has_a_row_of_each_status_and_is_found_by_it(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&sent).await?;
    world.send(&sent.at(after(1))).await?;
    let row = |status, lead_id, remote_addr: &str| InboundLogRow {
        id: mint(after(2)),
        workspace_id: world.id(),
        at: after(2),
        status,
        remote_addr: remote_addr.parse().expect("an address"),
        body_bytes: 262_145,
        lead_id,
        finding: None,
    };
    let mut expected = vec![row(InboundStatus::Duplicate, Some(lead.id), "2001:db8::7")];
    for reason in Reason::ALL {
        expected.push(row(InboundStatus::Rejected(*reason), None, "203.0.113.9"));
    }
    let explained = Finding { code: "json_rewritten".to_owned(), message: "„Größe“ \"n\"".to_owned() };
    expected[1].finding = Some(explained);
    for row in &expected {
        world.store.log(row.clone());
        // One write each keeps their order; rows that wait together have none.
        world.store.check_writable().await?;
    }
    expected.reverse();
    let rows = world.log_rows().await?;
    assert_eq!(rows[..expected.len()], expected);
    assert_eq!(rows.len(), expected.len() + 2);

    let count = async |status: Option<&str>, reason| {
        let filter = InboundLogFilter { status: status.map(str::to_owned), reason };
        let rows = walk(3, async |page| world.store.inbound_log(world.id(), &filter, page).await).await?;
        Ok::<_, StoreError>(rows.len())
    };
    assert_eq!(count(Some("received"), None).await?, 1);
    assert_eq!(count(Some("duplicate"), None).await?, 2);
    assert_eq!(count(Some("rejected"), None).await?, Reason::ALL.len());
    assert_eq!(count(None, Some(Reason::StaleTimestamp)).await?, 1);
    assert_eq!(count(Some("rejected"), Some(Reason::RateLimited)).await?, 1);
    assert_eq!(count(Some("received"), Some(Reason::RateLimited)).await?, 0);
    Ok(())
}

pub async fn deliveries_are_found_by_state_destination_event_and_type(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let first = world.destination(EventType::ALL, START).await?;
    let second = world.destination(&[EventType::LeadQualified], after(1)).await?;
    let (lead, mut due) = world.stored(&Sent::from("jordan@stacklane.co").at(after(2))).await?;
    due.extend(world.decide(&lead, true, after(3)).await?.due());
    due[1..].sort_by_key(|one| one.destination_id != first.id);
    finish(&world, &due[0], after(4), AttemptOutcome::Delivered).await?;
    finish(&world, &due[1], after(4), AttemptOutcome::Dead).await?;

    let found = async |filter: DeliveryFilter| {
        let rows = walk(1, async |page| world.store.deliveries(world.id(), &filter, page).await).await?;
        let mut places: Vec<_> = rows
            .iter()
            .map(|row| due.iter().position(|one| one.id == row.id).expect("a known delivery"))
            .collect();
        places.sort_unstable();
        Ok::<_, StoreError>(places)
    };
    let any = DeliveryFilter::default();
    assert_eq!(found(any.clone()).await?, [0, 1, 2]);
    let state = |state| DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
    assert_eq!(found(state(DeliveryState::Delivered)).await?, [0]);
    assert_eq!(found(state(DeliveryState::Dead)).await?, [1]);
    assert_eq!(found(state(DeliveryState::Pending)).await?, [2]);
    assert!(found(state(DeliveryState::Cancelled)).await?.is_empty());
    assert!(found(state(DeliveryState::Superseded)).await?.is_empty());
    assert_eq!(found(DeliveryFilter { destination: Some(first.id), ..any.clone() }).await?, [0, 1]);
    assert_eq!(found(DeliveryFilter { destination: Some(second.id), ..any.clone() }).await?, [2]);
    assert_eq!(found(DeliveryFilter { event: Some(due[0].event_id), ..any.clone() }).await?, [0]);
    assert_eq!(found(DeliveryFilter { event: Some(due[1].event_id), ..any.clone() }).await?, [1, 2]);
    assert_eq!(
        found(DeliveryFilter { event_type: Some(EventType::LeadQualified), ..any.clone() }).await?,
        [1, 2]
    );
    let both = DeliveryFilter { destination: Some(first.id), ..state(DeliveryState::Dead) };
    assert_eq!(found(both).await?, [1]);
    Ok(())
}

pub async fn workspaces_do_not_see_each_others_rows(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (lead, due) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    // The same person there is another lead.
    let (theirs, _) = neighbour.stored(&Sent::from("jordan@stacklane.co")).await?;
    assert_ne!(theirs.id, lead.id);
    assert_eq!(theirs.previous_lead_id, None);

    let (store, id) = (&neighbour.store, neighbour.id());
    assert_eq!(names(&neighbour, LeadFilter::default()).await?.len(), 1);
    assert!(store.lead(id, lead.id).await?.is_none());
    assert!(store.submissions(id, lead.id, usize::MAX).await?.newest.is_empty());
    assert!(store.lead_events(id, lead.id).await?.is_empty());
    assert!(store.event(id, due[0].event_id).await?.is_none());
    assert!(store.delivery(id, due[0].id).await?.is_none());
    let events = walk(10, async |page| store.events(id, page).await).await?;
    assert!(events.iter().all(|event| event.lead_id == theirs.id));
    assert!(neighbour.all_deliveries().await?.is_empty());
    assert_eq!(neighbour.log_rows().await?.len(), 1);
    assert!(store.destinations(id).await?.is_empty());
    assert_eq!(store.all_destinations().await?, std::slice::from_ref(&destination));
    assert_eq!(store.operators(id).await?.len(), 1);
    assert!(store.audit_rows(id, 10).await?.is_empty());
    assert!(
        !store.delete_destination(destination.id, neighbour.audit("destination.delete", after(1))).await?
    );
    assert_eq!(world.store.destinations(world.id()).await?, [destination]);
    assert_eq!(world.store.pending_deliveries().await?, 1, "this one counts over all workspaces");
    Ok(())
}
