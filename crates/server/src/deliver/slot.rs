//! An attempt's place among those in flight, given back once, however the attempt ends.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use agentflow_events::{LeadId, Moment};
use futures_util::FutureExt;

use super::schedule::{DISABLE_AFTER, after_failure};
use crate::id::{self, DestinationId};
use crate::record::{Attempt, DueDelivery, FinishedAttempt};

/// What the scheduler has to be told once when an attempt is over.
pub(super) struct Slot {
    pub(super) destination: DestinationId,
    pub(super) lead: LeadId,
    is_free: AtomicBool,
}

impl Slot {
    /// The place of this delivery's attempt.
    pub(super) fn of(delivery: &DueDelivery) -> Self {
        Self { destination: delivery.destination_id, lead: delivery.lead_id, is_free: AtomicBool::new(false) }
    }

    /// Gives it back. False: that was done before.
    pub(super) fn free(&self) -> bool {
        !self.is_free.swap(true, Ordering::AcqRel)
    }
}

/// Runs to the end, or to a panic, which the runtime's log has; `None` then. A panic must not leave the scheduler waiting
/// for an answer that never comes.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// What is recorded of an attempt that panicked.
pub(super) fn panicked(
    delivery: &DueDelivery,
    schedule: &[u32],
    at: Moment,
    ended: Moment,
) -> FinishedAttempt {
    let random = u32::from_ne_bytes(id::random());
    FinishedAttempt {
        delivery_id: delivery.id,
        workspace_id: delivery.workspace_id,
        destination_id: delivery.destination_id,
        attempt: Attempt {
            number: delivery.attempt_number,
            at,
            status: None,
            duration_ms: u32::try_from(ended.since(at).as_millis()).unwrap_or(u32::MAX),
            error: Some("internal_error: The attempt broke off by a fault of the server.".to_owned()),
            response_head: None,
        },
        outcome: after_failure(schedule, delivery.schedule_step, None, None, random, ended),
        disable_after: DISABLE_AFTER,
    }
}
