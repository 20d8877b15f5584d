//! What the writer's thread is sent, and what an operation sees while it runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentflow_events::WorkspaceId;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::hours::Hours;
use crate::id::DeliveryId;
use crate::record::Destination;
use crate::store::StoreError;

/// Deliveries that this process holds.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<DeliveryId>>>);

impl Claims {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashSet<DeliveryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What operations see: the open transaction, and what the writer remembers between them.
pub(super) struct Tx<'a> {
    pub(super) sql: &'a Connection,
    pub(super) cache: &'a mut Cache,
    pub(super) claims: &'a Claims,
    pub(super) effects: &'a mut Effects,
}

/// What the operations of a batch add up to.
#[derive(Clone, Default)]
pub(super) struct Effects {
    /// Claims made and ended; applied after the commit.
    pub(super) claimed: HashMap<DeliveryId, bool>,
    /// Written before the commit.
    pub(super) hours: Hours,
}

impl Tx<'_> {
    pub(super) fn is_claimed(&self, id: &DeliveryId) -> bool {
        self.effects.claimed.get(id).copied().unwrap_or_else(|| self.claims.lock().contains(id))
    }

    pub(super) fn claim(&mut self, id: DeliveryId) {
        self.effects.claimed.insert(id, true);
    }

    pub(super) fn end_claim(&mut self, id: DeliveryId) {
        self.effects.claimed.insert(id, false);
    }
}

/// Rows that nearly every write needs. All their changes go through the writer; forgotten after a roll back.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) destinations: Option<Vec<Destination>>,
    pub(super) first_wait_seconds: HashMap<WorkspaceId, u32>,
    /// Numbers of `attempt_targets` rows by URL and agent.
    pub(super) attempt_targets: HashMap<(Arc<str>, Arc<str>), i64>,
}

type Run = Box<dyn FnMut(&mut Tx<'_>) -> Result<(), rusqlite::Error> + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A write that waits.
pub(super) struct Job {
    pub(super) run: Run,
    pub(super) answer: Answer,
}

impl Job {
    /// Tells the caller, who finds that nothing else holds what it handed in.
    pub(super) fn answer(self, result: Result<(), StoreError>) {
        drop(self.run);
        (self.answer)(result);
    }
}

/// What the thread is sent.
pub(super) enum Message {
    Job(Job),
    LogPending,
    Close(oneshot::Sender<()>),
}
