//! A store that does not give up on work that is done.

use std::time::Duration;

use agentflow_events::Moment;
use agentflow_events::idempotency::{Begin, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore};
use tokio::time::{Instant, sleep};

/// Between attempts to record work that is done: doubled from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A store whose commit is tried again while the claim lasts: the work is done, and to give up is to have it done twice.
pub(crate) struct Patient<'a, S> {
    store: &'a S,
    lease: Duration,
}

impl<'a, S: IdempotencyStore> Patient<'a, S> {
    pub(crate) fn new(store: &'a S, lease: Duration) -> Self {
        Self { store, lease }
    }

    async fn insist<F>(&self, attempt: impl Fn() -> F) -> Result<(), ClaimError<S::Error>>
    where
        F: Future<Output = Result<(), ClaimError<S::Error>>>,
    {
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            match attempt().await {
                Err(ClaimError::Store(_)) if begun.elapsed() + wait < self.lease => sleep(wait).await,
                ended => return ended,
            }
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }
}

impl<S: IdempotencyStore> IdempotencyStore for Patient<'_, S> {
    type Error = S::Error;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> Result<Begin, S::Error> {
        self.store.begin(key, now, lease).await
    }

    async fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<S::Error>> {
        self.insist(|| self.store.commit(key, token, now)).await
    }

    async fn abort(&self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<S::Error>> {
        // One failure is left to the lease: the sender waits for its answer.
        self.store.abort(key, token).await
    }

    async fn purge(&self, older_than: Moment) -> Result<u64, S::Error> {
        self.store.purge(older_than).await
    }
}
