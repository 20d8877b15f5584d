//! Workspaces, credentials, people and destinations, and the upkeep of the store.

use std::time::Duration;

use agentflow_events::{Moment, OperatorId, WorkspaceId};
use async_trait::async_trait;

use super::StoreError;
use crate::id::{DestinationId, EndpointId, SecretId, TokenId};
use crate::record::{
    ApiToken, AuditRow, Destination, DestinationChange, Endpoint, Operator, SealedBytes, SecretRow,
    SecretUses, Settings, Workspace,
};

/// Everything a new workspace begins with, in one transaction.
#[derive(Clone)]
pub struct Founding {
    /// The workspace.
    pub workspace: Workspace,
    /// Its inbound endpoint.
    pub endpoint: Endpoint,
    /// Its inbound and outbound secrets.
    pub secrets: [SecretRow; 2],
    /// Its first admin.
    pub admin: Operator,
    /// The admin's API token.
    pub token: ApiToken,
}

/// What became of a secret that was to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretDropped {
    /// It is gone: the one before it stays, where it waited for its time.
    Done,
    /// It is the present one of its direction. Nothing was changed.
    Present,
    /// The workspace has none with this id.
    NotFound,
}

/// The row that a sealed value stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedIn {
    /// A signing secret's.
    Secret(SecretId),
    /// An endpoint's, whose token it is.
    Endpoint(EndpointId),
    /// A person's, whose authenticator it belongs to.
    Factor(OperatorId),
}

impl SealedIn {
    /// The row's id, to which the vault binds the value.
    pub fn id(&self) -> String {
        match self {
            SealedIn::Secret(id) => id.to_string(),
            SealedIn::Endpoint(id) => id.to_string(),
            SealedIn::Factor(id) => id.to_string(),
        }
    }
}

/// The administration's part of the store. Each change carries its audit row, committed with it.
///
/// # Errors
/// Every call fails where the store cannot be read or written; nothing was changed then.
#[async_trait]
pub trait AdminStore: Send + Sync + 'static {
    /// Makes a workspace.
    async fn found(&self, founding: Founding) -> Result<(), StoreError>;

    /// Every workspace.
    async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError>;

    /// Every live endpoint.
    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;

    /// Every secret that has not expired at `now`, with those whose time is still to come.
    async fn secrets(&self, now: Moment) -> Result<Vec<SecretRow>, StoreError>;

    /// Puts new settings in place.
    async fn put_settings(&self, settings: Settings, audit: AuditRow) -> Result<(), StoreError>;

    /// Puts a new secret in place, from its `active_from` on; the present one of its direction expires at `old_expires_at`, and earlier ones no later.
    async fn rotate_secret(
        &self,
        secret: SecretRow,
        old_expires_at: Moment,
        audit: AuditRow,
    ) -> Result<(), StoreError>;

    /// Deletes a secret that is not the present one of its direction at the audit row's time. Where it waited for its time, the
    /// present one has no end again.
    async fn drop_secret(&self, id: SecretId, audit: AuditRow) -> Result<SecretDropped, StoreError>;

    /// Adds uses of secrets and notes the last ones of tokens. What is gone meanwhile is passed over.
    async fn note_uses(
        &self,
        secrets: Vec<SecretUses>,
        tokens: Vec<(TokenId, Moment)>,
    ) -> Result<(), StoreError>;

    /// Every value that was sealed with the master key, of every workspace, expired ones too.
    async fn sealed(&self) -> Result<Vec<(SealedIn, SealedBytes)>, StoreError>;

    /// Puts other sealed values in place, all of them in one transaction, and leaves no trace of the old ones in the file.
    async fn reseal(&self, values: Vec<(SealedIn, SealedBytes)>) -> Result<(), StoreError>;

    /// Puts a new endpoint in place of every live one of its workspace.
    async fn rotate_endpoint(&self, endpoint: Endpoint, audit: AuditRow) -> Result<(), StoreError>;

    /// Destinations of a workspace, oldest first.
    async fn destinations(&self, workspace: WorkspaceId) -> Result<Vec<Destination>, StoreError>;

    /// Every destination of every workspace.
    async fn all_destinations(&self) -> Result<Vec<Destination>, StoreError>;

    /// Inserts a destination, or puts it in place of the one with the same id.
    async fn put_destination(&self, destination: Destination, audit: AuditRow) -> Result<(), StoreError>;

    /// Changes a destination as it stands at the commit; what the change leaves out stays. Enabling clears why it was
    /// disabled. Answers what it is then; nothing where its workspace, the audit row's, has none with this id.
    async fn change_destination(
        &self,
        id: DestinationId,
        change: DestinationChange,
        audit: AuditRow,
    ) -> Result<Option<Destination>, StoreError>;

    /// Deletes a destination; its pending deliveries are cancelled, finished ones stay. False: there is none.
    async fn delete_destination(&self, id: DestinationId, audit: AuditRow) -> Result<bool, StoreError>;

    /// Writes an audit row that stands alone, for instance when a secret was shown.
    async fn audit(&self, audit: AuditRow) -> Result<(), StoreError>;

    /// The newest audit rows of a workspace.
    async fn audit_rows(&self, workspace: WorkspaceId, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// One small step of upkeep: forgets bodies, keys, secrets and rejected log rows that are past their time, deletes
    /// closed leads past their workspace's retention. Bounded work; answers whether more is left.
    async fn upkeep(&self, now: Moment, rejected_log_kept: Duration) -> Result<bool, StoreError>;
}
