//! A workspace's destinations: what the API and the dashboard manage them with.

use std::sync::Arc;

use agentflow_events::{
    Action, Confidence, DecidedBy, Decision, Dimensions, Event, EventData, EventRef, EventType, Fields,
    LeadSnapshot, Moment, Outcome, Qualification, Score, Timestamps, WorkspaceId,
};
use serde::Serialize;

use crate::announce;
use crate::clock::Clock;
use crate::deliver::{Deliver, TargetError};
use crate::id::{DestinationId, mint};
use crate::record::{Actor, Attempt, AuditRow, Change, Destination, DestinationChange, EventRow};
use crate::store::{Store, StoreError};

/// Manages destinations. Every change has its audit row and is told to delivery.
pub struct Destinations {
    store: Arc<dyn Store>,
    deliver: Arc<Deliver>,
    clock: Clock,
    /// Changes read, then write: one at a time.
    changing: tokio::sync::Mutex<()>,
}

/// Why a URL cannot be a destination's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// More than [`Destinations::URL_BYTES_MAX`].
    #[error("must have {} bytes at most", Destinations::URL_BYTES_MAX)]
    TooLong,
    /// The rule that it breaks.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Why a destination was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// The workspace has none with this id.
    #[error("there is no such destination")]
    NotFound,
    /// So many there may be.
    #[error("a workspace has {} destinations at most; delete one first", Destinations::MAX)]
    TooMany,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a test.
pub struct Tested {
    /// The sample that was sent; nothing of it is stored.
    pub event: EventRow,
    /// The one attempt.
    pub attempt: Attempt,
    /// Whether the destination gets events now.
    pub enabled: bool,
}

impl Destinations {
    /// Destinations of a workspace, at most.
    pub const MAX: usize = 1_000;
    /// Bytes of a URL.
    pub const URL_BYTES_MAX: usize = 2_048;

    /// Over a store, and delivery to tell of changes.
    pub fn new(store: Arc<dyn Store>, deliver: Arc<Deliver>, clock: Clock) -> Self {
        Self { store, deliver, clock, changing: tokio::sync::Mutex::default() }
    }

    /// Judges a URL, and the addresses of its host where they are known within a second.
    ///
    /// # Errors
    /// [`UrlFault`].
    pub async fn check_url(&self, url: &str) -> Result<(), UrlFault> {
        if url.len() > Self::URL_BYTES_MAX {
            return Err(UrlFault::TooLong);
        }
        Ok(self.deliver.check_url(url).await?)
    }

