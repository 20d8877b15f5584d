//! People and their API tokens.

use agentflow_events::{Moment, OperatorId, WorkspaceId};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{self, bad, blob};
use super::{SqliteStore, accept, factors};
use crate::id::TokenId;
use crate::record::{ApiToken, AuditRow, Change, FactorState, Invitation, Operator, OperatorChange, Role};
use crate::store::{AccountChanged, AccountStore, StoreError};

#[async_trait]
impl AccountStore for SqliteStore {
    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.readers.read(tokens).await
    }

    async fn put_token(&self, token: ApiToken, audit: AuditRow) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                put_token(tx.sql, &token)?;
                accept::audit(tx.sql, &audit)
            })
            .await
    }

    async fn delete_token(&self, id: TokenId, audit: AuditRow) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let deleted = tx
                    .sql
                    .prepare_cached("DELETE FROM tokens WHERE id = ? AND workspace = ?")?
                    .execute(params![blob(&id), blob(&audit.workspace_id)])?;
                if deleted > 0 {
                    accept::audit(tx.sql, &audit)?;
                }
                Ok(deleted > 0)
            })
            .await
    }

    async fn operators(&self, workspace: WorkspaceId) -> Result<Vec<Operator>, StoreError> {
        self.readers
            .read(move |sql| {
                sql.prepare_cached(&format!(
                    "{OPERATORS} WHERE operators.workspace = ? ORDER BY operators.id"
                ))?
                .query_map([blob(&workspace)], operator)?
                .collect()
            })
            .await
    }

    async fn operator(&self, id: OperatorId) -> Result<Option<Operator>, StoreError> {
        self.readers.read(move |sql| operator_with(sql, id)).await
    }

    async fn put_operator(&self, person: Operator, audit: AuditRow) -> Result<AccountChanged, StoreError> {
        self.writer
            .write(move |tx| {
                if email_is_taken(tx.sql, &person.email, person.id, &audit)? {
                    return Ok(AccountChanged::EmailTaken);
                }
                put_operator(tx.sql, &person)?;
                accept::audit(tx.sql, &audit)?;
                Ok(AccountChanged::Done)
            })
            .await
    }

    async fn change_operator(
        &self,
        id: OperatorId,
        change: OperatorChange,
        audit: AuditRow,
    ) -> Result<AccountChanged, StoreError> {
        self.writer.write(move |tx| change_operator(tx.sql, id, &change, &audit)).await
    }

    async fn delete_operator(&self, id: OperatorId, audit: AuditRow) -> Result<AccountChanged, StoreError> {
        self.writer
            .write(move |tx| {
                let known = operator_with(tx.sql, id)?.filter(|who| who.workspace_id == audit.workspace_id);
                let Some(known) = known else { return Ok(AccountChanged::NotFound) };
                if is_last_admin(tx.sql, &known)? {
                    return Ok(AccountChanged::LastAdmin);
                }
                for statement in [
                    "DELETE FROM tokens WHERE operator = ?",
                    "DELETE FROM invitations WHERE operator = ?",
                    "DELETE FROM sessions WHERE operator = ?",
                    "DELETE FROM operators WHERE id = ?",
                ] {
                    tx.sql.prepare_cached(statement)?.execute([blob(&id)])?;
                }
                factors::forget(tx.sql, id)?;
                accept::audit(tx.sql, &audit)?;
                Ok(AccountChanged::Done)
            })
            .await
    }

    async fn put_invitation(&self, invitation: Invitation, audit: AuditRow) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                tx.sql
                    .prepare_cached(
                        "INSERT OR REPLACE INTO invitations (operator, token_hash, expires_at) VALUES (?, ?, ?)",
                    )?
                    .execute(params![
                        blob(&invitation.operator_id),
                        invitation.token_hash,
                        invitation.expires_at.unix_millis()
                    ])?;
                accept::audit(tx.sql, &audit)
            })
            .await
    }

    async fn invited(&self, token_hash: [u8; 32], now: Moment) -> Result<Option<Operator>, StoreError> {
        self.readers.read(move |sql| invited(sql, &token_hash, now)).await
    }

    async fn accept_invitation(
        &self,
        token_hash: [u8; 32],
        password_hash: String,
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let Some(person) = invited(tx.sql, &token_hash, audit.at)? else { return Ok(false) };
                set_password(tx.sql, person.id, &password_hash)?;
                accept::audit(tx.sql, &audit)?;
                Ok(true)
            })
            .await
    }
}

pub(super) const OPERATORS: &str =
    "SELECT operators.*, invitations.expires_at AS invited_until,
        (SELECT wrong_codes FROM factors WHERE factors.operator = operators.id AND is_active = 1) AS wrong_codes
     FROM operators LEFT JOIN invitations ON invitations.operator = operators.id";

pub(super) fn operator(row: &Row<'_>) -> rusqlite::Result<Operator> {
    Ok(Operator {
        id: rows::id(row, "id")?,
        workspace_id: rows::id(row, "workspace")?,
        email: row.get("email")?,
        password_hash: row.get("password_hash")?,
        role: role(row, "role")?,
        created_at: rows::moment(row, "created_at")?,
        invited_until: rows::moment_or_null(row, "invited_until")?,
        second_factor: FactorState::after(row.get("wrong_codes")?),
    })
}

pub(super) fn operator_with(sql: &Connection, id: OperatorId) -> rusqlite::Result<Option<Operator>> {
    sql.prepare_cached(&format!("{OPERATORS} WHERE operators.id = ?"))?
        .query_row([blob(&id)], operator)
        .optional()
}

