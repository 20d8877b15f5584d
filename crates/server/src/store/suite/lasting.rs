//! What lasts beyond the process, and what a closed store answers.

use agentflow_events::EventType;

use super::Harness;
use super::attempts::{attempt, finish};
use super::same::{assert_same_due, assert_same_event, assert_same_lead};
use super::sent::Sent;
use super::world::{Expect, Outcome, START, World, after, founding};
use crate::id::mint;
use crate::reason::Reason;
use crate::record::{AttemptOutcome, DestinationChange, InboundLogRow, InboundStatus, Settings};
use crate::store::{
    Accepted, DeliveryFilter, InboundLogFilter, LeadFilter, PageRequest, ResendFilter, Seen, SeenQuery,
    StoreError,
};

pub async fn everything_is_there_after_a_restart(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let settings = Settings { retention_days: Some(7), ..Settings::default() };
    world.set(settings.clone()).await?;
    let sent = Sent::from("jordan@stacklane.co").key("order-1");
    let (lead, due) = world.stored(&sent).await?;
    finish(&world, &due[0], after(1), AttemptOutcome::RetryAt(after(30))).await?;
    let event = world.store.event(world.id(), due[0].event_id).await?.expect("the event is there");
    let (failing, audit) =
        (world.seen_destination(&destination).await?, world.store.audit_rows(world.id(), 10).await?);
    let (submissions, logs) = (world.submissions(lead.id).await?, world.log_rows().await?);

    let world = world.reopened(harness).await;
    let store = &world.store;
    assert_same_lead(&world.seen_lead(&lead).await?, &lead);
    assert_same_event(&store.event(world.id(), event.id).await?.expect("the event is there"), &event);
    let found = world.seen_delivery(&due[0]).await?;
    assert_eq!(found.attempts, [attempt(&due[0], after(1), &AttemptOutcome::RetryAt(after(30)))]);
    assert_eq!(found.next_attempt_at, Some(after(30)));
    assert_eq!(store.all_destinations().await?, [failing]);
    assert_eq!(store.audit_rows(world.id(), 10).await?, audit);
    assert_eq!(world.log_rows().await?, logs);
    let again = store.submissions(world.id(), lead.id, usize::MAX).await?.newest;
    assert_eq!((again[0].id, &again[0].body), (submissions[0].id, &submissions[0].body));
    assert_eq!(store.workspaces().await?[0].settings, settings);
    assert_eq!(store.endpoints().await?, std::slice::from_ref(&world.founding.endpoint));
    assert_eq!(store.tokens().await?, std::slice::from_ref(&world.founding.token));
    assert_eq!(store.secrets(START).await?.len(), 2);
    assert!(store.operators(world.id()).await? == std::slice::from_ref(&world.founding.admin));

    assert!(matches!(world.send(&sent.at(after(2))).await?, Accepted::Duplicate(id) if id == lead.id));
    let other = Sent::from("alex@stacklane.co").key("order-1");
    assert!(matches!(world.send(&other).await?, Accepted::KeyReused));
    let further = Sent::saying("jordan@stacklane.co", "A demo?").at(after(3));
    assert_eq!(world.stored(&further).await?.0.version, 2);
    Ok(())
}

pub async fn claims_end_with_the_process(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (_, due) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    assert!(world.store.next_due().await?.is_empty());

    let world = world.reopened(harness).await;
    assert_eq!(world.store.next_due().await?, [(destination.id, START)]);
    let again = world.claim(destination.id, START, 10).await?;
    assert_eq!(again.len(), 1);
    assert_same_due(&again[0], &due[0]);
    Ok(())
}

pub async fn lists_go_on_where_they_were_after_a_restart(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let mut made = Vec::new();
    for number in 0..5 {
        made.insert(0, world.stored(&Sent::from(&format!("person{number}@stacklane.co"))).await?.0.id);
    }
    let filter = LeadFilter::default();
    let first = world.store.leads(world.id(), &filter, PageRequest { cursor: None, limit: 2 }).await?;
    let world = world.reopened(harness).await;
    world.stored(&Sent::from("late@stacklane.co")).await?;
    let rest =
        world.store.leads(world.id(), &filter, PageRequest { cursor: first.next_cursor, limit: 10 }).await?;
    assert_eq!(first.items.iter().chain(&rest.items).map(|lead| lead.id).collect::<Vec<_>>(), made);
    Ok(())
}

pub async fn log_rows_handed_over_before_the_close_are_kept(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.store.log(refusal(&world));
    let world = world.reopened(harness).await;
    assert_eq!(world.log_rows().await?.len(), 1);
    Ok(())
}

