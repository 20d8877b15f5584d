//! Workspaces, credentials, people.

use agentflow_events::{Moment, WorkspaceId};
use rusqlite::{Connection, Row, params};

use super::rows::{self, bad, blob, to_json};
use crate::record::{
    ApiToken, AuditRow, Endpoint, Operator, Role, SealedBytes, SecretDirection, SecretRow, Workspace,
};
use crate::store::Founding;

pub(super) fn found(sql: &Connection, founding: &Founding) -> rusqlite::Result<()> {
    let workspace = &founding.workspace;
    sql.prepare_cached("INSERT INTO workspaces (id, created_at, settings) VALUES (?, ?, ?)")?.execute(
        params![blob(&workspace.id), workspace.created_at.unix_millis(), to_json(&workspace.settings)?],
    )?;
    put_endpoint(sql, &founding.endpoint)?;
    for secret in &founding.secrets {
        put_secret(sql, secret)?;
    }
    let admin = &founding.admin;
    sql.prepare_cached(
        "INSERT INTO operators (id, workspace, email, password_hash, role, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        blob(&admin.id),
        blob(&admin.workspace_id),
        admin.email,
        admin.password_hash,
        admin.role.as_str(),
        admin.created_at.unix_millis()
    ])?;
    let token = &founding.token;
    sql.prepare_cached(
        "INSERT INTO tokens (token_hash, id, workspace, operator, role, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        token.token_hash,
        blob(&token.id),
        blob(&token.workspace_id),
        blob(&token.operator_id),
        token.role.as_str(),
        token.created_at.unix_millis()
    ])?;
    Ok(())
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

fn put_secret(sql: &Connection, secret: &SecretRow) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO secrets (id, workspace, direction, secret, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        blob(&secret.id),
        blob(&secret.workspace_id),
        secret.direction.as_str(),
        secret.secret.0,
        secret.created_at.unix_millis(),
        secret.expires_at.map(Moment::unix_millis)
    ])?;
    Ok(())
}

pub(super) fn rotate_secret(
    sql: &Connection,
    secret: &SecretRow,
    old_expires_at: Moment,
) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE secrets SET expires_at = min(coalesce(expires_at, ?1), ?1) WHERE workspace = ?2 AND direction = ?3",
    )?
    .execute(params![old_expires_at.unix_millis(), blob(&secret.workspace_id), secret.direction.as_str()])?;
    put_secret(sql, secret)
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

pub(super) fn secrets(sql: &Connection, now: Moment) -> rusqlite::Result<Vec<SecretRow>> {
    let read = |row: &Row<'_>| {
        let direction = match row.get_ref("direction")?.as_str().map_err(|_| bad("direction"))? {
            "inbound" => SecretDirection::Inbound,
            "outbound" => SecretDirection::Outbound,
            _ => return Err(bad("direction")),
        };
        Ok(SecretRow {
            id: rows::id(row, "id")?,
            workspace_id: rows::id(row, "workspace")?,
            direction,
            secret: SealedBytes(row.get("secret")?),
            created_at: rows::moment(row, "created_at")?,
            expires_at: rows::moment_or_null(row, "expires_at")?,
        })
    };
    sql.prepare_cached("SELECT * FROM secrets WHERE expires_at IS NULL OR expires_at > ? ORDER BY id")?
        .query_map([now.unix_millis()], read)?
        .collect()
}

fn role(row: &Row<'_>) -> rusqlite::Result<Role> {
    match row.get_ref("role")?.as_str().map_err(|_| bad("role"))? {
        "admin" => Ok(Role::Admin),
        "operator" => Ok(Role::Operator),
        "viewer" => Ok(Role::Viewer),
        _ => Err(bad("role")),
    }
}

pub(super) fn tokens(sql: &Connection) -> rusqlite::Result<Vec<ApiToken>> {
    let read = |row: &Row<'_>| {
        Ok(ApiToken {
            id: rows::id(row, "id")?,
            workspace_id: rows::id(row, "workspace")?,
            operator_id: rows::id(row, "operator")?,
            role: role(row)?,
            token_hash: row.get("token_hash")?,
            created_at: rows::moment(row, "created_at")?,
        })
    };
    sql.prepare_cached("SELECT * FROM tokens")?.query_map([], read)?.collect()
}

pub(super) fn operator(row: &Row<'_>) -> rusqlite::Result<Operator> {
    Ok(Operator {
        id: rows::id(row, "id")?,
        workspace_id: rows::id(row, "workspace")?,
        email: row.get("email")?,
        password_hash: row.get("password_hash")?,
        role: role(row)?,
        created_at: rows::moment(row, "created_at")?,
    })
}

pub(super) fn audit_rows(
    sql: &Connection,
    workspace: WorkspaceId,
    limit: usize,
) -> rusqlite::Result<Vec<AuditRow>> {
    let read = |row: &Row<'_>| {
        Ok(AuditRow {
            id: rows::id(row, "id")?,
            workspace_id: rows::id(row, "workspace")?,
            at: rows::moment(row, "at")?,
            operator_id: rows::id(row, "operator")?,
            action: row.get("action")?,
            subject: row.get("subject")?,
        })
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    sql.prepare_cached("SELECT * FROM audit WHERE workspace = ? ORDER BY seq DESC LIMIT ?")?
        .query_map(params![blob(&workspace), limit], read)?
        .collect()
}
