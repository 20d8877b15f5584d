//! Sign-ins to the dashboard.

use agentflow_events::{Moment, OperatorId};
use async_trait::async_trait;

use super::StoreError;
use crate::id::SessionId;
use crate::record::{AuditRow, Operator, Session};

/// What whoever signs in has proven.
#[derive(Clone)]
pub struct Proven {
    /// The password that was given had this hash.
    pub password_hash: String,
    /// A code of the second factor was given, too.
    pub by_code: bool,
}

/// The dashboard's sessions. How long one lasts is the caller's to judge; what is past both `Ends` is deleted on the way.
///
/// # Errors
/// Every call fails where the store cannot be read or written; nothing was changed then.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Everybody with this email, in any workspace, oldest first. Case does not matter, at least for ASCII.
    async fn operators_by_email(&self, email: &str) -> Result<Vec<Operator>, StoreError>;

    /// Stores a session, with its audit row; deletes sessions that began before `begun_before` or were last used before
    /// `seen_before`. False: the person is gone, has another password by now than was proven, or a second factor of which no
    /// code was given; nothing was changed.
    async fn open_session(
        &self,
        session: Session,
        proven: Proven,
        begun_before: Moment,
        seen_before: Moment,
        audit: AuditRow,
    ) -> Result<bool, StoreError>;

    /// The session with this token, and its operator as they are now.
    async fn session(&self, token_hash: [u8; 32]) -> Result<Option<(Session, Operator)>, StoreError>;

    /// Notes that a session was used.
    async fn touch_session(&self, id: SessionId, at: Moment) -> Result<(), StoreError>;

    /// The sessions of one person, newest first.
    async fn sessions(&self, operator: OperatorId) -> Result<Vec<Session>, StoreError>;

    /// Ends one session of a person, or (without an id) all of them; with an audit row where there is one and any ended. Answers
    /// how many did.
    async fn close_sessions(
        &self,
        operator: OperatorId,
        id: Option<SessionId>,
        audit: Option<AuditRow>,
    ) -> Result<u64, StoreError>;
}
