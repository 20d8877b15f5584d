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

    /// Sets a manual clock, back too; the system's clock stays as it is.
    pub fn set(&self, to: Moment) {
        if let Some(millis) = &self.manual {
            millis.store(to.unix_millis(), Ordering::Release);
        }
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.manual {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::AcqRel);
        }
    }
}

/// Notices that the clock was set, by comparing it with time that only runs.
///
/// What is deleted for its age is deleted for good, so a clock that leaps ahead is not believed there at once: for
/// [`DOUBT`](Self::DOUBT) of running time, [`trusted`](Self::trusted) answers as if it had not leapt. Whoever sees the line in
/// the log has that long to set it right.
#[derive(Debug)]
pub struct Steps {
    last: Option<(Moment, Duration)>,
    ahead: Duration,
    doubt_ends: Duration,
}

/// The clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// By so much.
    Forward(Duration),
    /// By so much.
    Back(Duration),
}

impl Steps {
    /// How long a leap ahead is doubted.
    pub const DOUBT: Duration = Duration::from_secs(86_400);
    /// Smaller steps are a clock's ordinary mending, or a machine that slept for a moment.
    pub const STEP_MIN: Duration = Duration::from_secs(60);

    /// One that has seen nothing.
    pub fn new() -> Self {
        Self { last: None, ahead: Duration::ZERO, doubt_ends: Duration::ZERO }
    }

    /// Looks at the clock. `running`: time that only runs, from any start.
    pub fn look(&mut self, now: Moment, running: Duration) -> Option<Step> {
        let (before, since) = self.last.replace((now, running))?;
        let expected = before.plus(running.saturating_sub(since));
        if running >= self.doubt_ends {
            self.ahead = Duration::ZERO;
        }
        if now > expected && now.since(expected) >= Self::STEP_MIN {
            let by = now.since(expected);
            (self.ahead, self.doubt_ends) = (self.ahead + by, running + Self::DOUBT);
            Some(Step::Forward(by))
        } else if now < expected && expected.since(now) >= Self::STEP_MIN {
            let by = expected.since(now);
            self.ahead = self.ahead.saturating_sub(by);
            Some(Step::Back(by))
        } else {
            None
        }
    }

    /// The moment by which to judge what is old enough to be deleted.
    pub fn trusted(&self, now: Moment) -> Moment {
        now.minus(self.ahead)
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_unix_millis(1_770_000_000_000);
    const YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_that_runs_makes_no_step() {
        let mut steps = Steps::new();
        for minute in 0..100 {
            // Mended by two seconds now and then.
            let now = START.plus(seconds(60 * minute + 2 * (minute % 2)));
            assert_eq!(steps.look(now, seconds(60 * minute)), None);
        }
    }

    #[test]
    fn a_leap_ahead_is_told_and_doubted_for_a_day() {
        let mut steps = Steps::new();
        steps.look(START, seconds(0));
        let leapt = START.plus(seconds(60)).plus(YEARS);
        assert_eq!(steps.look(leapt, seconds(60)), Some(Step::Forward(YEARS)));
        assert_eq!(steps.trusted(leapt), START.plus(seconds(60)));
        let day = Steps::DOUBT + seconds(60);
        assert_eq!(steps.look(START.plus(day).plus(YEARS), day), None);
        assert_eq!(steps.trusted(START.plus(day).plus(YEARS)), START.plus(day).plus(YEARS));
    }

    #[test]
    fn a_clock_that_comes_back_is_trusted_again() {
        let mut steps = Steps::new();
        steps.look(START, seconds(0));
        steps.look(START.plus(YEARS), seconds(0));
        assert_eq!(steps.look(START.plus(seconds(60)), seconds(60)), Some(Step::Back(YEARS)));
        assert_eq!(steps.trusted(START.plus(seconds(60))), START.plus(seconds(60)));
    }
}