    /// A workspace's destinations, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all(&self, workspace: WorkspaceId) -> Result<Vec<Destination>, StoreError> {
        self.store.destinations(workspace).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`DestinationError::NotFound`], or the store.
    pub async fn one(
        &self,
        workspace: WorkspaceId,
        id: DestinationId,
    ) -> Result<Destination, DestinationError> {
        let all = self.all(workspace).await?;
        all.into_iter().find(|found| found.id == id).ok_or(DestinationError::NotFound)
    }

    /// Makes a destination; `make` gets its id and the moment. Its URL was [checked](Self::check_url).
    ///
    /// # Errors
    /// [`DestinationError`].
    pub async fn create(
        &self,
        actor: Actor,
        make: impl FnOnce(DestinationId, Moment) -> Destination,
    ) -> Result<Destination, DestinationError> {
        let _one_at_a_time = self.changing.lock().await;
        if self.all(actor.workspace_id).await?.len() >= Self::MAX {
            return Err(DestinationError::TooMany);
        }
        let now = self.clock.now();
        let destination = make(mint(now), now);
        let audit = AuditRow::new(actor, now, "destination.create", destination.id);
        self.store.put_destination(destination.clone(), audit).await?;
        self.deliver.wake();
        Ok(destination)
    }

    /// Changes what `change` names; `action` is told in the audit log.
    ///
    /// # Errors
    /// [`DestinationError::NotFound`], or the store.
    pub async fn change(
        &self,
        actor: Actor,
        id: DestinationId,
        change: DestinationChange,
        action: &str,
    ) -> Result<Destination, DestinationError> {
        let before = self.one(actor.workspace_id, id).await?;
        let mut after = before.clone();
        change.clone().apply(&mut after);
        let changes = Change::between(&Told::of(&before), &Told::of(&after));
        let audit = AuditRow::new(actor, self.clock.now(), action, id).changing(changes);
        let changed = self.store.change_destination(id, change, audit).await?;
        self.deliver.wake();
        changed.ok_or(DestinationError::NotFound)
    }

    /// Deletes a destination; its pending deliveries are cancelled.
    ///
    /// # Errors
    /// [`DestinationError::NotFound`], or the store.
    pub async fn delete(&self, actor: Actor, id: DestinationId) -> Result<(), DestinationError> {
        let audit = AuditRow::new(actor, self.clock.now(), "destination.delete", id);
        if !self.store.delete_destination(id, audit).await? {
            return Err(DestinationError::NotFound);
        }
        self.deliver.wake();
        Ok(())
    }

    /// Sends a sample event at once. A destination that the server had disabled is enabled again by a sample that is
    /// delivered; what an operator disabled stays so.
    ///
    /// # Errors
    /// [`DestinationError::NotFound`], or the store.
    pub async fn test(&self, actor: Actor, id: DestinationId) -> Result<Tested, DestinationError> {
        let tested = self.one(actor.workspace_id, id).await?;
        let event_type = tested.event_types.first().copied().unwrap_or(EventType::LeadQualified);
        let sample = sample(event_type, actor.workspace_id, self.clock.now());
        let event = announce::row(&EventRef::from(&sample));
        let attempt = self.deliver.send_test(&tested, event.clone()).await;
        let enabled = if attempt.error.is_none() {
            self.enable_after_test(actor, &tested).await?
        } else {
            tested.enabled
        };
        Ok(Tested { event, attempt, enabled })
    }

    async fn enable_after_test(&self, actor: Actor, tested: &Destination) -> Result<bool, DestinationError> {
        let _one_at_a_time = self.changing.lock().await;
        let present = self.one(actor.workspace_id, tested.id).await?;
        if present.enabled || present.disabled_reason.is_none() || present.url != tested.url {
            return Ok(present.enabled);
        }
        let change = DestinationChange { enabled: Some(true), ..DestinationChange::default() };
        Ok(self.change(actor, tested.id, change, "destination.enable_by_test").await?.enabled)
    }
}

/// What the audit log tells of a destination.
#[derive(Serialize)]
struct Told<'a> {
    url: &'a str,
    event_types: &'a [EventType],
    enabled: bool,
    paused: bool,
    max_in_flight: Option<u32>,
    per_second: Option<u32>,
}

impl<'a> Told<'a> {
    fn of(destination: &'a Destination) -> Self {
        let Destination { url, event_types, enabled, paused, max_in_flight, per_second, .. } = destination;
        Self {
            url,
            event_types,
            enabled: *enabled,
            paused: *paused,
            max_in_flight: *max_in_flight,
            per_second: *per_second,
        }
    }
}

/// An event like a real one, with fresh ids and marked as a test.
fn sample(event_type: EventType, workspace_id: WorkspaceId, now: Moment) -> Event {
    let (outcome, by, decided_at) = match event_type {
        EventType::LeadRejected => (Outcome::Rejected, DecidedBy::Auto, Some(now)),
        EventType::LeadReviewRequested => (Outcome::ReviewRequested, DecidedBy::Auto, None),
        _ => (Outcome::Approved, DecidedBy::Auto, Some(now)),
    };
    Event {
        id: mint(now),
        event_type,
        timestamp: now,
        workspace_id,
        lead_id: mint(now),
        test: true,
        data: EventData {
            lead: LeadSnapshot {
                name: "Sample Lead".to_owned(),
                email: "sample.lead@example.com".to_owned(),
                company: Some("Example".to_owned()),
                message: Some("This is a test event; it is about nobody.".to_owned()),
                source: Some("destination_test".to_owned()),
                submitted_at: None,
                fields: Fields::empty(),
                previous_lead_id: None,
            },
            qualification: Qualification {
                score: Score::clamped(50),
                confidence: Confidence::Low,
                summary: "A sample qualification.".to_owned(),
                recommended_action: Action::Review,
                dimensions: Dimensions {
                    company_fit: Score::clamped(50),
                    intent_strength: Score::clamped(50),
                    budget_signal: Score::clamped(50),
                    timeline: Score::clamped(50),
                },
                scored_by: "sample".to_owned(),
            },
            decision: Decision { outcome, by, operator_id: None, note: None },
            timestamps: Timestamps { received_at: now, scored_at: now, decided_at },
        },
    }
}
