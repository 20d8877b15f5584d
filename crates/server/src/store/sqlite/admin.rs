//! Workspaces, endpoints, the audit log.

use agentflow_events::WorkspaceId;
use rusqlite::{Connection, Row, params};

use super::rows::{self, blob, to_json};
use crate::record::{AuditRow, Endpoint, SealedBytes, Workspace};
use crate::store::Founding;

pub(super) fn found(sql: &Connection, founding: &Founding) -> rusqlite::Result<()> {
    let workspace = &founding.workspace;
    sql.prepare_cached("INSERT INTO workspaces (id, created_at, settings) VALUES (?, ?, ?)")?.execute(
        params![blob(&workspace.id), workspace.created_at.unix_millis(), to_json(&workspace.settings)?],
    )?;
    put_endpoint(sql, &founding.endpoint)?;
    for secret in &founding.secrets {
        super::secrets::put(sql, secret)?;
    }
    super::accounts::put_operator(sql, &founding.admin)?;
    super::accounts::put_token(sql, &founding.token)
}

fn put_endpoint(sql: &Connection, endpoint: &Endpoint) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO endpoints (token_hash, id, workspace, token, created_at) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute(params![
        endpoint.token_hash,
        blob(&endpoint.id),
        blob(&endpoint.workspace_id),
        endpoint.token.0,
        endpoint.created_at.unix_millis()
    ])?;
    Ok(())
}

pub(super) fn rotate_endpoint(sql: &Connection, endpoint: &Endpoint) -> rusqlite::Result<()> {
    sql.prepare_cached("DELETE FROM endpoints WHERE workspace = ?")?
        .execute([blob(&endpoint.workspace_id)])?;
    put_endpoint(sql, endpoint)
}

pub(super) fn workspaces(sql: &Connection) -> rusqlite::Result<Vec<Workspace>> {
    let read = |row: &Row<'_>| {
        Ok(Workspace {
            id: rows::id(row, "id")?,
            created_at: rows::moment(row, "created_at")?,
            settings: rows::json(row, "settings")?,
        })
    };
    sql.prepare_cached("SELECT * FROM workspaces ORDER BY id")?.query_map([], read)?.collect()
}

pub(super) fn endpoints(sql: &Connection) -> rusqlite::Result<Vec<Endpoint>> {
    let read = |row: &Row<'_>| {
        Ok(Endpoint {
            id: rows::id(row, "id")?,
            workspace_id: rows::id(row, "workspace")?,
            token_hash: row.get("token_hash")?,
            token: SealedBytes(row.get("token")?),
            created_at: rows::moment(row, "created_at")?,
        })
    };
    sql.prepare_cached("SELECT * FROM endpoints")?.query_map([], read)?.collect()
}

pub(super) fn audit_rows(
    sql: &Connection,
    workspace: WorkspaceId,
    limit: usize,
) -> rusqlite::Result<Vec<AuditRow>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    sql.prepare_cached("SELECT * FROM audit WHERE workspace = ? ORDER BY seq DESC LIMIT ?")?
        .query_map(params![blob(&workspace), limit], audit_row)?
        .collect()
}

pub(super) fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        id: rows::id(row, "id")?,
        workspace_id: rows::id(row, "workspace")?,
        at: rows::moment(row, "at")?,
        operator_id: rows::id(row, "operator")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        changes: rows::json_or_null(row, "changes")?.unwrap_or_default(),
    })
}
