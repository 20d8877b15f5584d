//! The one place where passwords are hashed and checked. Each takes 19 MiB and a core for tens of milliseconds, so all of them
//! take turns, whoever asks.

use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{AccountError, Accounts};
use crate::password;
use crate::record::Operator;

/// Turns at hashing.
pub(super) struct Turns {
    hashing: Arc<Semaphore>,
    /// Whoever hashes or waits for it; more are refused.
    places: Arc<Semaphore>,
}

impl Turns {
    const HASHING_MAX: usize = 2;
    const PLACES: usize = 64;

    pub(super) fn new() -> Self {
        Self {
            hashing: Arc::new(Semaphore::new(Self::HASHING_MAX)),
            places: Arc::new(Semaphore::new(Self::PLACES)),
        }
    }

    async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| AccountError::Crowded)?;
        let turn = Arc::clone(&self.hashing).acquire_owned().await.expect("the semaphore is never closed");
        let worked = tokio::task::spawn_blocking(move || {
            // Held by the work itself, which goes on when whoever asked hangs up.
            let _held = (place, turn);
            work()
        });
        Ok(worked.await.expect("hashing neither panics nor is it aborted"))
    }
}

impl Accounts {
    /// The operator, where this is their password. Takes as long for nobody, and for whoever is invited and has none yet.
    ///
    /// # Errors
    /// [`AccountError::Crowded`].
    pub async fn check_password(
        &self,
        operator: Option<Operator>,
        password: Zeroizing<String>,
    ) -> Result<Option<Operator>, AccountError> {
        static NOBODYS: LazyLock<String> = LazyLock::new(|| password::hash(&password::generate()));
        let check = move || {
            let nobodys = NOBODYS.as_str();
            let hash = operator.as_ref().map(|operator| operator.password_hash.as_str());
            let hash = hash.filter(|hash| !hash.is_empty()).unwrap_or(nobodys);
            let is_right = password::is_right(&password, hash);
            operator.filter(|operator| is_right && !operator.password_hash.is_empty())
        };
        self.turns.take(check).await
    }

    pub(super) async fn hash(&self, password: Zeroizing<String>) -> Result<String, AccountError> {
        self.turns.take(move || password::hash(&password)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::Turns;
    use crate::accounts::AccountError;

    #[tokio::test]
    async fn whoever_hangs_up_gives_no_turn_back_before_the_work_is_done() {
        let turns = Turns::new();
        let (begun, running) = tokio::sync::oneshot::channel();
        let (gate, opened) = channel::<()>();
        let (done, ended) = tokio::sync::oneshot::channel();
        let work = turns.take(move || {
            begun.send(()).ok();
            opened.recv().ok();
            done.send(()).ok();
        });
        tokio::select! {
            _ = work => panic!("the work waits for the gate"),
            began = running => began.expect("it has begun"),
        }
        assert_eq!(turns.hashing.available_permits(), Turns::HASHING_MAX - 1);
        drop(gate);
        ended.await.expect("it goes on to its end");
        // Given back right after the work, on its own thread.
        let all = turns.hashing.acquire_many(Turns::HASHING_MAX as u32).await;
        assert!(all.is_ok());
    }

    #[tokio::test]
    async fn more_than_there_are_places_for_are_refused_at_once() {
        let turns = Turns::new();
        let held = turns.places.acquire_many(Turns::PLACES as u32).await;
        assert!(matches!(turns.take(|| ()).await, Err(AccountError::Crowded)));
        drop(held);
        assert!(turns.take(|| ()).await.is_ok());
    }
}
