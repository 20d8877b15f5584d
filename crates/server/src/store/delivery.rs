//! The delivery queue. The store is the queue: what a worker holds is a claim on a row.

use std::sync::Arc;

use agentflow_events::{Moment, WorkspaceId};
use async_trait::async_trait;

use super::{DeliveryFilter, StoreError};
use crate::id::{DeliveryId, DestinationId};
use crate::record::{AuditRow, DueDelivery, FinishedAttempt};

/// Which deliveries to send again, or to cancel.
#[derive(Clone, Debug)]
pub enum ResendFilter {
    /// This one, whatever its state.
    One(DeliveryId),
    /// All that match; without a state: the dead ones to send again, the pending ones to cancel.
    Matching(DeliveryFilter),
}

/// What a cancellation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// How many deliveries were, or would be.
    pub count: u64,
    /// Those among them that this process has claimed; attempts that are under way finish and are recorded.
    pub claimed: Vec<DeliveryId>,
}

/// The delivery stage's part of the store.
#[async_trait]
pub trait DeliveryStore: Send + Sync + 'static {
    /// Claims up to `limit` deliveries of a destination that [sends](crate::record::Destination::sends) and that are due,
    /// oldest due first; never one before an earlier event of its lead that nobody has claimed or attempted. A claim holds until the
    /// attempt is finished, the delivery is released, or the process ends; a caller that goes away before the answer
    /// claims nothing. `None`: the destination is disabled, paused or gone, which says nothing of what is due there.
    ///
    /// # Errors
    /// Nothing was claimed.
    async fn claim_due(
        &self,
        destination: DestinationId,
        now: Moment,
        limit: usize,
    ) -> Result<Option<Vec<DueDelivery>>, StoreError>;

    /// Claims, as [`claim_due`](Self::claim_due) does, what came due most recently; answers it in order. Leaves out what would
    /// overtake an earlier event of its lead: one pending there that is due, or that was never attempted.
    ///
    /// # Errors
    /// Nothing was claimed.
    async fn claim_latest(
        &self,
        destination: DestinationId,
        now: Moment,
        limit: usize,
    ) -> Result<Option<Vec<DueDelivery>>, StoreError>;

    /// Gives claims back; the deliveries are due as before.
    fn release(&self, deliveries: &[DeliveryId]);

    /// When the next unclaimed pending delivery of each destination is due, disabled ones included; one that waits for an
    /// earlier event of its lead, which nobody has claimed or attempted, is left out.
    ///
    /// # Errors
    /// The store could not be read.
    async fn next_due(&self) -> Result<Vec<(DestinationId, Moment)>, StoreError>;

    /// Records an attempt and what follows; ends the claim. Updates the destination: a success clears `failing_since`, a
    /// failure sets it, 410 and too long a failure disable it, and half of that time is warned of, with a row of the operational
    /// log each. A failed attempt of a delivery that was superseded meanwhile is its last. Attempts of a delivery that is no longer pending (cancelled
    /// meanwhile) are recorded and change no state. Answers whether the destination was disabled by it. Shared, since it is handed
    /// in again until it is recorded.
    ///
    /// # Errors
    /// Nothing was recorded; the claim stands.
    async fn finish_attempt(&self, finished: Arc<FinishedAttempt>) -> Result<bool, StoreError>;

    /// Makes due now what is due later than its workspace's schedule can have meant: its moment was set by a clock that was
    /// ahead. Answers how many. Called at the start and after the clock was set back; a store without such moments of its
    /// own does nothing.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn mend_due_times(&self, now: Moment) -> Result<u64, StoreError> {
        let _ = now;
        Ok(0)
    }

    /// Makes deliveries due at once with the schedule begun anew, whatever their state (pending ones too), except those
    /// whose destination was deleted. Answers their number. They are not claimed. `audit`: who did it, written in the same
    /// transaction unless there was nothing to send; of a filter, its subject becomes the number. Absent: count only.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn resend(
        &self,
        workspace: WorkspaceId,
        filter: ResendFilter,
        now: Moment,
        audit: Option<AuditRow>,
    ) -> Result<u64, StoreError>;

    /// Cancels pending deliveries, and no others. `audit`: as for [`resend`](Self::resend).
    ///
    /// # Errors
    /// Nothing was changed.
    async fn cancel(
        &self,
        workspace: WorkspaceId,
        filter: ResendFilter,
        audit: Option<AuditRow>,
    ) -> Result<Cancelled, StoreError>;
}
