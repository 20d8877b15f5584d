//! The only reader of time. Everything else is handed a [`Moment`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentflow_events::Moment;

/// Where the server reads time from: the system's clock, or one that a test drives.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Unix milliseconds; absent: the system's clock.
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until [`advance`](Self::advance) moves it; clones share it.
    pub fn manual(start: Moment) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(start.unix_millis()))) }
    }

    /// The present moment, to the millisecond.
    pub fn now(&self) -> Moment {
        let millis = match &self.manual {
            Some(millis) => millis.load(Ordering::Acquire),
            None => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(_) => 0,
            },
        };
        Moment::from_unix_millis(millis)
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.manual {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::AcqRel);
        }
    }
}
