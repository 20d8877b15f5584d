//! Workspaces, credentials, people, settings and the audit log.

use agentflow_events::EventType;

use super::Harness;
use super::sent::Sent;
use super::world::{self, DAY, HOUR, Outcome, START, World, after};
use crate::id::mint;
use crate::record::{
    DestinationChange, DisabledReason, ScoringRules, SealedBytes, SecretDirection, SecretRow, Settings,
};
use crate::store::StoreError;

pub async fn a_founded_workspace_has_all_it_was_founded_with(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (store, founding) = (&world.store, &world.founding);
    assert_eq!(store.workspaces().await?, std::slice::from_ref(&founding.workspace));
    assert_eq!(store.endpoints().await?, std::slice::from_ref(&founding.endpoint));
    let mut secrets = store.secrets(START).await?;
    secrets.sort_by_key(|row| row.direction.as_str());
    assert_eq!(secrets, founding.secrets);
    assert_eq!(store.tokens().await?, std::slice::from_ref(&founding.token));
    assert!(store.operators(world.id()).await? == std::slice::from_ref(&founding.admin));
    assert!(store.operator(founding.admin.id).await?.as_ref() == Some(&founding.admin));
    assert!(store.operator(mint(START)).await?.is_none());
    Ok(())
}

pub async fn a_workspace_is_founded_once_or_not_at_all(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    // A second founding with the first one's endpoint fails as a whole.
    let mut second = world::founding(Settings::default());
    second.endpoint = world.founding.endpoint.clone();
    assert!(world.store.found(second).await.is_err());
    assert_eq!(world.store.workspaces().await?.len(), 1);
    assert_eq!(world.store.secrets(START).await?.len(), 2);
    assert_eq!(world.store.tokens().await?.len(), 1);
    Ok(())
}

pub async fn settings_come_back_as_they_were_put(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let settings = Settings {
        auto_approve_at: None,
        auto_reject_below: Some(0),
        duplicate_window_seconds: u32::MAX,
        retry_schedule_seconds: vec![0, 1, u32::MAX],
        retention_days: Some(30),
        scoring: ScoringRules {
            ideal_customer_keywords: vec!["größe \"XL\"".to_owned(), String::new()],
            preferred_sources: vec!["partner".to_owned()],
            disposable_domains: Vec::new(),
        },
    };
    let audit = world.audit("settings.put", after(1));
    world.store.put_settings(settings.clone(), audit.clone()).await?;
    let workspaces = world.store.workspaces().await?;
    let found =
        |id| workspaces.iter().find(|workspace| workspace.id == id).map(|workspace| &workspace.settings);
    assert_eq!(found(world.id()), Some(&settings));
    assert_eq!(found(neighbour.id()), Some(&Settings::default()));
    assert_eq!(world.store.audit_rows(world.id(), 10).await?, [audit]);
    Ok(())
}

fn fresh(world: &World, direction: SecretDirection, at: u64) -> SecretRow {
    SecretRow {
        id: mint(after(at)),
        workspace_id: world.id(),
        direction,
        secret: SealedBytes(vec![9; 64]),
        created_at: after(at),
        expires_at: None,
    }
}

/// Ids and ends of a workspace's secrets of one direction that are known at `at`, oldest first.
async fn ends(
    world: &World,
    direction: SecretDirection,
    at: u64,
) -> Result<Vec<(SecretRow, Option<u64>)>, StoreError> {
    let mut rows = world.store.secrets(after(at)).await?;
    rows.retain(|row| row.workspace_id == world.id() && row.direction == direction);
    rows.sort_by_key(|row| row.created_at);
    let end = |row: &SecretRow| row.expires_at.map(|end| end.since(START).as_secs());
    Ok(rows.into_iter().map(|row| (row.clone(), end(&row))).collect())
}

pub async fn a_rotated_secret_stays_until_its_overlap_is_over(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let inbound = SecretDirection::Inbound;
    let second = fresh(&world, inbound, 10);
    let audit = world.audit("secret.rotate", after(10));
    world.store.rotate_secret(second.clone(), after(10 + DAY), audit.clone()).await?;
    assert_eq!(world.store.audit_rows(world.id(), 10).await?, [audit]);

    let rows = ends(&world, inbound, 10).await?;
    assert_eq!(
        rows.iter().map(|(row, end)| (row.id, *end)).collect::<Vec<_>>(),
        [(world.founding.secrets[0].id, Some(10 + DAY)), (second.id, None)]
    );
    assert_eq!(rows[1].0, second);
    assert_eq!(ends(&world, inbound, 9 + DAY).await?.len(), 2);
    assert_eq!(ends(&world, inbound, 10 + DAY).await?.len(), 1, "at its end a secret is over");
    assert_eq!(ends(&world, SecretDirection::Outbound, 10 + DAY).await?[0].1, None);
    assert_eq!(ends(&neighbour, inbound, 10 + DAY).await?[0].1, None);
    Ok(())
}

pub async fn earlier_secrets_end_no_later_than_the_one_before_the_present(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let inbound = SecretDirection::Inbound;
    let rotate = async |at, end| {
        let audit = world.audit("secret.rotate", after(at));
        world.store.rotate_secret(fresh(&world, inbound, at), after(end), audit).await
    };
    rotate(10, 10 + HOUR).await?;
    // A longer overlap lengthens nothing that was announced to end earlier.
    rotate(20, 20 + DAY).await?;
    let told = async |at| {
        Ok::<Vec<Option<u64>>, StoreError>(
            ends(&world, inbound, at).await?.iter().map(|(_, end)| *end).collect(),
        )
    };
    assert_eq!(told(20).await?, [Some(10 + HOUR), Some(20 + DAY), None]);
    // A shorter one shortens all: at once, where a secret has leaked.
    rotate(30, 30).await?;
    assert_eq!(told(29).await?, [Some(30), Some(30), Some(30), None]);
    assert_eq!(told(30).await?, [None]);
    Ok(())
}

