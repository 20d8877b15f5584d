//! Sums by the hour since 1970, so that no view of them walks what they sum up.
//!
//! Whatever writes a lead, an event or a delivery counts it here, and the batch's transaction writes each sum once, before it
//! commits. What the retention deletes stays counted.

use agentflow_events::{EventType, Moment, WorkspaceId};
use foldhash::HashMap;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::rows::{self, blob};
use crate::id::DestinationId;
use crate::record::DeliveryState;

/// The hour that a moment lies in, as the tables number them.
pub(super) fn hour(at: Moment) -> i64 {
    at.unix_millis().div_euclid(3_600_000)
}

#[derive(Clone, Copy, Default)]
struct Leads {
    arrived: u32,
    approved: u32,
    rejected: u32,
}

/// What a batch adds to the deliveries that were made in one hour, by what has become of them.
#[derive(Clone, Copy, Default)]
struct Deliveries {
    pending: i64,
    delivered: i64,
    dead: i64,
}

impl Deliveries {
    fn add(&mut self, state: DeliveryState, number: i64) {
        match state {
            DeliveryState::Pending => self.pending += number,
            DeliveryState::Delivered => self.delivered += number,
            DeliveryState::Dead => self.dead += number,
            DeliveryState::Cancelled | DeliveryState::Superseded => {}
        }
    }
}

/// What a batch adds to the sums.
#[derive(Clone, Default)]
pub(super) struct Hours {
    leads: HashMap<(WorkspaceId, i64), Leads>,
    deliveries: HashMap<(WorkspaceId, i64, DestinationId), Deliveries>,
}

impl Hours {
    /// A lead has arrived.
    pub(super) fn arrived(&mut self, workspace: WorkspaceId, at: Moment) {
        self.leads.entry((workspace, hour(at))).or_default().arrived += 1;
    }

    /// An event of a lead was made; those of a decision count.
    pub(super) fn announced(&mut self, workspace: WorkspaceId, at: Moment, event_type: EventType) {
        let sums = self.leads.entry((workspace, hour(at))).or_default();
        match event_type {
            EventType::LeadQualified => sums.approved += 1,
            EventType::LeadRejected => sums.rejected += 1,
            EventType::LeadReviewRequested => {}
        }
    }

    /// A delivery was made, and is pending.
    pub(super) fn made(&mut self, workspace: WorkspaceId, at: Moment, to: DestinationId) {
        self.deliveries.entry((workspace, hour(at), to)).or_default().pending += 1;
    }

    /// A delivery that was made at `at` is no longer what it was.
    pub(super) fn moved(
        &mut self,
        workspace: WorkspaceId,
        at: Moment,
        to: DestinationId,
        [before, after]: [DeliveryState; 2],
    ) {
        self.shift((workspace, hour(at), to), [before, after], 1);
    }

    fn shift(
        &mut self,
        key: (WorkspaceId, i64, DestinationId),
        [before, after]: [DeliveryState; 2],
        number: i64,
    ) {
        if before != after {
            let sums = self.deliveries.entry(key).or_default();
            sums.add(before, -number);
            sums.add(after, number);
        }
    }

    /// The deliveries whose `seq` the selection `which` answers are about to become `after`.
    pub(super) fn will_move(
        &mut self,
        sql: &Connection,
        which: &str,
        values: &[Value],
        after: DeliveryState,
    ) -> rusqlite::Result<()> {
        let mut statement = sql.prepare(&format!(
            "SELECT workspace, created_at / 3600000 AS hour, destination, state, count(*) AS number
             FROM deliveries WHERE seq IN ({which}) GROUP BY 1, 2, 3, 4"
        ))?;
        let mut found = statement.query(params_from_iter(values))?;
        while let Some(row) = found.next()? {
            let key = (rows::id(row, "workspace")?, row.get("hour")?, rows::id(row, "destination")?);
            self.shift(key, [rows::delivery_state(row)?, after], row.get("number")?);
        }
        Ok(())
    }

    /// Adds to the tables what was counted.
    pub(super) fn write(&mut self, sql: &Connection) -> rusqlite::Result<()> {
        for ((workspace, hour), Leads { arrived, approved, rejected }) in self.leads.drain() {
            sql.prepare_cached(
                "INSERT INTO lead_hours (workspace, hour, arrived, approved, rejected) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET arrived = arrived + excluded.arrived,
                     approved = approved + excluded.approved, rejected = rejected + excluded.rejected",
            )?
            .execute(params![blob(&workspace), hour, arrived, approved, rejected])?;
        }
        for ((workspace, hour, to), Deliveries { pending, delivered, dead }) in self.deliveries.drain() {
            sql.prepare_cached(
                "INSERT INTO delivery_hours (workspace, hour, destination, pending, delivered, dead)
                 VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET pending = pending + excluded.pending,
                     delivered = delivered + excluded.delivered, dead = dead + excluded.dead",
            )?
            .execute(params![blob(&workspace), hour, blob(&to), pending, delivered, dead])?;
        }
        Ok(())
    }
}
