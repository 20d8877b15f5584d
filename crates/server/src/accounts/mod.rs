//! People and API tokens of a workspace: what the API and the dashboard manage them with.
//!
//! Every change has its audit row and counts at once: tokens and roles are looked up in memory, which is read anew.

mod factors;
mod passwords;
mod people;
mod tokens;

use std::sync::Arc;

use crate::clock::Clock;
use crate::directory::{Directory, DirectoryError};
use crate::store::{AccountChanged, Store, StoreError};
use crate::vault::{Vault, VaultError};

pub use people::{Credential, Invited};
pub use tokens::FreshToken;

/// Manages people and tokens.
pub struct Accounts {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    vault: Arc<Vault>,
    clock: Clock,
    turns: passwords::Turns,
}

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The workspace has nobody, or no token, with this id.
    #[error("there is no such operator or token")]
    NotFound,
    /// Somebody else signs in with it.
    #[error("somebody else of the workspace has this email")]
    EmailTaken,
    /// Nobody could administer the workspace any more.
    #[error("the workspace would have no admin left")]
    LastAdmin,
    /// So many tokens or people there may be.
    #[error("a workspace has {0} of them at most; delete one first")]
    TooMany(usize),
    /// Unknown, used, replaced or over.
    #[error("this invitation is not known; it may have been used or replaced, or its time is over")]
    NotInvited,
    /// As many passwords are being hashed, or wait for it, as may.
    #[error("too many passwords are being checked at this moment; try again shortly")]
    Crowded,
    /// Another password has been set since the present one was given.
    #[error("the password was changed meanwhile")]
    PasswordChanged,
    /// One is in use.
    #[error("a second factor is in use already; switch it off first")]
    HasFactor,
    /// No code of the authenticator at this time.
    #[error("the code is wrong")]
    WrongCode,
    /// The second factor is [locked](crate::record::SecondFactor::is_locked).
    #[error("too many wrong codes in a row: codes of the app count no more")]
    FactorLocked,
    /// A secret cannot be decrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The change is stored but could not be read back.
    #[error("the change is stored, but could not be read back: {0}")]
    Unread(DirectoryError),
}

impl Accounts {
    /// Over a store, and the directory to tell of changes.
    pub fn new(store: Arc<dyn Store>, directory: Arc<Directory>, vault: Arc<Vault>, clock: Clock) -> Self {
        Self { store, directory, vault, clock, turns: passwords::Turns::new() }
    }

    async fn publish(&self) -> Result<(), AccountError> {
        self.directory.reload(self.clock.now()).await.map_err(AccountError::Unread)
    }
}

fn check(changed: AccountChanged) -> Result<(), AccountError> {
    match changed {
        AccountChanged::Done => Ok(()),
        AccountChanged::NotFound => Err(AccountError::NotFound),
        AccountChanged::EmailTaken => Err(AccountError::EmailTaken),
        AccountChanged::LastAdmin => Err(AccountError::LastAdmin),
        AccountChanged::PasswordChanged => Err(AccountError::PasswordChanged),
    }
}
