//! How often sign-ins may fail: for an account, and from an address.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentflow_events::Moment;

/// Counts failures by key over a quarter of an hour.
#[derive(Default)]
pub(super) struct Throttle {
    failures: Mutex<HashMap<String, (u32, Moment)>>,
}

impl Throttle {
    const WINDOW: Duration = Duration::from_secs(15 * 60);
    /// Failures within the window before the key has to wait for its end.
    const FAILURES_MAX: u32 = 10;
    /// Keys remembered before those past their window are forgotten.
    const KEYS_KEPT: usize = 65_536;

    /// How long one of these keys has to wait before it may try again.
    pub(super) fn wait(&self, keys: &[String], now: Moment) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter()
            .filter_map(|key| failures.get(key))
            .filter(|(count, since)| *count >= Self::FAILURES_MAX && is_within(*since, now))
            .map(|(_, since)| since.plus(Self::WINDOW).since(now))
            .max()
    }

    /// Notes a failure of each of them.
    pub(super) fn failed(&self, keys: &[String], now: Moment) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() + keys.len() > Self::KEYS_KEPT {
            failures.retain(|_, (_, since)| is_within(*since, now));
        }
        for key in keys {
            let entry = failures.entry(key.clone()).or_insert((0, now));
            if !is_within(entry.1, now) {
                *entry = (0, now);
            }
            entry.0 = entry.0.saturating_add(1);
        }
    }

    /// Whoever it is has just proved it: forgets the account's failures, and takes back the one noted for the address. All of an
    /// address's failures are not forgiven for one account that somebody there knows.
    pub(super) fn succeeded(&self, account: &str, address: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(account);
        if let Some((count, _)) = failures.get_mut(address) {
            *count = count.saturating_sub(1);
        }
    }
}

/// A window that begins after `now` is from before the clock was set back.
fn is_within(since: Moment, now: Moment) -> bool {
    since <= now && now.since(since) < Throttle::WINDOW
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::Throttle;

    #[test]
    fn ten_failures_of_a_key_have_it_wait_for_the_rest_of_a_quarter_of_an_hour() {
        let start = Moment::from_unix_millis(1_700_000_000_000);
        let later = |seconds| start.plus(Duration::from_secs(seconds));
        let throttle = Throttle::default();
        let (account, address) = ("account a".to_owned(), "address 1".to_owned());
        for _ in 0..9 {
            throttle.failed(&[account.clone(), address.clone()], start);
        }
        assert_eq!(throttle.wait(std::slice::from_ref(&account), later(1)), None);
        throttle.failed(std::slice::from_ref(&account), later(1));
        let both = [account.clone(), address];
        assert_eq!(throttle.wait(&both, later(60)), Some(Duration::from_secs(14 * 60)));
        assert_eq!(throttle.wait(&both[1..], later(60)), None, "nine are not ten");
        assert_eq!(throttle.wait(&both, later(900)), None);
        assert_eq!(throttle.wait(&both, start.minus(Duration::from_secs(1))), None, "the clock was set back");
        throttle.succeeded(&account, &both[1]);
        assert_eq!(throttle.wait(&both, later(60)), None);
        throttle.failed(&both[1..], later(60));
        throttle.failed(&both[1..], later(60));
        assert!(throttle.wait(&both, later(60)).is_some(), "the address keeps its eight others");
    }
}
