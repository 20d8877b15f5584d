//! Forgetting: what is past its time goes, in bounded steps, and nothing else.

use std::time::Duration;

use agentflow_events::{EventType, Moment};

use super::Harness;
use super::attempts::finish;
use super::same::assert_same_lead;
use super::sent::Sent;
use super::world::{DAY, Expect, HOUR, Outcome, START, World, after, walk};
use crate::id::mint;
use crate::reason::Reason;
use crate::record::{
    AttemptOutcome, InboundLogRow, InboundStatus, SealedBytes, SecretDirection, SecretRow, Settings,
};
use crate::store::{Accepted, LeadFilter, StoreError};

/// How long refusals are kept by these cases.
const REJECTED_KEPT: Duration = Duration::from_secs(7 * DAY);

/// Steps until nothing is left to do; answers how many said that more is left.
async fn tidy(world: &World, now: Moment) -> Result<usize, StoreError> {
    for step in 0..1_000 {
        if !world.store.upkeep(now, REJECTED_KEPT).await? {
            return Ok(step);
        }
    }
    panic!("upkeep comes to an end");
}

async fn leads(world: &World) -> Result<usize, StoreError> {
    let filter = LeadFilter::default();
    Ok(walk(100, async |page| world.store.leads(world.id(), &filter, page).await).await?.len())
}

fn keeping(days: u32) -> Settings {
    Settings { retention_days: Some(days), ..Settings::default() }
}

pub async fn upkeep_of_a_fresh_store_has_nothing_to_do(harness: &dyn Harness) -> Outcome {
    let world = harness.open().await;
    assert!(!world.upkeep(START, REJECTED_KEPT).await?);
    Ok(())
}

pub async fn upkeep_forgets_no_body_and_no_key_before_its_time(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co").key("order-1");
    world.stored(&sent).await?;
    tidy(&world, after(DAY - 1)).await?;
    let again = sent.at(after(DAY - 1));
    assert!(matches!(world.send(&again).await?, Accepted::Duplicate(_)));
    let other = Sent::from("alex@stacklane.co").key("order-1").at(after(DAY - 1));
    assert!(matches!(world.send(&other).await?, Accepted::KeyReused));
    Ok(())
}

pub async fn upkeep_forgets_bodies_and_keys_but_not_their_leads(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co").key("order-1");
    let (lead, _) = world.stored(&sent).await?;
    tidy(&world, after(3 * DAY)).await?;
    assert_same_lead(&world.seen_lead(&lead).await?, &lead);
    assert_eq!(world.submissions(lead.id).await?.len(), 1);
    assert_eq!(world.store.lead_events(world.id(), lead.id).await?.len(), 1);
    // Asked with a window that would reach back so far, the body is unknown: it was forgotten.
    let again = Sent { key: None, ..sent.at(after(3 * DAY)).window(30 * DAY) };
    assert!(matches!(world.send(&again).await?, Accepted::Rebase(Some(_))));
    Ok(())
}

pub async fn upkeep_keeps_a_body_that_came_again_after_its_window(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    world.stored(&sent).await?;
    world.stored(&sent.clone().at(after(2 * DAY))).await?;
    tidy(&world, after(2 * DAY + HOUR)).await?;
    assert!(matches!(world.send(&sent.at(after(3 * DAY - 1))).await?, Accepted::Duplicate(_)));
    Ok(())
}

pub async fn upkeep_follows_each_workspaces_own_window(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    world.set(Settings { duplicate_window_seconds: 600, ..Settings::default() }).await?;
    let sent = Sent::from("jordan@stacklane.co");
    neighbour.stored(&sent).await?;
    world.stored(&sent).await?;
    tidy(&world, after(HOUR)).await?;
    let again = sent.at(after(HOUR));
    assert!(matches!(neighbour.send(&again).await?, Accepted::Duplicate(_)));
    assert!(matches!(world.send(&again).await?, Accepted::Rebase(Some(_))));
    Ok(())
}

