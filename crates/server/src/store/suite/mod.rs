//! The tests that every store must pass, written against the traits alone.
//!
//! Whoever writes a store implements [`Harness`] and calls [`store_suite!`](crate::store_suite) once: each case becomes a
//! test of its own over a fresh store. Every call is handed its moment, so no case sleeps or reads a clock.
//!
//! One thing is asked beyond the traits' words: what [`log`](super::IntakeStore::log) was handed before a write that the
//! caller waits for can be read once that write has returned.

use std::sync::Arc;

use async_trait::async_trait;

use super::Store;

mod sent;
mod world;

pub use world::Outcome;

/// Makes stores for the cases.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A fresh, empty store; a further call makes another one.
    async fn open(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again over the same data, as a restart of the process does.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}
