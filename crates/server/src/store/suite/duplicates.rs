//! A body counts once for an endpoint within the window, an idempotency key once for a workspace within a day.

use agentflow_lead::Submission;

use super::sent::Sent;
use super::world::{DAY, Expect, Outcome, World, after};
use super::{Harness, world};
use crate::directory::sha256;
use crate::id::EndpointId;
use crate::record::InboundStatus;
use crate::store::{Accepted, LeadFilter, Seen, SeenQuery, StoreError};

fn query(world: &World, sent: &Sent, endpoint_id: EndpointId) -> SeenQuery {
    let submission = Submission::parse(&sent.body).ok();
    SeenQuery {
        workspace_id: world.id(),
        endpoint_id,
        email_identity: submission.map(|submission| submission.email.identity().to_owned()),
        body_digest: sha256(&sent.body),
        duplicate_window: sent.window,
        idempotency_key: sent.key.clone(),
        now: sent.at,
    }
}

async fn seen(world: &World, sent: &Sent) -> Result<Seen, StoreError> {
    world.store.seen(query(world, sent, world.endpoint())).await
}

#[track_caller]
fn is_duplicate_of(lead: &crate::record::Lead, accepted: &Accepted) {
    assert!(matches!(accepted, Accepted::Duplicate(id) if *id == lead.id), "{accepted:?}");
}

async fn leads(world: &World) -> Result<usize, StoreError> {
    let filter = LeadFilter::default();
    Ok(world::walk(100, async |page| world.store.leads(world.id(), &filter, page).await).await?.len())
}

pub async fn a_body_within_the_window_is_a_duplicate_of_the_first_lead(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co").window(600);
    assert_eq!(seen(&world, &sent).await?, Seen::No);
    let (lead, _) = world.stored(&sent).await?;

    for seconds in [0, 1, 599] {
        let again = sent.clone().at(after(seconds));
        assert_eq!(seen(&world, &again).await?, Seen::Duplicate(lead.id));
        is_duplicate_of(&lead, &world.send(&again).await?);
    }
    assert_eq!(leads(&world).await?, 1);
    assert_eq!(world.submissions(lead.id).await?.len(), 1);
    Ok(())
}

pub async fn a_body_past_the_window_is_new(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co").window(600);
    let (lead, _) = world.stored(&sent).await?;

    let later = sent.at(after(601));
    assert_eq!(seen(&world, &later).await?, Seen::No);
    let (joined, _) = world.stored(&later).await?;
    assert_eq!((joined.id, joined.version), (lead.id, 2));
    // From here the window is counted anew.
    is_duplicate_of(&lead, &world.send(&later.clone().at(after(1_200))).await?);
    Ok(())
}

pub async fn the_window_is_the_one_asked_with(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&sent).await?;
    let later = sent.at(after(3_000));
    assert_eq!(seen(&world, &later.clone().window(600)).await?, Seen::No);
    assert_eq!(seen(&world, &later.clone().window(3_600)).await?, Seen::Duplicate(lead.id));
    is_duplicate_of(&lead, &world.send(&later.window(3_600)).await?);
    Ok(())
}

pub async fn a_body_is_unique_at_its_endpoint_alone(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&sent).await?;

    let other = world::endpoint(world.id(), after(1));
    assert_eq!(world.store.seen(query(&world, &sent, other.id)).await?, Seen::No);
    let mut accept = world.plan(&sent, Some(&lead));
    accept.submission.endpoint_id = other.id;
    world.store.accept(accept).await?.due();
    assert_eq!(world.submissions(lead.id).await?.len(), 2);
    assert_eq!(world.store.seen(query(&world, &sent, other.id)).await?, Seen::Duplicate(lead.id));
    Ok(())
}

pub async fn a_body_counts_as_duplicate_after_its_lead_was_closed(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&sent).await?;
    world.decide(&lead, true, after(10)).await?.due();
    is_duplicate_of(&lead, &world.send(&sent.at(after(20))).await?);
    Ok(())
}

