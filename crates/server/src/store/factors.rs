//! Second factors of people: an authenticator each, and codes for when it is lost.

use agentflow_events::OperatorId;
use async_trait::async_trait;

use super::StoreError;
use crate::id::SessionId;
use crate::record::{AuditRow, SealedBytes, SecondFactor};

/// The second factors' part of the store. Each change carries its audit row, committed with it where anything is changed; who is
/// not of the audit row's workspace does not exist. Whoever is deleted leaves none.
///
/// # Errors
/// Every call fails where the store cannot be read or written; nothing was changed then.
#[async_trait]
pub trait FactorStore: Send + Sync + 'static {
    /// A person's authenticator, active or not yet.
    async fn factor(&self, operator: OperatorId) -> Result<Option<SecondFactor>, StoreError>;

    /// Puts the secret of an authenticator in place that is not active yet, begun in this session at the audit row's time; an
    /// earlier one that is not goes. False: the person has an active one, or is not there.
    async fn put_factor(
        &self,
        operator: OperatorId,
        secret: SealedBytes,
        begun_in: SessionId,
        audit: AuditRow,
    ) -> Result<bool, StoreError>;

    /// Makes the authenticator active that still has this secret, with `step` used and these recovery codes. Ends every other
    /// session of the person than `kept`. False: there is none such.
    async fn activate_factor(
        &self,
        factor: SecondFactor,
        step: u64,
        recovery_hashes: Vec<[u8; 32]>,
        kept: SessionId,
        audit: AuditRow,
    ) -> Result<bool, StoreError>;

    /// Uses up a code of an active authenticator, and those of earlier steps; wrong ones are forgotten. False: it was used before,
    /// or none is active that is not [locked](SecondFactor::is_locked).
    async fn use_step(&self, operator: OperatorId, step: u64) -> Result<bool, StoreError>;

    /// Counts a wrong code towards the lock of an active authenticator; the audit row is written with the one that locks it.
    async fn count_wrong_code(&self, operator: OperatorId, audit: AuditRow) -> Result<(), StoreError>;

    /// Uses up a recovery code; wrong ones are forgotten, and a lock goes. False: there is no such code.
    async fn use_recovery_code(
        &self,
        operator: OperatorId,
        hash: [u8; 32],
        audit: AuditRow,
    ) -> Result<bool, StoreError>;

    /// Deletes an authenticator with its recovery codes. False: there is none.
    async fn delete_factor(&self, operator: OperatorId, audit: AuditRow) -> Result<bool, StoreError>;
}
