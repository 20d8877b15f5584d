//! People and their API tokens.

use agentflow_events::{Moment, OperatorId, WorkspaceId};
use async_trait::async_trait;

use super::StoreError;
use crate::id::TokenId;
use crate::record::{ApiToken, AuditRow, Invitation, Operator, OperatorChange};

/// What became of a change of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountChanged {
    /// Committed.
    Done,
    /// The workspace has nobody with this id. Nothing was written.
    NotFound,
    /// Somebody else of the workspace signs in with this email. Nothing was written.
    EmailTaken,
    /// It would leave the workspace without an admin who can sign in. Nothing was written.
    LastAdmin,
    /// The present password is not the one that was to be replaced. Nothing was written.
    PasswordChanged,
}

/// The accounts' part of the store. Each change carries its audit row, committed with it where anything is changed; what is
/// not of the audit row's workspace does not exist.
///
/// # Errors
/// Every call fails where the store cannot be read or written; nothing was changed then.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Every API token of every workspace. One that was given a higher role than its operator has now has the operator's.
    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// Inserts a token.
    async fn put_token(&self, token: ApiToken, audit: AuditRow) -> Result<(), StoreError>;

    /// Deletes a token. False: there is none.
    async fn delete_token(&self, id: TokenId, audit: AuditRow) -> Result<bool, StoreError>;

    /// The people of a workspace, oldest first.
    async fn operators(&self, workspace: WorkspaceId) -> Result<Vec<Operator>, StoreError>;

    /// One person.
    async fn operator(&self, id: OperatorId) -> Result<Option<Operator>, StoreError>;

    /// Inserts a person.
    async fn put_operator(&self, operator: Operator, audit: AuditRow) -> Result<AccountChanged, StoreError>;

    /// Changes a person as it stands at the commit. A new password ends an invitation and every session; a higher role ends an
    /// invitation, and so does any other role where there is a password.
    async fn change_operator(
        &self,
        id: OperatorId,
        change: OperatorChange,
        audit: AuditRow,
    ) -> Result<AccountChanged, StoreError>;

    /// Deletes a person, with tokens, sessions, invitation and second factor.
    async fn delete_operator(&self, id: OperatorId, audit: AuditRow) -> Result<AccountChanged, StoreError>;

    /// Puts an invitation in place of an earlier one of the same person.
    async fn put_invitation(&self, invitation: Invitation, audit: AuditRow) -> Result<(), StoreError>;

    /// The person whom an invitation that can be used at `now` is for.
    async fn invited(&self, token_hash: [u8; 32], now: Moment) -> Result<Option<Operator>, StoreError>;

    /// Uses an invitation up: sets the password, which ends every session. False: it cannot be used at the audit row's time, or was meanwhile.
    async fn accept_invitation(
        &self,
        token_hash: [u8; 32],
        password_hash: String,
        audit: AuditRow,
    ) -> Result<bool, StoreError>;
}
