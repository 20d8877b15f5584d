//! What the writer's thread is sent, and what an operation sees while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentflow_events::{Moment, WorkspaceId};
use foldhash::HashMap;
use rusqlite::{CachedStatement, Connection};
use tokio::sync::oneshot;

use super::gathered::Gathered;
use super::hours::Hours;
use super::{finish, rows};
use crate::id::DeliveryId;
use crate::record::Destination;
use crate::store::StoreError;

/// Where a delivery is, as its row will say as long as it is there.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) seq: i64,
    pub(super) created_at: Moment,
}

/// Deliveries that this process holds.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<DeliveryId, Place>>>);

impl Claims {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<DeliveryId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What operations see: the open transaction, and what the writer remembers between them.
pub(super) struct Tx<'a> {
    pub(super) sql: &'a Connection,
    pub(super) cache: &'a mut Cache,
    pub(super) claims: &'a Claims,
    pub(super) effects: &'a mut Effects,
    held: Held<'a>,
}

/// Statements that nearly every operation of a batch runs, held while it lasts: to find one among those that are kept costs as much
/// as to run it.
#[derive(Default)]
struct Held<'a> {
    newest_lead: Option<CachedStatement<'a>>,
    deliver: Option<CachedStatement<'a>>,
}

/// What the operations of a batch add up to.
#[derive(Clone, Default)]
pub(super) struct Effects {
    /// Claims made, and ended where there is no place; applied after the commit.
    pub(super) claimed: HashMap<DeliveryId, Option<Place>>,
    /// Written before the commit.
    pub(super) hours: Hours,
    /// Written before anything might look for it.
    pub(super) gathered: Gathered,
}

impl<'a> Tx<'a> {
    pub(super) fn new(
        sql: &'a Connection,
        cache: &'a mut Cache,
        claims: &'a Claims,
        effects: &'a mut Effects,
    ) -> Self {
        Self { sql, cache, claims, effects, held: Held::default() }
    }

    /// [`rows::NEWEST_LEAD`].
    pub(super) fn newest_lead(&mut self) -> rusqlite::Result<&mut CachedStatement<'a>> {
        hold(self.sql, &mut self.held.newest_lead, rows::NEWEST_LEAD)
    }

    /// [`finish::DELIVER`].
    pub(super) fn deliver(&mut self) -> rusqlite::Result<&mut CachedStatement<'a>> {
        hold(self.sql, &mut self.held.deliver, finish::DELIVER)
    }

    pub(super) fn claimed(&self, id: &DeliveryId) -> Option<Place> {
        self.effects.claimed.get(id).copied().unwrap_or_else(|| self.claims.lock().get(id).copied())
    }

    pub(super) fn is_claimed(&self, id: &DeliveryId) -> bool {
        self.claimed(id).is_some()
    }

    pub(super) fn claim(&mut self, id: DeliveryId, place: Place) {
        self.effects.claimed.insert(id, Some(place));
    }

    pub(super) fn end_claim(&mut self, id: DeliveryId) {
        self.effects.claimed.insert(id, None);
    }

    /// Writes the rows that were gathered, so that SQL sees them.
    pub(super) fn write_gathered(&mut self) -> rusqlite::Result<()> {
        let Effects { claimed, gathered, .. } = &mut *self.effects;
        gathered.write(self.sql, claimed)
    }
}

fn hold<'s, 'a>(
    sql: &'a Connection,
    held: &'s mut Option<CachedStatement<'a>>,
    text: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'a>> {
    let statement = match held.take() {
        Some(statement) => statement,
        None => sql.prepare_cached(text)?,
    };
    Ok(held.insert(statement))
}

/// Rows that nearly every write needs. All their changes go through the writer; forgotten after a roll back.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) destinations: Option<Vec<Destination>>,
    pub(super) first_wait_seconds: HashMap<WorkspaceId, u32>,
    /// Numbers of `attempt_targets` rows by URL and agent.
    pub(super) attempt_targets: HashMap<(Arc<str>, Arc<str>), i64>,
}

/// What is to be done in a transaction, and whom to tell.
pub(super) trait Operation: Send {
    /// May run again, after what it did was rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;

    /// Tells the caller, who finds that nothing else holds what it handed in.
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

/// A write that waits.
pub(super) struct Job {
    pub(super) operation: Box<dyn Operation>,
    /// Whether it leaves rows to be written with those of others, and looks for what it reads among them; see
    /// [`super::gathered`].
    pub(super) gathers: bool,
}

impl Job {
    /// Runs the operation. `alone`: what it gathers is written at once, so that its failure is its own.
    pub(super) fn run_in(&mut self, tx: &mut Tx<'_>, alone: bool) -> rusqlite::Result<()> {
        let writes = alone || !self.gathers;
        if writes {
            tx.write_gathered()?;
        }
        self.operation.run(tx)?;
        if writes { tx.write_gathered() } else { Ok(()) }
    }

    pub(super) fn answer(self, result: Result<(), StoreError>) {
        self.operation.answer(result);
    }
}

/// What the thread is sent.
pub(super) enum Message {
    Job(Job),
    LogPending,
    Close(oneshot::Sender<()>),
}