pub async fn upkeep_forgets_secrets_past_their_end(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let secret = SecretRow {
        id: mint(after(1)),
        workspace_id: world.id(),
        direction: SecretDirection::Inbound,
        secret: SealedBytes(vec![9; 64]),
        created_at: after(1),
        active_from: after(1),
        uses: 0,
        last_used_at: None,
        expires_at: None,
    };
    world.store.rotate_secret(secret, after(DAY), world.audit("secret.rotate", after(1))).await?;
    tidy(&world, after(DAY - 1)).await?;
    assert_eq!(world.store.secrets(after(1)).await?.len(), 3);
    tidy(&world, after(DAY)).await?;
    // Asked for the time before its end it is gone as well: it was deleted, not only passed over.
    assert_eq!(world.store.secrets(after(1)).await?.len(), 2);
    Ok(())
}

pub async fn upkeep_forgets_old_refusals_and_no_other_log_row(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let sent = Sent::from("jordan@stacklane.co");
    world.stored(&sent).await?;
    world.send(&sent.at(after(1))).await?;
    let refuse = async |at| {
        world.store.log(InboundLogRow {
            id: mint(after(at)),
            workspace_id: world.id(),
            at: after(at),
            status: InboundStatus::Rejected(Reason::InvalidSignature),
            remote_addr: [203, 0, 113, 9].into(),
            body_bytes: 2,
            lead_id: None,
            finding: None,
        });
        world.store.check_writable().await
    };
    refuse(2).await?;
    refuse(2 * DAY).await?;
    tidy(&world, after(7 * DAY)).await?;
    assert_eq!(world.log_rows().await?.len(), 4);
    tidy(&world, after(8 * DAY)).await?;
    let left: Vec<_> = world.log_rows().await?.iter().map(|row| (row.status.as_str(), row.at)).collect();
    assert_eq!(left, [("rejected", after(2 * DAY)), ("duplicate", after(1)), ("received", START)]);
    Ok(())
}

pub async fn retention_deletes_closed_leads_past_it_with_all_that_is_theirs(
    harness: &dyn Harness,
) -> Outcome {
    let world = World::with(harness, keeping(30)).await?;
    world.destination(EventType::ALL, START).await?;
    let (old, due) = world.stored(&Sent::from("old@stacklane.co").approved()).await?;
    finish(&world, &due[0], after(1), AttemptOutcome::Delivered).await?;
    let (dead, due_dead) = world.stored(&Sent::from("dead@stacklane.co").rejected()).await?;
    finish(&world, &due_dead[0], after(1), AttemptOutcome::Dead).await?;
    let (open, _) = world.stored(&Sent::from("open@stacklane.co")).await?;
    let (young, due_young) =
        world.stored(&Sent::from("young@stacklane.co").approved().at(after(DAY))).await?;
    finish(&world, &due_young[0], after(DAY), AttemptOutcome::Delivered).await?;

    tidy(&world, after(30 * DAY - 1)).await?;
    assert_eq!(leads(&world).await?, 4);
    tidy(&world, after(30 * DAY + 1)).await?;
    for gone in [&old, &dead] {
        assert!(world.store.lead(world.id(), gone.id).await?.is_none());
        assert!(world.submissions(gone.id).await?.is_empty());
        assert!(world.store.lead_events(world.id(), gone.id).await?.is_empty());
    }
    assert!(world.store.event(world.id(), due[0].event_id).await?.is_none());
    assert!(world.store.delivery(world.id(), due[0].id).await?.is_none());
    for kept in [&open, &young] {
        assert_same_lead(&world.seen_lead(kept).await?, kept);
        assert_eq!(world.submissions(kept.id).await?.len(), 1);
        assert_eq!(world.store.lead_events(world.id(), kept.id).await?.len(), 1);
    }
    assert_eq!(world.all_deliveries().await?.len(), 2);
    // The person may come back, as a new one.
    let (back, _) = world.stored(&Sent::from("old@stacklane.co").at(after(31 * DAY))).await?;
    assert_eq!(back.previous_lead_id, None);
    Ok(())
}

