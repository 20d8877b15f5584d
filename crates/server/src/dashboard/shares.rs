//! Places by whose they are, so that one alone does not take all that there are.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places for each.
pub(super) struct Shares<K> {
    each_max: usize,
    /// Of whoever has a place, or waits for one.
    by_owner: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    pub(super) fn new(each_max: usize) -> Self {
        Self { each_max, by_owner: Mutex::default() }
    }

    /// A place for the owner, until it is dropped; waits for one.
    pub(super) async fn take(&self, owner: K) -> Option<OwnedSemaphorePermit> {
        self.of(owner).acquire_owned().await.ok()
    }

    /// The same at once, where one is free.
    pub(super) fn try_take(&self, owner: K) -> Option<OwnedSemaphorePermit> {
        self.of(owner).try_acquire_owned().ok()
    }

    fn of(&self, owner: K) -> Arc<Semaphore> {
        let mut all = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        // A place and a wait keep their semaphore; what nobody else keeps is as good as new.
        all.retain(|_, places| Arc::strong_count(places) > 1);
        Arc::clone(all.entry(owner).or_insert_with(|| Arc::new(Semaphore::new(self.each_max))))
    }
}

#[cfg(test)]
mod tests {
    use super::Shares;

    #[tokio::test]
    async fn each_has_as_many_places_and_none_is_forgotten_while_it_is_taken() {
        let shares = Shares::new(2);
        let (first, second) = (shares.try_take("a"), shares.try_take("a"));
        assert!(first.is_some() && second.is_some() && shares.try_take("a").is_none());
        assert!(shares.try_take("b").is_some());
        assert!(shares.try_take("a").is_none());
        drop(first);
        assert!(shares.take("a").await.is_some());
        drop(second);
        drop(shares.of("c"));
        assert_eq!(shares.by_owner.lock().unwrap().len(), 1);
    }
}