fn refusal(world: &World) -> InboundLogRow {
    InboundLogRow {
        id: mint(START),
        workspace_id: world.id(),
        at: START,
        status: InboundStatus::Rejected(Reason::StaleTimestamp),
        remote_addr: [203, 0, 113, 9].into(),
        body_bytes: 2,
        lead_id: None,
        finding: None,
    }
}

pub async fn a_store_in_order_is_writable_and_leaves_no_trace_of_the_trial(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    for _ in 0..3 {
        world.store.check_writable().await?;
    }
    assert_eq!(world.store.workspaces().await?.len(), 1);
    assert!(world.log_rows().await?.is_empty());
    Ok(())
}

#[track_caller]
fn stopped<T>(answer: Result<T, StoreError>) {
    match answer {
        Err(StoreError::Stopped(_)) => {}
        Err(other) => panic!("expected that the store has stopped: {other}"),
        Ok(_) => panic!("a closed store did something"),
    }
}

pub async fn a_closed_store_refuses_every_call(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (lead, due) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let (store, id, audit) = (&world.store, world.id(), world.audit("late", after(1)));
    store.close().await;
    store.close().await;

    stopped(store.check_writable().await);
    stopped(world.send(&Sent::from("alex@stacklane.co")).await);
    stopped(world.decide(&lead, true, after(1)).await);
    let query = SeenQuery {
        workspace_id: id,
        endpoint_id: world.endpoint(),
        email_identity: Some("jordan@stacklane.co".to_owned()),
        body_digest: [0; 32],
        duplicate_window: std::time::Duration::from_secs(600),
        idempotency_key: None,
        now: START,
    };
    stopped::<Seen>(store.seen(query).await);
    stopped(store.claim_due(destination.id, START, 1).await);
    stopped(store.next_due().await);
    stopped(finish(&world, &due[0], after(1), AttemptOutcome::Delivered).await);
    stopped(store.resend(id, ResendFilter::One(due[0].id), START, Some(audit.clone())).await);
    let page = PageRequest { cursor: None, limit: 1 };
    stopped(store.leads(id, &LeadFilter::default(), page).await);
    stopped(store.lead(id, lead.id).await);
    stopped(store.submissions(id, lead.id, 0).await);
    stopped(store.lead_events(id, lead.id).await);
    stopped(store.inbound_log(id, &InboundLogFilter::default(), page).await);
    stopped(store.events(id, page).await);
    stopped(store.event(id, due[0].event_id).await);
    stopped(store.deliveries(id, &DeliveryFilter::default(), page).await);
    stopped(store.delivery(id, due[0].id).await);
    stopped(store.pending_deliveries().await);
    stopped(store.found(founding(Settings::default())).await);
    stopped(store.workspaces().await);
    stopped(store.endpoints().await);
    stopped(store.secrets(START).await);
    stopped(store.tokens().await);
    stopped(store.operators(id).await);
    stopped(store.operator(world.founding.admin.id).await);
    stopped(store.put_settings(Settings::default(), audit.clone()).await);
    stopped(store.rotate_secret(world.founding.secrets[0].clone(), START, audit.clone()).await);
    stopped(store.rotate_endpoint(world.founding.endpoint.clone(), audit.clone()).await);
    stopped(store.destinations(id).await);
    stopped(store.all_destinations().await);
    stopped(store.put_destination(destination.clone(), audit.clone()).await);
    stopped(store.change_destination(destination.id, DestinationChange::default(), audit.clone()).await);
    stopped(store.delete_destination(destination.id, audit.clone()).await);
    stopped(store.audit(audit).await);
    stopped(store.audit_rows(id, 1).await);
    stopped(store.upkeep(START, std::time::Duration::ZERO).await);
    // These have nothing to answer and must not hang or panic.
    store.release(&[due[0].id]);
    store.log(refusal(&world));
    Ok(())
}

pub async fn writes_that_wait_when_the_store_is_closed_are_stored_or_refused(
    harness: &dyn Harness,
) -> Outcome {
    let world = std::sync::Arc::new(World::open(harness).await?);
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let world = std::sync::Arc::clone(&world);
            let sent = Sent::from(&format!("person{number}@stacklane.co"));
            tokio::spawn(async move { world.send(&sent).await })
        })
        .collect();
    world.store.close().await;
    let mut stored = 0;
    for task in tasks {
        match task.await.expect("the task ends") {
            Ok(accepted) => {
                accepted.due();
                stored += 1;
            }
            Err(StoreError::Stopped(_)) => {}
            Err(other) => panic!("expected that the store has stopped: {other}"),
        }
    }
    let world = std::sync::Arc::into_inner(world).expect("the tasks have ended").reopened(harness).await;
    let filter = LeadFilter::default();
    let leads =
        super::world::walk(100, async |page| world.store.leads(world.id(), &filter, page).await).await?;
    assert_eq!(leads.len(), stored, "what was acknowledged is there, and nothing else");
    Ok(())
}
