//! Inbound log rows that go with the next batch, bounded in memory and on the disk.

use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, ToSql, params};

use super::rows::{blob, status_number, to_json};
use crate::record::InboundLogRow;

/// Rows that may wait in memory; further ones are dropped.
const BUFFER_MAX: usize = 4_096;
/// Refusals kept for a workspace.
const REJECTED_KEPT: i64 = 10_000;
/// Refusals written between two looks at their number.
pub(super) const PRUNE_EVERY: usize = 500;

/// The columns of a row.
pub(super) const COLUMNS: &str = "id, workspace, at, status, reason, remote, body_bytes, lead, finding";

/// Rows that wait for a batch.
#[derive(Default)]
pub(super) struct LogBuffer(Mutex<Vec<InboundLogRow>>);

impl LogBuffer {
    pub(super) fn push(&self, row: InboundLogRow) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() < BUFFER_MAX {
            rows.push(row);
        }
    }

    pub(super) fn take(&self) -> Vec<InboundLogRow> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A row's values in the order of [`COLUMNS`].
pub(super) fn with_values(
    row: &InboundLogRow,
    then: impl FnOnce(&[&dyn ToSql]) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    then(params![
        blob(&row.id),
        blob(&row.workspace_id),
        row.at.unix_millis(),
        status_number(row.status),
        row.status.reason().map(crate::reason::Reason::code),
        row.remote_addr.to_string(),
        row.body_bytes,
        row.lead_id.as_ref().map(blob),
        row.finding.as_ref().map(to_json).transpose()?,
    ])
}

/// Deletes each workspace's oldest refusals beyond the number that is kept.
pub(super) fn prune_rejected(sql: &Connection) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "DELETE FROM inbound_log WHERE seq IN (
             SELECT log.seq FROM workspaces, inbound_log AS log
             WHERE log.workspace = workspaces.id AND log.status = 2 AND log.seq <= (
                 SELECT kept.seq FROM inbound_log AS kept
                 WHERE kept.workspace = workspaces.id AND kept.status = 2
                 ORDER BY kept.seq DESC LIMIT 1 OFFSET ?))",
    )?
    .execute([REJECTED_KEPT])?;
    Ok(())
}
