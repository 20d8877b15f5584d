//! Sign-ins to the dashboard.

use agentflow_events::{Moment, OperatorId};
use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};

use super::accounts::{OPERATORS, operator, operator_with};
use super::rows::{self, blob};
use super::{SqliteStore, accept};
use crate::id::SessionId;
use crate::record::{AuditRow, Operator, Session};
use crate::store::{Proven, SessionStore, StoreError};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn operators_by_email(&self, email: &str) -> Result<Vec<Operator>, StoreError> {
        let email = email.to_owned();
        self.readers
            .read(move |sql| {
                sql.prepare_cached(&format!("{OPERATORS} WHERE email = ? COLLATE NOCASE ORDER BY id"))?
                    .query_map([&email], operator)?
                    .collect()
            })
            .await
    }

    async fn open_session(
        &self,
        session: Session,
        proven: Proven,
        begun_before: Moment,
        seen_before: Moment,
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let known = operator_with(tx.sql, session.operator_id)?;
                let may = known.is_some_and(|known| {
                    known.workspace_id == session.workspace_id
                        && known.password_hash == proven.password_hash
                        && (proven.by_code || !known.has_second_factor())
                });
                if !may {
                    return Ok(false);
                }
                tx.sql
                    .prepare_cached("DELETE FROM sessions WHERE created_at < ? OR seen_at < ?")?
                    .execute([begun_before.unix_millis(), seen_before.unix_millis()])?;
                tx.sql
                    .prepare_cached(
                        "INSERT INTO sessions (token_hash, id, workspace, operator, created_at, seen_at, remote, agent)
                         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    )?
                    .execute(params![
                        session.token_hash,
                        blob(&session.id),
                        blob(&session.workspace_id),
                        blob(&session.operator_id),
                        session.created_at.unix_millis(),
                        session.seen_at.unix_millis(),
                        session.remote_addr,
                        session.user_agent
                    ])?;
                accept::audit(tx.sql, &audit)?;
                Ok(true)
            })
            .await
    }

    async fn session(&self, token_hash: [u8; 32]) -> Result<Option<(Session, Operator)>, StoreError> {
        self.readers
            .read(move |sql| {
                let session = sql
                    .prepare_cached("SELECT * FROM sessions WHERE token_hash = ?")?
                    .query_row([token_hash], session)
                    .optional()?;
                let Some(session) = session else { return Ok(None) };
                let operator = operator_with(sql, session.operator_id)?;
                Ok(operator.map(|operator| (session, operator)))
            })
            .await
    }

    async fn touch_session(&self, id: SessionId, at: Moment) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                tx.sql
                    .prepare_cached("UPDATE sessions SET seen_at = ? WHERE id = ?")?
                    .execute(params![at.unix_millis(), blob(&id)])
                    .map(|_| ())
            })
            .await
    }

    async fn sessions(&self, operator: OperatorId) -> Result<Vec<Session>, StoreError> {
        self.readers
            .read(move |sql| {
                sql.prepare_cached("SELECT * FROM sessions WHERE operator = ? ORDER BY created_at DESC")?
                    .query_map([blob(&operator)], session)?
                    .collect()
            })
            .await
    }

    async fn close_sessions(
        &self,
        operator: OperatorId,
        id: Option<SessionId>,
        audit: Option<AuditRow>,
    ) -> Result<u64, StoreError> {
        self.writer
            .write(move |tx| {
                let ended = tx
                    .sql
                    .prepare_cached(
                        "DELETE FROM sessions
                         WHERE operator = ?1 AND (?2 IS NULL OR id = ?2)",
                    )?
                    .execute(params![blob(&operator), id.as_ref().map(blob)])?;
                if let Some(audit) = audit.as_ref().filter(|_| ended > 0) {
                    accept::audit(tx.sql, audit)?;
                }
                Ok(u64::try_from(ended).unwrap_or(u64::MAX))
            })
            .await
    }
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: rows::id(row, "id")?,
        workspace_id: rows::id(row, "workspace")?,
        operator_id: rows::id(row, "operator")?,
        token_hash: row.get("token_hash")?,
        created_at: rows::moment(row, "created_at")?,
        seen_at: rows::moment(row, "seen_at")?,
        remote_addr: row.get("remote")?,
        user_agent: row.get("agent")?,
    })
}