pub async fn retention_counts_from_the_decision(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, keeping(30)).await?;
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    world.decide(&lead, true, after(20 * DAY)).await?.due();
    tidy(&world, after(40 * DAY)).await?;
    assert_eq!(leads(&world).await?, 1);
    tidy(&world, after(50 * DAY + 1)).await?;
    assert_eq!(leads(&world).await?, 0);
    Ok(())
}

pub async fn retention_waits_for_deliveries_that_are_under_way(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, keeping(1)).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (lead, due) = world.stored(&Sent::from("jordan@stacklane.co").approved()).await?;
    tidy(&world, after(9 * DAY)).await?;
    assert_same_lead(&world.seen_lead(&lead).await?, &lead);
    finish(&world, &due[0], after(9 * DAY), AttemptOutcome::RetryAt(after(10 * DAY))).await?;
    tidy(&world, after(10 * DAY)).await?;
    let again = world.claim(destination.id, after(10 * DAY), 10).await?;
    finish(&world, &again[0], after(10 * DAY), AttemptOutcome::Delivered).await?;
    tidy(&world, after(10 * DAY)).await?;
    assert!(world.store.lead(world.id(), lead.id).await?.is_none());
    Ok(())
}

pub async fn without_a_retention_everything_is_kept(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    neighbour.set(keeping(1)).await?;
    world.stored(&Sent::from("jordan@stacklane.co").approved()).await?;
    neighbour.stored(&Sent::from("jordan@stacklane.co").approved()).await?;
    tidy(&world, after(4_000 * DAY)).await?;
    assert_eq!((leads(&world).await?, leads(&neighbour).await?), (1, 0));
    Ok(())
}

pub async fn bodies_that_come_after_a_clearance_are_forgotten_as_well(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, keeping(1)).await?;
    for number in 0..3 {
        world.stored(&Sent::from(&format!("person{number}@stacklane.co")).approved()).await?;
    }
    tidy(&world, after(2 * DAY)).await?;
    assert_eq!(leads(&world).await?, 0);

    let sent = Sent::from("jordan@stacklane.co").at(after(2 * DAY));
    let (lead, _) = world.stored(&sent).await?;
    tidy(&world, after(4 * DAY)).await?;
    let again = sent.at(after(4 * DAY)).window(30 * DAY);
    assert!(matches!(world.send(&again).await?, Accepted::Rebase(Some(found)) if found.id == lead.id));
    Ok(())
}

pub async fn an_attempt_for_a_lead_that_was_deleted_is_no_error(harness: &dyn Harness) -> Outcome {
    let world = World::with(harness, keeping(1)).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let (lead, due) = world.stored(&Sent::from("jordan@stacklane.co").approved()).await?;
    // The destination is deleted while an attempt is under way: nothing is pending any more.
    world.store.delete_destination(destination.id, world.audit("destination.delete", after(1))).await?;
    tidy(&world, after(9 * DAY)).await?;
    assert!(world.store.lead(world.id(), lead.id).await?.is_none());
    assert!(!finish(&world, &due[0], after(9 * DAY), AttemptOutcome::Delivered).await?);
    Ok(())
}

pub async fn a_long_backlog_is_done_in_several_steps(harness: &dyn Harness) -> Outcome {
    let world = std::sync::Arc::new(World::with(harness, keeping(1)).await?);
    let tasks: Vec<_> = (0..1_200)
        .map(|number| {
            let world = std::sync::Arc::clone(&world);
            let sent = Sent::from(&format!("person{number}@stacklane.co"))
                .approved()
                .key(&format!("order-{number}"));
            tokio::spawn(async move { world.stored(&sent).await.map(|_| ()) })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task ends")?;
    }
    assert!(tidy(&world, after(9 * DAY)).await? > 0, "so much is more than one step");
    assert_eq!(leads(&world).await?, 0);
    assert_eq!(tidy(&world, after(9 * DAY)).await?, 0);
    Ok(())
}
