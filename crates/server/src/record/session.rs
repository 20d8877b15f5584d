//! A sign-in to the dashboard, and what it may ask for beside the password.

use agentflow_events::{Moment, OperatorId, WorkspaceId};

use super::SealedBytes;
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

/// A person's authenticator app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    /// Whose it is; what its secret is sealed for.
    pub operator_id: OperatorId,
    /// What codes are made from.
    pub secret: SealedBytes,
    /// The session in which its set-up began.
    pub begun_in: SessionId,
    /// When it began.
    pub begun_at: Moment,
    /// Whether a code of it was given, since when a sign-in asks for one.
    pub is_active: bool,
    /// Recovery codes that are left.
    pub recovery_codes: u32,
    /// Wrong codes given in a row, since the last that was right.
    pub wrong_codes: u32,
}

impl SecondFactor {
    /// After so many wrong codes in a row, over however many days, those of the app count no more (NIST SP 800-63B, 5.2.2): only
    /// somebody who has the password can give any, and would guess one in time.
    pub const WRONG_CODES_MAX: u32 = 100;

    /// Whether its codes count no more.
    pub fn is_locked(&self) -> bool {
        FactorState::after(Some(self.wrong_codes)) == FactorState::Locked
    }
}

/// Whether a sign-in asks for a code after the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorState {
    /// It does not.
    Off,
    /// It does.
    On,
    /// It does, and takes recovery codes alone: the factor is [locked](SecondFactor::is_locked).
    Locked,
}

impl FactorState {
    /// The state of an active factor with so many wrong codes in a row; absent: there is none.
    pub fn after(wrong_codes: Option<u32>) -> Self {
        match wrong_codes {
            None => Self::Off,
            Some(wrong) if wrong >= SecondFactor::WRONG_CODES_MAX => Self::Locked,
            Some(_) => Self::On,
        }
    }
}
