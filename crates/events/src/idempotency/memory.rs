//! A store for one process.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Moment;
use crate::idempotency::{Begin, Claim, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore};

/// An [`IdempotencyStore`] in memory: for tests, and for receivers that may do work twice after a restart.
///
/// It lives as long as the process and knows nothing of other processes. It is not bounded, for to forget finished
/// work on its own would be to do it twice: about 100 bytes a key, until [`purge`](IdempotencyStore::purge) is called.
/// It has no background task, and no call waits for anything but a lock held for one look-up (a purge: one pass).
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    by_key: HashMap<IdempotencyKey, Record>,
    last_token: u64,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    token: FencingToken,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    InFlight { until: Moment },
    Done { at: Moment },
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys it remembers, done or in flight.
    pub fn len(&self) -> usize {
        self.records().by_key.len()
    }

    /// Whether it remembers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // Nothing that can panic runs between two changes that belong together, so a poisoned lock guards sound records.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn begin(&mut self, key: IdempotencyKey, now: Moment, lease: Duration) -> Begin {
        match self.by_key.get(&key).map(|record| record.state) {
            Some(State::Done { .. }) => return Begin::Done,
            Some(State::InFlight { until }) if now < until => return Begin::InFlight { until },
            Some(State::InFlight { .. }) | None => {}
        }
        self.last_token += 1;
        let token = FencingToken::new(self.last_token);
        self.by_key.insert(key, Record { token, state: State::InFlight { until: now.plus(lease) } });
        Begin::Fresh(Claim { token })
    }

    fn commit(
        &mut self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<Infallible>> {
        let record =
            self.by_key.get_mut(&key).filter(|record| record.token == token).ok_or(ClaimError::NotHeld)?;
        if let State::InFlight { .. } = record.state {
            record.state = State::Done { at: now };
        }
        Ok(())
    }

    fn abort(&mut self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<Infallible>> {
        match self.by_key.get(&key) {
            Some(Record { token: holder, state: State::InFlight { .. } }) if *holder == token => {
                self.by_key.remove(&key);
                Ok(())
            }
            _ => Err(ClaimError::NotHeld),
        }
    }

    fn purge(&mut self, older_than: Moment) -> u64 {
        let before = self.by_key.len();
        self.by_key.retain(|_, record| match record.state {
            State::InFlight { until } => until >= older_than,
            State::Done { at } => at >= older_than,
        });
        (before - self.by_key.len()) as u64
    }
}

impl IdempotencyStore for MemoryStore {
    type Error = Infallible;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> Result<Begin, Infallible> {
        Ok(self.records().begin(key, now, lease))
    }

    async fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<Infallible>> {
        self.records().commit(key, token, now)
    }

    async fn abort(&self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<Infallible>> {
        self.records().abort(key, token)
    }

    async fn purge(&self, older_than: Moment) -> Result<u64, Infallible> {
        Ok(self.records().purge(older_than))
    }
}
