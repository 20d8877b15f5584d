//! Sums over time, from the tables of [hours](super::hours).

use std::time::Duration;

use agentflow_events::{Moment, WorkspaceId};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use super::hours::hour;
use super::rows::{self, blob};
use super::scored::SCORE;
use crate::store::{Health, Overview, OverviewStore, SCORED_MAX, ScoreCounts, Step, StoreError};

/// The newest deliveries, of which those that are delivered tell how long it takes.
const SAMPLE: u32 = 2_000;

#[async_trait]
impl OverviewStore for SqliteStore {
    async fn overview(
        &self,
        workspace: WorkspaceId,
        since: Moment,
        step: Duration,
        steps: usize,
    ) -> Result<Overview, StoreError> {
        self.readers
            .read(move |sql| {
                let steps = counted(sql, workspace, since, step, steps)?;
                let delivery_ms = delivery_ms(sql, workspace, since)?;
                let (pending, oldest_pending_at) = pending(sql, workspace)?;
                Ok(Overview { steps, delivery_ms, pending, oldest_pending_at })
            })
            .await
    }

    async fn health(&self, workspace: WorkspaceId, since: Moment) -> Result<Vec<Health>, StoreError> {
        self.readers
            .read(move |sql| {
                sql.prepare_cached(
                    "SELECT destination, sum(delivered) AS delivered, sum(dead) AS dead, sum(pending) AS pending
                     FROM delivery_hours WHERE workspace = ? AND hour >= ? GROUP BY destination",
                )?
                .query_map(params![blob(&workspace), hour(since)], |row| {
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
                // The plus keeps the index by email out of it, as in every walk from the newest lead.
                let mut statement = sql.prepare_cached(&format!(
                    "SELECT {SCORE} AS score, count(*)
                     FROM (SELECT scored, received_at FROM leads WHERE +workspace = ? ORDER BY seq DESC LIMIT ?)
                     WHERE received_at >= ? AND scored IS NOT NULL GROUP BY score"
                ))?;
                let mut found =
                    statement.query(params![blob(&workspace), SCORED_MAX, since.unix_millis()])?;
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

fn counted(
    sql: &Connection,
    workspace: WorkspaceId,
    since: Moment,
    step: Duration,
    steps: usize,
) -> rusqlite::Result<Vec<Step>> {
    let mut counted = vec![Step::default(); steps];
    let hours = i64::try_from(step.as_secs() / 3_600).unwrap_or(i64::MAX).max(1);
    let mut count =
        |query: &str, add: fn(&mut Step, &Row<'_>) -> rusqlite::Result<()>| -> rusqlite::Result<()> {
            let mut statement = sql.prepare_cached(query)?;
            let mut found = statement.query(params![blob(&workspace), hour(since), hours])?;
            while let Some(row) = found.next()? {
                let index: i64 = row.get("step")?;
                if let Some(step) = usize::try_from(index).ok().and_then(|index| counted.get_mut(index)) {
                    add(step, row)?;
                }
            }
            Ok(())
        };
    count(
        "SELECT (hour - ?2) / ?3 AS step, sum(arrived), sum(approved), sum(rejected) FROM lead_hours
         WHERE workspace = ?1 AND hour >= ?2 GROUP BY step",
        |step, row| {
            (step.leads, step.approved, step.rejected) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(())
        },
    )?;
    count(
        "SELECT (hour - ?2) / ?3 AS step, sum(delivered), sum(dead) FROM delivery_hours
         WHERE workspace = ?1 AND hour >= ?2 GROUP BY step",
        |step, row| {
            (step.delivered, step.dead) = (row.get(1)?, row.get(2)?);
            Ok(())
        },
    )?;
    Ok(counted)
}

fn delivery_ms(sql: &Connection, workspace: WorkspaceId, since: Moment) -> rusqlite::Result<Vec<u64>> {
    let mut statement = sql.prepare_cached(
        "SELECT attempts.at + attempts.duration_ms - newest.created_at
         FROM (SELECT * FROM deliveries WHERE workspace = ? ORDER BY seq DESC LIMIT ?) AS newest
         JOIN attempts ON attempts.delivery = newest.seq AND attempts.number = newest.attempts
         WHERE newest.state = 1 AND newest.created_at >= ?",
    )?;
    let found = statement
        .query_map(params![blob(&workspace), SAMPLE, since.unix_millis()], |row| row.get::<_, i64>(0))?;
    let mut all = found
        .map(|millis| Ok(u64::try_from(millis?).unwrap_or(0)))
        .collect::<rusqlite::Result<Vec<u64>>>()?;
    all.sort_unstable();
    Ok(all)
}

/// How many wait, and since when the first of them does.
fn pending(sql: &Connection, workspace: WorkspaceId) -> rusqlite::Result<(u64, Option<Moment>)> {
    let of_workspace = [blob(&workspace)];
    let count = sql
        .prepare_cached("SELECT count(*) FROM deliveries WHERE state = 0 AND workspace = ?")?
        .query_row(of_workspace, |row| row.get(0))?;
    let first = sql
        .prepare_cached(
            "SELECT created_at FROM deliveries WHERE state = 0 AND workspace = ? ORDER BY seq LIMIT 1",
        )?
        .query_row(of_workspace, |row| rows::moment(row, "created_at"))
        .optional()?;
    Ok((count, first))
}
