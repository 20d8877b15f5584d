//! A sign-in to the dashboard.

use agentflow_events::{Moment, OperatorId, WorkspaceId};

use crate::id::SessionId;

/// One browser in which an operator is signed in. Its token is kept as a hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Id, by which it can be ended.
    pub id: SessionId,
    /// Workspace of the operator.
    pub workspace_id: WorkspaceId,
    /// Who is signed in.
    pub operator_id: OperatorId,
    /// SHA-256 of the token in the browser's cookie.
    pub token_hash: [u8; 32],
    /// When the operator signed in.
    pub created_at: Moment,
    /// When it was last used, to the minute.
    pub seen_at: Moment,
    /// The address that signed in.
    pub remote_addr: String,
    /// What the browser calls itself, clipped.
    pub user_agent: String,
}
