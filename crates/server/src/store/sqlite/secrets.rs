//! Signing secrets, and all that is sealed.

use agentflow_events::{IdKind, Moment};
use rusqlite::{Connection, Row, params};

use super::rows::{self, bad, blob};
use crate::id::{SecretId, TokenId};
use crate::record::{AuditRow, SealedBytes, SecretDirection, SecretRow, SecretUses};
use crate::store::{SealedIn, SecretDropped};

pub(super) fn put(sql: &Connection, secret: &SecretRow) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO secrets (id, workspace, direction, secret, created_at, active_from, expires_at, uses, last_used_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        blob(&secret.id),
        blob(&secret.workspace_id),
        secret.direction.as_str(),
        secret.secret.0,
        secret.created_at.unix_millis(),
        secret.active_from.unix_millis(),
        secret.expires_at.map(Moment::unix_millis),
        secret.uses,
        secret.last_used_at.map(Moment::unix_millis)
    ])?;
    Ok(())
}

pub(super) fn rotate(sql: &Connection, secret: &SecretRow, old_expires_at: Moment) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE secrets SET expires_at = min(coalesce(expires_at, ?1), ?1) WHERE workspace = ?2 AND direction = ?3",
    )?
    .execute(params![old_expires_at.unix_millis(), blob(&secret.workspace_id), secret.direction.as_str()])?;
    put(sql, secret)
}

fn read(row: &Row<'_>) -> rusqlite::Result<SecretRow> {
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
        active_from: rows::moment(row, "active_from")?,
        expires_at: rows::moment_or_null(row, "expires_at")?,
        uses: row.get("uses")?,
        last_used_at: rows::moment_or_null(row, "last_used_at")?,
    })
}

/// Those that have not expired.
pub(super) fn live(sql: &Connection, now: Moment) -> rusqlite::Result<Vec<SecretRow>> {
    sql.prepare_cached("SELECT * FROM secrets WHERE expires_at IS NULL OR expires_at > ? ORDER BY id")?
        .query_map([now.unix_millis()], read)?
        .collect()
}

/// Deletes one that is not the present one.
pub(super) fn drop_one(sql: &Connection, id: SecretId, audit: &AuditRow) -> rusqlite::Result<SecretDropped> {
    let mut known = live(sql, audit.at)?;
    known.retain(|row| row.workspace_id == audit.workspace_id);
    let Some(dropped) = known.iter().find(|row| row.id == id).cloned() else {
        return Ok(SecretDropped::NotFound);
    };
    known.retain(|row| row.direction == dropped.direction);
    let Some(present) = SecretRow::present(&known, audit.at) else { return Ok(SecretDropped::NotFound) };
    if present.id == id {
        return Ok(SecretDropped::Present);
    }
    sql.prepare_cached("DELETE FROM secrets WHERE id = ?")?.execute([blob(&id)])?;
    if dropped.active_from > audit.at {
        sql.prepare_cached("UPDATE secrets SET expires_at = NULL WHERE id = ?")?
            .execute([blob(&present.id)])?;
    }
    super::accept::audit(sql, audit)?;
    Ok(SecretDropped::Done)
}

pub(super) fn note_uses(
    sql: &Connection,
    secrets: &[SecretUses],
    tokens: &[(TokenId, Moment)],
) -> rusqlite::Result<()> {
    for used in secrets {
        sql.prepare_cached(
            "UPDATE secrets SET uses = uses + ?1, last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?3",
        )?
        .execute(params![used.more, used.last_used_at.unix_millis(), blob(&used.id)])?;
    }
    for (id, at) in tokens {
        sql.prepare_cached(
            "UPDATE tokens SET last_used_at = max(coalesce(last_used_at, ?1), ?1) WHERE id = ?2",
        )?
        .execute(params![at.unix_millis(), blob(id)])?;
    }
    Ok(())
}

pub(super) fn sealed(sql: &Connection) -> rusqlite::Result<Vec<(SealedIn, SealedBytes)>> {
    fn of<K: IdKind>(
        sql: &Connection,
        select: &str,
        place: fn(agentflow_events::Id<K>) -> SealedIn,
    ) -> rusqlite::Result<Vec<(SealedIn, SealedBytes)>> {
        let read = |row: &Row<'_>| Ok((place(rows::id(row, "id")?), SealedBytes(row.get("sealed")?)));
        sql.prepare(select)?.query_map([], read)?.collect()
    }
    let mut all = of(sql, "SELECT id, secret AS sealed FROM secrets", SealedIn::Secret)?;
    all.append(&mut of(sql, "SELECT id, token AS sealed FROM endpoints", SealedIn::Endpoint)?);
    all.append(&mut of(sql, "SELECT operator AS id, secret AS sealed FROM factors", SealedIn::Factor)?);
    Ok(all)
}

pub(super) fn reseal(sql: &Connection, values: &[(SealedIn, SealedBytes)]) -> rusqlite::Result<()> {
    // What was sealed under a key that is to be forgotten shall not be found in the file's free space.
    sql.pragma_update(None, "secure_delete", true)?;
    for (place, value) in values {
        let (statement, id) = match place {
            SealedIn::Secret(id) => ("UPDATE secrets SET secret = ? WHERE id = ?", *id.as_bytes()),
            SealedIn::Endpoint(id) => ("UPDATE endpoints SET token = ? WHERE id = ?", *id.as_bytes()),
            SealedIn::Factor(id) => ("UPDATE factors SET secret = ? WHERE operator = ?", *id.as_bytes()),
        };
        sql.prepare_cached(statement)?.execute(params![value.0, id])?;
    }
    Ok(())
}
