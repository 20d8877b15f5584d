//! Sums over time. Ids begin with their moment, so the index by id leads to what is young enough.

use std::time::Duration;

use agentflow_events::{Id, IdKind, Moment, WorkspaceId};
use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::rows::{self, blob};
use crate::store::{Health, Overview, OverviewStore, ScoreCounts, Step, StoreError};

/// Deliveries whose time from event to delivery is looked at.
const SAMPLE: u32 = 10_000;

#[async_trait]
impl OverviewStore for SqliteStore {
    async fn overview(
        &self,
        workspace: WorkspaceId,
        since: Moment,
        step: Duration,
        steps: usize,
    ) -> Result<Overview, StoreError> {
        self.readers.read(move |sql| overview(sql, workspace, since, step, steps)).await
    }

    async fn health(&self, workspace: WorkspaceId, since: Moment) -> Result<Vec<Health>, StoreError> {
        self.readers
            .read(move |sql| {
                sql.prepare_cached(
                    "SELECT destination, sum(state = 1) AS delivered, sum(state = 2) AS dead, sum(state = 0) AS pending
                     FROM deliveries WHERE workspace = ? AND id >= ? GROUP BY destination",
                )?
                .query_map(params![blob(&workspace), first_id::<crate::id::DeliveryKind>(since).as_slice()], |row| {
                    Ok(Health {
                        destination_id: rows::id(row, "destination")?,
                        delivered: row.get("delivered")?,
                        dead: row.get("dead")?,
                        pending: row.get("pending")?,
                    })
                })?
                .collect()
            })
            .await
    }

    async fn scores(&self, workspace: WorkspaceId, since: Moment) -> Result<ScoreCounts, StoreError> {
        self.readers
            .read(move |sql| {
                let mut counts = [0; 101];
                let mut statement = sql.prepare_cached(
                    "SELECT json_extract(scored, '$.qualification.score') AS score, count(*) FROM leads
                     WHERE workspace = ? AND id >= ? AND scored IS NOT NULL GROUP BY score",
                )?;
                let mut found = statement.query(params![
                    blob(&workspace),
                    first_id::<agentflow_events::LeadKind>(since).as_slice()
                ])?;
                while let Some(row) = found.next()? {
                    let score: usize = row.get(0)?;
                    if let Some(count) = counts.get_mut(score) {
                        *count = row.get(1)?;
                    }
                }
                Ok(counts)
            })
            .await
    }
}

fn first_id<K: IdKind>(since: Moment) -> [u8; 16] {
    let mut bytes = *Id::<K>::new(u64::try_from(since.unix_millis()).unwrap_or(0), [0; 10]).as_bytes();
    // Version and variant bits are no part of the order by time.
    bytes[6..].fill(0);
    bytes
}

fn overview(
    sql: &Connection,
    workspace: WorkspaceId,
    since: Moment,
    step: Duration,
    steps: usize,
) -> rusqlite::Result<Overview> {
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut overview = Overview { steps: vec![Step::default(); steps], ..Overview::default() };
    let mut count = |query: &str, first: [u8; 16], add: fn(&mut Step, i64, u64)| -> rusqlite::Result<()> {
        let mut statement = sql.prepare_cached(query)?;
        let mut found =
            statement.query(params![since.unix_millis(), step_ms, blob(&workspace), first.as_slice()])?;
        while let Some(row) = found.next()? {
            let index: i64 = row.get(0)?;
            if let Some(step) = usize::try_from(index).ok().and_then(|index| overview.steps.get_mut(index)) {
                add(step, row.get(1)?, row.get(2)?);
            }
        }
        Ok(())
    };
    count(
        "SELECT (received_at - ?1) / ?2, 0, count(*) FROM leads WHERE workspace = ?3 AND id >= ?4 GROUP BY 1",
        first_id::<agentflow_events::LeadKind>(since),
        |step, _, count| step.leads += count,
    )?;
    count(
        "SELECT (at - ?1) / ?2, type = 'lead.qualified', count(*) FROM events
         WHERE workspace = ?3 AND id >= ?4 AND type <> 'lead.review_requested' GROUP BY 1, 2",
        first_id::<agentflow_events::EventKind>(since),
        |step, approved, count| {
            *(if approved == 1 { &mut step.approved } else { &mut step.rejected }) += count
        },
    )?;
    count(
        "SELECT (created_at - ?1) / ?2, state, count(*) FROM deliveries WHERE workspace = ?3 AND id >= ?4 GROUP BY 1, 2",
        first_id::<crate::id::DeliveryKind>(since),
        |step, state, count| match state {
            1 => step.delivered += count,
            2 => step.dead += count,
            _ => {}
        },
    )?;
    let mut statement = sql.prepare_cached(
        "SELECT attempts.at + attempts.duration_ms - deliveries.created_at FROM deliveries
         JOIN attempts ON attempts.delivery = deliveries.seq AND attempts.number = deliveries.attempts
         WHERE deliveries.workspace = ? AND deliveries.id >= ? AND deliveries.state = 1
         ORDER BY deliveries.id DESC LIMIT ?",
    )?;
    let first = first_id::<crate::id::DeliveryKind>(since);
    let found = statement
        .query_map(params![blob(&workspace), first.as_slice(), SAMPLE], |row| row.get::<_, i64>(0))?;
    for millis in found {
        overview.delivery_ms.push(u64::try_from(millis?).unwrap_or(0));
    }
    overview.delivery_ms.sort_unstable();
    (overview.pending, overview.oldest_pending_at) = sql
        .prepare_cached("SELECT count(*), min(created_at) FROM deliveries WHERE state = 0 AND workspace = ?")?
        .query_row([blob(&workspace)], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(Moment::from_unix_millis)))
        })?;
    Ok(overview)
}