pub async fn a_duplicate_leaves_a_log_row_with_the_first_lead(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&sent).await?;
    world.send(&sent.at(after(5))).await?;

    let rows = world.log_rows().await?;
    let told: Vec<_> = rows.iter().map(|row| (row.status, row.at, row.lead_id)).collect();
    assert_eq!(
        told,
        [
            (InboundStatus::Duplicate, after(5), Some(lead.id)),
            (InboundStatus::Received, after(0), Some(lead.id)),
        ]
    );
    Ok(())
}

pub async fn a_key_with_the_same_body_is_a_duplicate(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co").window(600).key("order-1");
    let (lead, _) = world.stored(&sent).await?;
    // Past the body's window, within the key's day.
    let again = sent.clone().at(after(DAY - 1));
    assert_eq!(seen(&world, &again).await?, Seen::Duplicate(lead.id));
    is_duplicate_of(&lead, &world.send(&again).await?);
    assert_eq!(seen(&world, &Sent { key: None, ..again }).await?, Seen::No);
    Ok(())
}

pub async fn a_key_with_another_body_is_refused_and_nothing_is_written(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co").key("order-1")).await?;
    let other = Sent::from("alex@stacklane.co").key("order-1").at(after(60));
    assert_eq!(seen(&world, &other).await?, Seen::KeyReused);
    assert!(matches!(world.send(&other).await?, Accepted::KeyReused));

    assert_eq!(leads(&world).await?, 1);
    assert_eq!(world.log_rows().await?.len(), 1);
    assert_eq!(world.submissions(lead.id).await?.len(), 1);
    // The refused body was not remembered: under a key of its own it is new.
    world.send(&other.key("order-2")).await?.due();
    Ok(())
}

pub async fn a_key_is_forgotten_after_a_day(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.stored(&Sent::from("jordan@stacklane.co").key("order-1")).await?;
    let other = Sent::from("alex@stacklane.co").key("order-1");
    assert!(matches!(world.send(&other.clone().at(after(DAY - 1))).await?, Accepted::KeyReused));
    let (lead, _) = world.stored(&other.clone().at(after(DAY + 1))).await?;
    // Its new meaning holds for a day of its own.
    let third = Sent::from("kim@stacklane.co").key("order-1").at(after(2 * DAY));
    assert!(matches!(world.send(&third).await?, Accepted::KeyReused));
    is_duplicate_of(&lead, &world.send(&other.at(after(2 * DAY)).window(600)).await?);
    Ok(())
}

pub async fn a_key_is_unique_in_its_workspace_alone(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    world.stored(&Sent::from("jordan@stacklane.co").key("order-1")).await?;
    neighbour.send(&Sent::from("alex@stacklane.co").key("order-1")).await?.due();
    Ok(())
}

pub async fn keys_differ_by_case(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    world.stored(&Sent::from("jordan@stacklane.co").key("order-a")).await?;
    world.send(&Sent::from("alex@stacklane.co").key("order-A")).await?.due();
    Ok(())
}

pub async fn a_duplicate_records_no_key(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&sent).await?;
    is_duplicate_of(&lead, &world.send(&sent.key("order-1")).await?);

    let other = Sent::from("alex@stacklane.co").key("order-1").at(after(1));
    assert_eq!(seen(&world, &other).await?, Seen::No);
    world.send(&other).await?.due();
    Ok(())
}

pub async fn a_known_body_counts_before_a_reused_key(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let jordan = Sent::from("jordan@stacklane.co");
    let (lead, _) = world.stored(&jordan).await?;
    world.stored(&Sent::from("alex@stacklane.co").key("order-1")).await?;
    let again = jordan.key("order-1").at(after(1));
    assert_eq!(seen(&world, &again).await?, Seen::Duplicate(lead.id));
    is_duplicate_of(&lead, &world.send(&again).await?);
    Ok(())
}

pub async fn a_request_that_must_be_planned_anew_leaves_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    let further = Sent::saying("jordan@stacklane.co", "And a demo, please.").key("order-1").at(after(9));
    assert!(matches!(world.send(&further).await?, Accepted::Rebase(Some(_))));

    assert_eq!(seen(&world, &further).await?, Seen::No);
    assert_eq!(world.log_rows().await?.len(), 1);
    assert_eq!(world.submissions(lead.id).await?.len(), 1);
    assert_eq!(world.seen_lead(&lead).await?.version, 1);
    Ok(())
}