fn invited(sql: &Connection, token_hash: &[u8; 32], now: Moment) -> rusqlite::Result<Option<Operator>> {
    sql.prepare_cached(&format!(
        "{OPERATORS} WHERE invitations.token_hash = ? AND invitations.expires_at > ?"
    ))?
    .query_row(params![token_hash, now.unix_millis()], operator)
    .optional()
}

pub(super) fn put_operator(sql: &Connection, person: &Operator) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO operators (id, workspace, email, password_hash, role, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        blob(&person.id),
        blob(&person.workspace_id),
        person.email,
        person.password_hash,
        person.role.as_str(),
        person.created_at.unix_millis()
    ])?;
    Ok(())
}

fn change_operator(
    sql: &Connection,
    id: OperatorId,
    change: &OperatorChange,
    audit: &AuditRow,
) -> rusqlite::Result<AccountChanged> {
    let known = operator_with(sql, id)?.filter(|who| who.workspace_id == audit.workspace_id);
    let Some(known) = known else { return Ok(AccountChanged::NotFound) };
    if let Some(email) = &change.email
        && email_is_taken(sql, email, id, audit)?
    {
        return Ok(AccountChanged::EmailTaken);
    }
    if change.instead_of.as_ref().is_some_and(|hash| *hash != known.password_hash) {
        return Ok(AccountChanged::PasswordChanged);
    }
    if change.role.is_some_and(|role| role != Role::Admin) && is_last_admin(sql, &known)? {
        return Ok(AccountChanged::LastAdmin);
    }
    let email = change.email.as_ref().unwrap_or(&known.email);
    let role = change.role.unwrap_or(known.role);
    sql.prepare_cached("UPDATE operators SET email = ?, role = ? WHERE id = ?")?.execute(params![
        email,
        role.as_str(),
        blob(&id)
    ])?;
    // Whoever made the invitation was asked for what the role of then was worth.
    if role != known.role && (role > known.role || !known.password_hash.is_empty()) {
        sql.prepare_cached("DELETE FROM invitations WHERE operator = ?")?.execute([blob(&id)])?;
    }
    if let Some(hash) = &change.password_hash {
        set_password(sql, id, hash)?;
    }
    let told = |role: Role| serde_json::json!({ "role": role.as_str() });
    accept::audit(sql, &audit.clone().changing(Change::between(&told(known.role), &told(role))))?;
    Ok(AccountChanged::Done)
}

fn set_password(sql: &Connection, id: OperatorId, hash: &str) -> rusqlite::Result<()> {
    sql.prepare_cached("UPDATE operators SET password_hash = ? WHERE id = ?")?
        .execute(params![hash, blob(&id)])?;
    sql.prepare_cached("DELETE FROM invitations WHERE operator = ?")?.execute([blob(&id)])?;
    sql.prepare_cached("DELETE FROM sessions WHERE operator = ?")?.execute([blob(&id)])?;
    Ok(())
}

fn email_is_taken(
    sql: &Connection,
    email: &str,
    by_other_than: OperatorId,
    audit: &AuditRow,
) -> rusqlite::Result<bool> {
    sql.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM operators WHERE workspace = ? AND email = ? AND id <> ?)",
    )?
    .query_row(params![blob(&audit.workspace_id), email, blob(&by_other_than)], |row| row.get(0))
}

/// Whoever is invited and has not come yet administers nothing.
fn is_last_admin(sql: &Connection, person: &Operator) -> rusqlite::Result<bool> {
    if person.role != Role::Admin {
        return Ok(false);
    }
    sql.prepare_cached(
        "SELECT NOT EXISTS
         (SELECT 1 FROM operators WHERE workspace = ? AND role = 'admin' AND id <> ? AND password_hash <> '')",
    )?
    .query_row(params![blob(&person.workspace_id), blob(&person.id)], |row| row.get(0))
}

pub(super) fn put_token(sql: &Connection, token: &ApiToken) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO tokens (token_hash, id, workspace, operator, name, role, created_at, last_used_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        token.token_hash,
        blob(&token.id),
        blob(&token.workspace_id),
        blob(&token.operator_id),
        token.name,
        token.role.as_str(),
        token.created_at.unix_millis(),
        token.last_used_at.map(Moment::unix_millis)
    ])?;
    Ok(())
}

fn tokens(sql: &Connection) -> rusqlite::Result<Vec<ApiToken>> {
    let read = |row: &Row<'_>| {
        Ok(ApiToken {
            id: rows::id(row, "id")?,
            workspace_id: rows::id(row, "workspace")?,
            operator_id: rows::id(row, "operator")?,
            name: row.get("name")?,
            role: role(row, "role")?.min(role(row, "operator_role")?),
            token_hash: row.get("token_hash")?,
            created_at: rows::moment(row, "created_at")?,
            last_used_at: rows::moment_or_null(row, "last_used_at")?,
        })
    };
    sql.prepare_cached(
        "SELECT tokens.*, operators.role AS operator_role FROM tokens JOIN operators ON operators.id = tokens.operator
         ORDER BY tokens.id",
    )?
    .query_map([], read)?
    .collect()
}

fn role(row: &Row<'_>, column: &str) -> rusqlite::Result<Role> {
    Role::from_name(row.get_ref(column)?.as_str().map_err(|_| bad("role"))?).ok_or_else(|| bad("role"))
}
