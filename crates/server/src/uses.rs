//! When credentials were used last, and how often: counted in memory, for the store to take with its upkeep.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use agentflow_events::Moment;

/// Uses since the store was told. One addition and one comparison each; a crash loses at most a minute of them.
#[derive(Debug)]
pub(crate) struct Uses {
    more: AtomicU64,
    last_millis: AtomicI64,
}

impl Default for Uses {
    fn default() -> Self {
        Self { more: AtomicU64::new(0), last_millis: AtomicI64::new(i64::MIN) }
    }
}

impl Uses {
    /// Counts one.
    pub(crate) fn note(&self, now: Moment) {
        self.last_millis.fetch_max(now.unix_millis(), Ordering::Relaxed);
        self.more.fetch_add(1, Ordering::Relaxed);
    }

    /// How many more there are, and the last of them.
    pub(crate) fn seen(&self) -> Option<(u64, Moment)> {
        self.told(self.more.load(Ordering::Relaxed))
    }

    /// The same, to be told to the store.
    pub(crate) fn take(&self) -> Option<(u64, Moment)> {
        self.told(self.more.swap(0, Ordering::Relaxed))
    }

    /// The store could not be told: they are counted next time.
    pub(crate) fn give_back(&self, more: u64) {
        self.more.fetch_add(more, Ordering::Relaxed);
    }

    fn told(&self, more: u64) -> Option<(u64, Moment)> {
        let last = self.last_millis.load(Ordering::Relaxed);
        (more > 0 && last > i64::MIN).then(|| (more, Moment::from_unix_millis(last)))
    }
}
