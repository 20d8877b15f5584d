//! What leaves: events, destinations, deliveries and attempts.

use std::fmt;
use std::time::Duration;

use agentflow_events::{EventId, EventType, LeadId, Moment, WorkspaceId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Exchange;
use crate::id::{DeliveryId, DestinationId, OperationId};

/// One event with the bytes that every destination gets. Its `Debug` leaves the body out.
#[derive(Clone)]
pub struct EventRow {
    /// Id.
    pub id: EventId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// The lead it tells of.
    pub lead_id: LeadId,
    /// Type; unique together with the lead.
    pub event_type: EventType,
    /// When it was made.
    pub at: Moment,
    /// Made once; the same on every attempt.
    pub body: Bytes,
}

impl fmt::Debug for EventRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRow")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}

/// Why the server disabled a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// It answered 410.
    Gone,
    /// Every attempt of 120 hours failed.
    Failing,
}

/// A URL that wants events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Id.
    pub id: DestinationId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// Where to POST; https.
    pub url: String,
    /// The types it subscribes to.
    pub event_types: Vec<EventType>,
    /// Whether it gets events. A disabled destination gets no new ones; what is pending waits.
    pub enabled: bool,
    /// Whether sending rests. A paused destination gets new events all the same; they wait with what is pending.
    pub paused: bool,
    /// Set where the server disabled it, cleared when it is enabled again.
    pub disabled_reason: Option<DisabledReason>,
    /// Events made from here on are sent.
    pub created_at: Moment,
    /// Since when every attempt has failed; absent after a success.
    pub failing_since: Option<Moment>,
    /// Attempts in flight at once, at most; absent: the server's own limit alone.
    pub max_in_flight: Option<u32>,
    /// Attempts a second, at most; absent: no bound.
    pub per_second: Option<u32>,
}

/// What an operator changes of a destination.
#[derive(Clone, Debug, Default)]
pub struct DestinationChange {
    /// Where to POST.
    pub url: Option<String>,
    /// The types it subscribes to.
    pub event_types: Option<Vec<EventType>>,
    /// Whether it gets events.
    pub enabled: Option<bool>,
    /// Whether sending rests.
    pub paused: Option<bool>,
    /// Attempts in flight at once, at most, or no bound.
    pub max_in_flight: Option<Option<u32>>,
    /// Attempts a second, at most, or no bound.
    pub per_second: Option<Option<u32>>,
}

impl Destination {
    /// Whether attempts are made.
    pub fn sends(&self) -> bool {
        self.enabled && !self.paused
    }
}

impl DestinationChange {
    /// Makes the change.
    pub fn apply(self, to: &mut Destination) {
        if let Some(url) = self.url {
            to.url = url;
        }
        if let Some(event_types) = self.event_types {
            to.event_types = event_types;
        }
        if let Some(enabled) = self.enabled {
            to.enabled = enabled;
            if enabled {
                (to.disabled_reason, to.failing_since) = (None, None);
            }
        }
        if let Some(paused) = self.paused {
            if to.paused && !paused {
                // Nobody tried meanwhile: the rest counts for nothing.
                to.failing_since = None;
            }
            to.paused = paused;
        }
        to.max_in_flight = self.max_in_flight.unwrap_or(to.max_in_flight);
        to.per_second = self.per_second.unwrap_or(to.per_second);
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// An attempt is due, now or later.
    Pending,
    /// A 2xx came in time.
    Delivered,
    /// Out of attempts: a dead letter, sent again on request.
    Dead,
    /// An operator cancelled it, or its destination was deleted.
    Cancelled,
    /// What it asks for is done: its lead was decided.
    Superseded,
}

/// Why a delivery ended without having been delivered or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateReason {
    /// Its lead was decided, and the workspace has such review requests dropped.
    LeadDecided,
    /// An operator cancelled it.
    CancelledByOperator,
    /// Its destination was deleted.
    DestinationDeleted,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [DeliveryState; 5] = [
        DeliveryState::Pending,
        DeliveryState::Delivered,
        DeliveryState::Dead,
        DeliveryState::Cancelled,
        DeliveryState::Superseded,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
            DeliveryState::Cancelled => "cancelled",
            DeliveryState::Superseded => "superseded",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One event for one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Id.
    pub id: DeliveryId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// What is sent.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// Its lead.
    pub lead_id: LeadId,
    /// Where to.
    pub destination_id: DestinationId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it is cancelled or superseded, or will be when the attempt that is under way is over.
    pub state_reason: Option<StateReason>,
    /// When the next attempt is due; absent unless pending.
    pub next_attempt_at: Option<Moment>,
    /// When the delivery was made.
    pub created_at: Moment,
    /// Finished attempts, oldest first; in lists the last one alone.
    pub attempts: Vec<Attempt>,
}

/// One finished try at a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1; goes on over resends.
    pub number: u32,
    /// When it began.
    pub at: Moment,
    /// The response's status code; absent where none came.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// Why it failed: a stable code and a sentence; absent on success.
    pub error: Option<String>,
    /// The first bytes of the response body, at most 4 KiB, lossily as text.
    pub response_head: Option<String>,
    /// How it went on the wire.
    pub exchange: Exchange,
}

/// What a worker needs to make one attempt: the delivery is claimed by this process until it is finished or released.
#[derive(Clone)]
pub struct DueDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// Where to.
    pub destination_id: DestinationId,
    /// What is sent.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// Its lead: events of one lead go to one destination in order.
    pub lead_id: LeadId,
    /// The bytes.
    pub body: Bytes,
    /// The number that the next attempt has, from 1 over the delivery's whole life.
    pub attempt_number: u32,
    /// Attempts made since the schedule began (0 for the first, and again after a resend).
    pub schedule_step: u32,
    /// When this attempt was due.
    pub due_at: Moment,
}

impl fmt::Debug for DueDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DueDelivery")
            .field("id", &self.id)
            .field("destination_id", &self.destination_id)
            .field("attempt_number", &self.attempt_number)
            .finish_non_exhaustive()
    }
}

/// What follows from a finished attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Delivered.
    Delivered,
    /// Failed; the next attempt is due then.
    RetryAt(Moment),
    /// Failed, and no attempt is left.
    Dead,
    /// The destination answered 410: this delivery is a dead letter and the destination is disabled.
    Gone,
}

/// An attempt to be recorded, and what follows.
#[derive(Clone, Debug)]
pub struct FinishedAttempt {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// Where it went.
    pub destination_id: DestinationId,
    /// The attempt.
    pub attempt: Attempt,
    /// What follows.
    pub outcome: AttemptOutcome,
    /// A destination that has been failing for this long without one success is disabled with this attempt.
    pub disable_after: Duration,
}

/// What a row of the operational log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Half of the time has passed after which the destination will be disabled.
    DestinationFailing,
    /// The server disabled it.
    DestinationDisabled,
    /// What the server had disabled gets events again.
    DestinationEnabled,
    /// An operator paused it.
    DestinationPaused,
    /// An operator resumed it.
    DestinationResumed,
}

/// What became of the workspace's destinations, told to those who run them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRow {
    /// Id.
    pub id: OperationId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// When.
    pub at: Moment,
    /// What.
    pub kind: OperationKind,
    /// The destination.
    pub destination_id: DestinationId,
    /// One or two sentences for people, without anything secret.
    pub message: String,
}
