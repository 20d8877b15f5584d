//! Sums over time, for the dashboard's overview.

use std::time::Duration;

use agentflow_events::{Moment, WorkspaceId};
use async_trait::async_trait;

use super::StoreError;
use crate::id::DestinationId;

/// What happened within one step of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Leads that arrived.
    pub leads: u64,
    /// Leads that were approved, by thresholds or operators.
    pub approved: u64,
    /// Leads that were rejected.
    pub rejected: u64,
    /// Deliveries made then that have been delivered since.
    pub delivered: u64,
    /// Deliveries made then that are dead letters.
    pub dead: u64,
}

/// What happened in a workspace since a moment, and what waits now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Oldest first; as many as were asked for.
    pub steps: Vec<Step>,
    /// From event to delivery in milliseconds, sorted: those delivered among the newest thousands.
    pub delivery_ms: Vec<u64>,
    /// Deliveries that wait.
    pub pending: u64,
    /// When the first of them was made.
    pub oldest_pending_at: Option<Moment>,
}

/// Deliveries of one destination since a moment, by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Destination.
    pub destination_id: DestinationId,
    /// Delivered.
    pub delivered: u64,
    /// Dead letters.
    pub dead: u64,
    /// Waiting.
    pub pending: u64,
}

/// How many leads of a time have each score.
pub type ScoreCounts = [u64; 101];

/// Leads whose scores are counted, at most: the newest.
pub const SCORED_MAX: u32 = 10_000;

/// Sums, by whole hours. The store keeps them as it writes, so that asking costs the same however much there is; what the
/// retention has deleted stays counted.
///
/// # Errors
/// Every call fails where the store cannot be read.
#[async_trait]
pub trait OverviewStore: Send + Sync + 'static {
    /// Sums over `steps` steps of time from `since`; both are whole hours.
    async fn overview(
        &self,
        workspace: WorkspaceId,
        since: Moment,
        step: Duration,
        steps: usize,
    ) -> Result<Overview, StoreError>;

    /// The destinations that had deliveries since the hour of `since`.
    async fn health(&self, workspace: WorkspaceId, since: Moment) -> Result<Vec<Health>, StoreError>;

    /// The scores of the leads that arrived since then, of the newest [`SCORED_MAX`].
    async fn scores(&self, workspace: WorkspaceId, since: Moment) -> Result<ScoreCounts, StoreError>;
}
