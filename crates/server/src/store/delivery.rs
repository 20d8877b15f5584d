//! The delivery queue. The store is the queue: what a worker holds is a claim on a row.

use agentflow_events::{Moment, WorkspaceId};
use async_trait::async_trait;

use super::{DeliveryFilter, StoreError};
use crate::id::{DeliveryId, DestinationId};
use crate::record::{AuditRow, DueDelivery, FinishedAttempt};

/// Which deliveries to send again.
#[derive(Clone, Debug)]
pub enum ResendFilter {
    /// This one, whatever its state.
    One(DeliveryId),
    /// All that match; without a state: the dead ones.
    Matching(DeliveryFilter),
}

/// The delivery stage's part of the store.
#[async_trait]
pub trait DeliveryStore: Send + Sync + 'static {
    /// Claims up to `limit` deliveries of an enabled destination that are due, oldest due first; never one before an earlier
    /// event of its lead that nobody has claimed or attempted. A claim holds until the
    /// attempt is finished, the delivery is released, or the process ends; a caller that goes away before the answer
    /// claims nothing. `None`: the destination is disabled or gone, which says nothing of what is due there.
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
    /// failure sets it, 410 and too long a failure disable it. Attempts of a delivery that is no longer pending (cancelled
    /// meanwhile) are recorded and change no state. Answers whether the destination was disabled by it.
    ///
    /// # Errors
    /// Nothing was recorded; the claim stands.
    async fn finish_attempt(&self, finished: FinishedAttempt) -> Result<bool, StoreError>;

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
}
