//! What the crate hands over: the event, and the proof that it is AgentFlow's.

use std::fmt;
use std::sync::Arc;

use agentflow_events::{Event, IdempotencyKey};
use agentflow_signature::{Outbound, Timestamp, Verified, VerifiedBody};
use tokio::time::Instant;

/// An event that AgentFlow sent: typed, and together with the verified bytes that it was read from.
///
/// Only a [`Receiver`](crate::Receiver) makes one, so a function that takes it cannot be handed anything unverified.
/// It can be cloned for the price of a counter. `Debug` shows ids, type and size: the rest is somebody's personal data.
///
/// That it is new is not said: see [`Handler`](crate::Handler).
#[derive(Clone)]
pub struct Received {
    parts: Arc<Parts>,
}

struct Parts {
    event: Event,
    body: VerifiedBody<Outbound>,
    arrived: Instant,
}

impl Received {
    pub(crate) fn new(event: Event, body: VerifiedBody<Outbound>, arrived: Instant) -> Self {
        Self { parts: Arc::new(Parts { event, body, arrived }) }
    }

    /// What happened.
    pub fn event(&self) -> &Event {
        &self.parts.event
    }

    /// The proof, with the bytes as they came over the wire.
    pub fn verified(&self) -> Verified<'_, Outbound> {
        self.parts.body.as_verified()
    }

    /// The bytes as they came over the wire, at most [`body_bytes_max`](crate::Receiver::body_bytes_max).
    pub fn body(&self) -> &[u8] {
        self.verified().body()
    }

    /// When AgentFlow signed this attempt. Whole unix seconds.
    pub fn signed_at(&self) -> Timestamp {
        self.verified().signed_at()
    }

    /// Which secret matched: 0 for the one that the receiver was made with, 1 for the first that was added by
    /// [`or`](crate::Receiver::or). While it is above 0, the sender has yet to change over.
    pub fn secret_index(&self) -> usize {
        self.verified().secret_index()
    }

    /// The deduplication key: lead and event type.
    pub fn key(&self) -> IdempotencyKey {
        IdempotencyKey::of(self.event())
    }

    /// When the request's head was there. The sender's ten seconds have run since.
    pub(crate) fn arrived(&self) -> Instant {
        self.parts.arrived
    }
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self.body()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.event();
        f.debug_struct("Received")
            .field("id", &event.id)
            .field("event_type", &event.event_type)
            .field("lead_id", &event.lead_id)
            .field("body_bytes", &self.body().len())
            .finish_non_exhaustive()
    }
}
