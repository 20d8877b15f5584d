//! The store: what every backend must do, one trait for each stage that uses it.
//!
//! Promises that every implementation keeps, and that `suite` tests:
//!
//! - What a call acknowledges is on the disk: synced before the call returns. A call that fails has changed nothing.
//! - A call is one transaction. Nothing of it can be seen without the rest.
//! - Unique, by the store itself: one open lead for an email and workspace; one event of a type for a lead; one accepted
//!   body for an endpoint within the duplicate window; one lead for an idempotency key.
//! - Whoever changes a lead says on which version the change rests; a lead that has moved on is not changed.
//! - A failed sync is never retried: the store [fails](Store::failed) and refuses everything from then on.

mod accounts;
mod admin;
mod delivery;
mod factors;
mod intake;
mod overview;
mod query;
mod session;
pub mod sqlite;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use accounts::{AccountChanged, AccountStore};
pub use admin::{AdminStore, Founding, SealedIn, SecretDropped};
pub use delivery::{Cancelled, DeliveryStore, ResendFilter};
pub use factors::FactorStore;
pub use intake::{Accept, Accepted, Basis, Decide, Decided, IntakeStore, LeadWrite, Seen, SeenQuery};
pub use overview::{Health, Overview, OverviewStore, SCORED_MAX, ScoreCounts, Step};
pub use query::{
    AuditFilter, Cursor, DeliveryFilter, InboundLogFilter, LeadFilter, NoCursor, Page, PageRequest,
    QueryStore, Submissions,
};
pub use session::{Proven, SessionStore};

/// Everything a backend does.
#[async_trait::async_trait]
pub trait Store:
    IntakeStore
    + DeliveryStore
    + QueryStore
    + AdminStore
    + AccountStore
    + FactorStore
    + SessionStore
    + OverviewStore
{
    /// Waits until the store can never again be trusted to write (a sync failed, its writer died), and says why. The
    /// server stops then.
    async fn failed(&self) -> String;

    /// Whether a write would be accepted now, tried with a real one.
    ///
    /// # Errors
    /// Why not.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Commits what is waiting, moves the log into the main file and closes. Later calls fail.
    async fn close(&self);
}

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The queue of waiting writes is full; try again in a second.
    #[error("the store's queue is full; try again shortly")]
    Overloaded,
    /// No space is left; nothing was written.
    #[error("the disk of the data folder is full; free some space")]
    DiskFull,
    /// The store has failed or is closed; see [`Store::failed`].
    #[error("the store has stopped: {0}")]
    Stopped(String),
    /// What is there cannot be opened: of another program, of a newer version, in use, or broken. The caller names the path.
    #[error("{0}")]
    Unusable(String),
    /// The backend refused one operation.
    #[error("the store could not do it: {0}")]
    Backend(String),
}
