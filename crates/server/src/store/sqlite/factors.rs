//! Second factors of people.

use agentflow_events::OperatorId;
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::accounts::operator_with;
use super::rows::{self, blob};
use super::{SqliteStore, accept};
use crate::id::SessionId;
use crate::record::{AuditRow, SealedBytes, SecondFactor};
use crate::store::{FactorStore, StoreError};

#[async_trait]
impl FactorStore for SqliteStore {
    async fn factor(&self, operator: OperatorId) -> Result<Option<SecondFactor>, StoreError> {
        self.readers.read(move |sql| factor(sql, operator)).await
    }

    async fn put_factor(
        &self,
        operator: OperatorId,
        secret: SealedBytes,
        begun_in: SessionId,
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let is_there = is_of(tx.sql, operator, &audit)?;
                if !is_there || factor(tx.sql, operator)?.is_some_and(|known| known.is_active) {
                    return Ok(false);
                }
                tx.sql
                    .prepare_cached(
                        "INSERT OR REPLACE INTO factors (operator, secret, begun_in, begun_at, is_active, last_step)
                         VALUES (?, ?, ?, ?, 0, 0)",
                    )?
                    .execute(params![blob(&operator), secret.0, blob(&begun_in), audit.at.unix_millis()])?;
                accept::audit(tx.sql, &audit)?;
                Ok(true)
            })
            .await
    }

    async fn activate_factor(
        &self,
        confirmed: SecondFactor,
        step: u64,
        recovery_hashes: Vec<[u8; 32]>,
        kept: SessionId,
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let operator = blob(&confirmed.operator_id);
                if !is_of(tx.sql, confirmed.operator_id, &audit)? {
                    return Ok(false);
                }
                let activated = tx
                    .sql
                    .prepare_cached(
                        "UPDATE factors SET is_active = 1, last_step = ?
                         WHERE operator = ? AND is_active = 0 AND secret = ?",
                    )?
                    .execute(params![step, operator, confirmed.secret.0])?;
                if activated == 0 {
                    return Ok(false);
                }
                tx.sql
                    .prepare_cached("DELETE FROM recovery_codes WHERE operator = ?")?
                    .execute([operator])?;
                for hash in &recovery_hashes {
                    tx.sql
                        .prepare_cached("INSERT INTO recovery_codes (operator, hash) VALUES (?, ?)")?
                        .execute(params![operator, hash])?;
                }
                tx.sql
                    .prepare_cached("DELETE FROM sessions WHERE operator = ? AND id <> ?")?
                    .execute(params![operator, blob(&kept)])?;
                accept::audit(tx.sql, &audit)?;
                Ok(true)
            })
            .await
    }

    async fn use_step(&self, operator: OperatorId, step: u64) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let used = tx
                    .sql
                    .prepare_cached(
                        "UPDATE factors SET last_step = ?1, wrong_codes = 0
                         WHERE operator = ?2 AND is_active = 1 AND last_step < ?1 AND wrong_codes < ?3",
                    )?
                    .execute(params![step, blob(&operator), SecondFactor::WRONG_CODES_MAX])?;
                Ok(used > 0)
            })
            .await
    }

    async fn count_wrong_code(&self, operator: OperatorId, audit: AuditRow) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let counted: Option<u32> = tx
                    .sql
                    .prepare_cached(
                        "UPDATE factors SET wrong_codes = wrong_codes + 1
                         WHERE operator = ? AND is_active = 1 AND wrong_codes < ? RETURNING wrong_codes",
                    )?
                    .query_row(params![blob(&operator), SecondFactor::WRONG_CODES_MAX], |row| row.get(0))
                    .optional()?;
                if counted == Some(SecondFactor::WRONG_CODES_MAX) {
                    accept::audit(tx.sql, &audit)?;
                }
                Ok(())
            })
            .await
    }

    async fn use_recovery_code(
        &self,
        operator: OperatorId,
        hash: [u8; 32],
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let used = tx
                    .sql
                    .prepare_cached("DELETE FROM recovery_codes WHERE operator = ? AND hash = ?")?
                    .execute(params![blob(&operator), hash])?;
                if used > 0 {
                    tx.sql
                        .prepare_cached("UPDATE factors SET wrong_codes = 0 WHERE operator = ?")?
                        .execute([blob(&operator)])?;
                    accept::audit(tx.sql, &audit)?;
                }
                Ok(used > 0)
            })
            .await
    }

    async fn delete_factor(&self, operator: OperatorId, audit: AuditRow) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                if !is_of(tx.sql, operator, &audit)? || factor(tx.sql, operator)?.is_none() {
                    return Ok(false);
                }
                forget(tx.sql, operator)?;
                accept::audit(tx.sql, &audit)?;
                Ok(true)
            })
            .await
    }
}

fn factor(sql: &Connection, operator: OperatorId) -> rusqlite::Result<Option<SecondFactor>> {
    let read = |row: &Row<'_>| {
        Ok(SecondFactor {
            operator_id: rows::id(row, "operator")?,
            secret: SealedBytes(row.get("secret")?),
            begun_in: rows::id(row, "begun_in")?,
            begun_at: rows::moment(row, "begun_at")?,
            is_active: row.get("is_active")?,
            recovery_codes: row.get("recovery_codes")?,
            wrong_codes: row.get("wrong_codes")?,
        })
    };
    sql.prepare_cached(
        "SELECT factors.*,
            (SELECT count(*) FROM recovery_codes WHERE recovery_codes.operator = factors.operator) AS recovery_codes
         FROM factors WHERE operator = ?",
    )?
    .query_row([blob(&operator)], read)
    .optional()
}

fn is_of(sql: &Connection, operator: OperatorId, audit: &AuditRow) -> rusqlite::Result<bool> {
    Ok(operator_with(sql, operator)?.is_some_and(|who| who.workspace_id == audit.workspace_id))
}

/// Deletes what a person has.
pub(super) fn forget(sql: &Connection, operator: OperatorId) -> rusqlite::Result<()> {
    for statement in
        ["DELETE FROM factors WHERE operator = ?", "DELETE FROM recovery_codes WHERE operator = ?"]
    {
        sql.prepare_cached(statement)?.execute([blob(&operator)])?;
    }
    Ok(())
}
