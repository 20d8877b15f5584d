//! The operational log: what became of destinations.

use agentflow_events::{Moment, WorkspaceId};
use rusqlite::{Connection, Row, params};

use super::rows::{self, bad, blob, to_json};
use crate::id::mint;
use crate::record::{Destination, OperationKind, OperationRow};

/// Tells of a destination.
pub(super) fn tell(
    sql: &Connection,
    to: &Destination,
    at: Moment,
    kind: OperationKind,
    message: &str,
) -> rusqlite::Result<OperationRow> {
    let row = OperationRow {
        id: mint(at),
        workspace_id: to.workspace_id,
        at,
        kind,
        destination_id: to.id,
        message: message.to_owned(),
    };
    sql.prepare_cached(
        "INSERT INTO operational_log (id, workspace, at, kind, destination, message) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        blob(&row.id),
        blob(&row.workspace_id),
        at.unix_millis(),
        to_json(&kind)?,
        blob(&to.id),
        row.message
    ])?;
    Ok(row)
}

/// Tells what a change by a person comes to.
pub(super) fn tell_change(
    sql: &Connection,
    before: &Destination,
    after: &Destination,
    at: Moment,
) -> rusqlite::Result<()> {
    if before.disabled_reason.is_some() && after.enabled {
        let message = "The destination gets events again; what is pending is sent.";
        tell(sql, after, at, OperationKind::DestinationEnabled, message)?;
    }
    if !before.paused && after.paused {
        let message = "Sending rests; events wait until the destination is resumed.";
        tell(sql, after, at, OperationKind::DestinationPaused, message)?;
    }
    if before.paused && !after.paused {
        let message = "The destination is sent to again, with what has been waiting.";
        tell(sql, after, at, OperationKind::DestinationResumed, message)?;
    }
    Ok(())
}

/// A row.
pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<OperationRow> {
    Ok(OperationRow {
        id: rows::id(row, "id")?,
        workspace_id: rows::id(row, "workspace")?,
        at: rows::moment(row, "at")?,
        kind: rows::json(row, "kind").map_err(|_| bad("kind"))?,
        destination_id: rows::id(row, "destination")?,
        message: row.get("message")?,
    })
}

/// A page of the log.
pub(super) fn page(
    sql: &Connection,
    workspace: WorkspaceId,
    request: crate::store::PageRequest,
) -> rusqlite::Result<crate::store::Page<OperationRow>> {
    super::query::of_workspace(sql, "operational_log", workspace, request, row)
}
