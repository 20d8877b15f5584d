//! A destination's own rate: how soon after the last attempt the next may begin.

use agentflow_events::Moment;

/// Attempts may begin so much before their turn, in microseconds: timers are no finer, and fast lanes go in small groups.
const EARLY: i64 = 2_000;

/// At most so many attempts a second, evenly spread. Without a rate: no bound.
#[derive(Default)]
pub(super) struct Pace {
    /// Microseconds between two attempts; absent: none.
    apart: Option<i64>,
    /// When the next one has its turn, in unix microseconds.
    turn: i64,
}

impl Pace {
    /// Sets the rate, in attempts a second.
    pub(super) fn set(&mut self, per_second: Option<u32>) {
        self.apart = per_second.map(|rate| 1_000_000 / i64::from(rate.max(1)));
    }

    /// Counts an attempt that begins now.
    pub(super) fn began(&mut self, now: Moment) {
        if let Some(apart) = self.apart {
            self.turn = self.turn.max(micros(now)) + apart;
        }
    }

    /// Until when the next attempt has to wait; absent: it may begin. A clock that was set back costs one turn at most.
    pub(super) fn wait_until(&mut self, now: Moment) -> Option<Moment> {
        let apart = self.apart?;
        // Further ahead than one turn only for a clock that was later than it is.
        self.turn = self.turn.min(micros(now) + apart + EARLY);
        let earliest = self.turn - EARLY;
        // Rounded up to the milliseconds of the clock.
        (earliest > micros(now)).then(|| Moment::from_unix_millis(earliest.div_euclid(1_000) + 1))
    }
}

fn micros(at: Moment) -> i64 {
    at.unix_millis().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::Pace;

    /// How many attempts begin in a while of a lane that never lacks work.
    fn begun(per_second: u32, millis: i64) -> usize {
        let mut pace = Pace::default();
        pace.set(Some(per_second));
        let mut count = 0;
        for now in (0..millis).map(|n| Moment::from_unix_millis(1_700_000_000_000 + n)) {
            while pace.wait_until(now).is_none() {
                pace.began(now);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn keeps_slow_and_fast_rates() {
        // One at either end.
        assert_eq!(begun(1, 10_000), 11);
        assert_eq!(begun(10, 10_000), 101);
        assert!((9_990..=10_010).contains(&begun(1_000, 10_000)));
        assert!((49_900..=50_100).contains(&begun(5_000, 10_000)));
    }

    #[test]
    fn tells_the_moment_at_which_it_may_begin() {
        let mut pace = Pace::default();
        pace.set(Some(4));
        let now = Moment::from_unix_millis(1_700_000_000_000);
        pace.began(now);
        let until = pace.wait_until(now).unwrap();
        assert_eq!(until.since(now), Duration::from_millis(249));
        assert_eq!(pace.wait_until(until), None);
    }

    #[test]
    fn a_clock_set_back_costs_one_turn() {
        let mut pace = Pace::default();
        pace.set(Some(1));
        pace.began(Moment::from_unix_millis(1_700_000_000_000));
        let now = Moment::from_unix_millis(1_600_000_000_000);
        let until = pace.wait_until(now).unwrap();
        assert!(until.since(now) <= Duration::from_millis(1_001));
        assert_eq!(pace.wait_until(until), None);
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = Pace::default();
        let now = Moment::from_unix_millis(1_700_000_000_000);
        (0..100).for_each(|_| pace.began(now));
        assert_eq!(pace.wait_until(now), None);
    }
}