pub async fn a_rotated_endpoint_is_the_only_live_one(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let fresh = world::endpoint(world.id(), after(5));
    let audit = world.audit("endpoint.rotate", after(5));
    world.store.rotate_endpoint(fresh.clone(), audit.clone()).await?;
    let mut live = world.store.endpoints().await?;
    live.sort_by_key(|endpoint| endpoint.workspace_id != world.id());
    assert_eq!(live, [fresh, neighbour.founding.endpoint.clone()]);
    assert_eq!(world.store.audit_rows(world.id(), 10).await?, [audit]);
    // What came in by the old one is still there.
    let (lead, _) = world.stored(&Sent::from("jordan@stacklane.co")).await?;
    assert_eq!(world.submissions(lead.id).await?[0].endpoint_id, world.endpoint());
    Ok(())
}

pub async fn destinations_come_back_as_they_were_put_oldest_first(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let late = world.destination(EventType::ALL, after(20)).await?;
    let mut early = world.destination(&[EventType::LeadRejected], after(10)).await?;
    assert_eq!(world.store.destinations(world.id()).await?, [early.clone(), late.clone()]);
    early.url = "https://example.com/ü?a=%20&b='\"".to_owned();
    early.event_types = vec![EventType::LeadReviewRequested, EventType::LeadQualified];
    early.enabled = false;
    early.disabled_reason = Some(DisabledReason::Failing);
    early.failing_since = Some(after(15));
    world.put(&early).await?;
    assert_eq!(world.store.destinations(world.id()).await?, [early.clone(), late.clone()]);
    early.enabled = true;
    (early.disabled_reason, early.failing_since) = (None, None);
    world.put(&early).await?;
    assert_eq!(world.store.all_destinations().await?, [early, late]);
    Ok(())
}

pub async fn a_change_of_a_destination_leaves_the_rest_as_it_stands(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let mut known = world.destination(EventType::ALL, START).await?;
    known.enabled = false;
    known.disabled_reason = Some(DisabledReason::Gone);
    known.failing_since = Some(after(5));
    known.max_in_flight = Some(3);
    world.put(&known).await?;

    let url = "https://example.com/elsewhere".to_owned();
    let change = DestinationChange {
        url: Some(url.clone()),
        per_second: Some(Some(7)),
        ..DestinationChange::default()
    };
    let audit = world.audit("destination.change", after(6));
    (known.url, known.per_second) = (url, Some(7));
    let changed = world.store.change_destination(known.id, change.clone(), audit.clone()).await?;
    assert_eq!(changed.as_ref(), Some(&known), "it is still disabled, and for its reason");
    assert_eq!(world.store.audit_rows(world.id(), 1).await?, [audit]);

    let change = DestinationChange {
        event_types: Some(vec![EventType::LeadRejected]),
        enabled: Some(true),
        max_in_flight: Some(None),
        ..DestinationChange::default()
    };
    (known.event_types, known.enabled) = (vec![EventType::LeadRejected], true);
    known.max_in_flight = None;
    (known.disabled_reason, known.failing_since) = (None, None);
    let changed = world.store.change_destination(known.id, change, world.audit("again", after(7))).await?;
    assert_eq!(changed.as_ref(), Some(&known));
    assert_eq!(world.store.destinations(world.id()).await?, [known.clone()]);

    // Neither an unknown one nor another workspace's.
    let change = DestinationChange { enabled: Some(false), ..DestinationChange::default() };
    for (id, audit) in
        [(mint(START), world.audit("unknown", after(8))), (known.id, neighbour.audit("not theirs", after(8)))]
    {
        assert_eq!(world.store.change_destination(id, change.clone(), audit).await?, None);
    }
    assert_eq!(world.store.destinations(world.id()).await?, [known]);
    assert!(neighbour.store.audit_rows(neighbour.id(), 10).await?.is_empty());
    Ok(())
}

pub async fn deleting_an_unknown_destination_says_so_and_leaves_no_audit_row(
    harness: &dyn Harness,
) -> Outcome {
    let world = World::open(harness).await?;
    let destination = world.destination(EventType::ALL, START).await?;
    let audit = world.audit("destination.delete", after(1));
    assert!(world.store.delete_destination(destination.id, audit.clone()).await?);
    assert_eq!(world.store.audit_rows(world.id(), 1).await?, [audit]);
    assert!(!world.store.delete_destination(destination.id, world.audit("again", after(2))).await?);
    assert_eq!(world.store.audit_rows(world.id(), 10).await?.len(), 2);
    Ok(())
}

pub async fn audit_rows_are_told_newest_first_up_to_the_limit(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let mut rows = Vec::new();
    for number in 0..5 {
        let mut row = world.audit("secret.show", after(10 - number));
        row.subject = format!("sec_{number} “inbound”");
        world.store.audit(row.clone()).await?;
        rows.insert(0, row);
    }
    assert_eq!(world.store.audit_rows(world.id(), 100).await?, rows);
    assert_eq!(world.store.audit_rows(world.id(), 2).await?, rows[..2]);
    assert!(world.store.audit_rows(world.id(), 0).await?.is_empty());
    Ok(())
}
