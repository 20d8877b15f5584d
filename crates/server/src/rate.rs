//! Rate limits, one bucket for each key: the generic cell rate algorithm, with `now` passed in.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentflow_events::Moment;

/// At most so many requests a second for a key, with one second's worth as a burst.
pub struct RateLimiter<K> {
    nanos_per_request: i128,
    burst_nanos: i128,
    /// When a key's bucket is full again, unix nanoseconds. A key without an entry is full.
    full_at: Mutex<HashMap<K, i128>>,
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// Keys remembered before those whose bucket is full are forgotten.
    const KEYS_KEPT: usize = 65_536;

    /// A limit of `requests_per_second`, at least 1.
    pub fn new(requests_per_second: u32) -> Self {
        let nanos_per_request = 1_000_000_000 / i128::from(requests_per_second.max(1));
        Self { nanos_per_request, burst_nanos: 1_000_000_000, full_at: Mutex::default() }
    }

    /// Takes one request from the key's bucket.
    ///
    /// # Errors
    /// How long to wait where the bucket is empty.
    pub fn take(&self, key: K, now: Moment) -> Result<(), Duration> {
        let now = i128::from(now.unix_millis()) * 1_000_000;
        let mut full_at = self.lock();
        if full_at.len() >= Self::KEYS_KEPT && !full_at.contains_key(&key) {
            full_at.retain(|_, at| *at > now);
            if full_at.len() >= Self::KEYS_KEPT {
                // As many keys are busy as can be remembered; a stranger waits rather than grow the map.
                return Err(Duration::from_secs(1));
            }
        }
        // No bucket takes longer to fill than this, unless the clock was set back since: then it starts anew.
        let latest = now + self.burst_nanos + self.nanos_per_request;
        let known = full_at.get(&key).copied().filter(|&at| at <= latest);
        let at = known.unwrap_or(now).max(now) + self.nanos_per_request;
        let wait = at - now - self.burst_nanos;
        if wait > 0 {
            return Err(Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)));
        }
        full_at.insert(key, at);
        Ok(())
    }

    /// Gives one request back, for what turned out not to count.
    pub fn give_back(&self, key: &K) {
        if let Some(at) = self.lock().get_mut(key) {
            *at -= self.nanos_per_request;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, i128>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::RateLimiter;

    fn at(millis: i64) -> Moment {
        Moment::from_unix_millis(1_700_000_000_000 + millis)
    }

    #[test]
    fn starts_anew_when_the_clock_is_set_back() {
        let limiter = RateLimiter::new(1);
        assert_eq!(limiter.take("a", at(3_600_000)), Ok(()));
        assert_eq!(limiter.take("a", at(0)), Ok(()));
        assert!(limiter.take("a", at(0)).is_err());
    }

    #[test]
    fn allows_a_burst_of_one_second_and_then_the_rate() {
        let limiter = RateLimiter::new(2);
        assert_eq!(limiter.take("a", at(0)), Ok(()));
        assert_eq!(limiter.take("a", at(0)), Ok(()));
        assert_eq!(limiter.take("a", at(0)), Err(Duration::from_millis(500)));
        assert_eq!(limiter.take("b", at(0)), Ok(()), "keys do not share a bucket");
        assert_eq!(limiter.take("a", at(500)), Ok(()));
        assert_eq!(limiter.take("a", at(500)), Err(Duration::from_millis(500)));
        limiter.give_back(&"a");
        assert_eq!(limiter.take("a", at(500)), Ok(()));
    }

    #[test]
    fn forgets_full_buckets_and_refuses_strangers_when_every_bucket_is_busy() {
        let limiter = RateLimiter::new(1);
        for key in 0..RateLimiter::<usize>::KEYS_KEPT {
            assert_eq!(limiter.take(key, at(0)), Ok(()));
        }
        assert!(limiter.take(usize::MAX, at(0)).is_err());
        assert_eq!(limiter.take(usize::MAX, at(2_000)), Ok(()));
    }
}
