//! Whether and when to try again. Pure: times are durations since the send began, and chance is an argument.

use std::time::Duration;

use crate::Failure;

/// How often, and how far apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    /// Attempts in all, from 1.
    pub(crate) attempts_max: u32,
    /// The wait before the second attempt; it doubles with each further one.
    pub(crate) base: Duration,
    /// The longest wait of our own.
    pub(crate) cap: Duration,
}

impl Retries {
    /// How long to wait before the next attempt, after `made` of them (from 1) and this failure; `None`: it was the last.
    ///
    /// Our own wait is between a half and the whole of the present step. What the other side asks for is waited for
    /// in full, and up to half a step more, lest all senders come back at once. An attempt that could not begin
    /// before `deadline` is not waited for. `share`: of the part that is left to chance, from 0 to [`u32::MAX`].
    pub(crate) fn wait(
        &self,
        made: u32,
        failure: &Failure,
        now: Duration,
        deadline: Duration,
        share: u32,
    ) -> Option<Duration> {
        if made >= self.attempts_max || !failure.is_retryable() {
            return None;
        }
        let half = self.step(made) / 2;
        // Rounding makes it a little more than the half at times.
        let by_chance = half.mul_f64(f64::from(share) / f64::from(u32::MAX)).min(half);
        let wait = failure.retry_after().unwrap_or(half).saturating_add(by_chance);
        (now.saturating_add(wait) < deadline).then_some(wait)
    }

    fn step(&self, made: u32) -> Duration {
        let doubled =
            2_u32.checked_pow(made.saturating_sub(1)).and_then(|times| self.base.checked_mul(times));
        doubled.unwrap_or(self.cap).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Retries;
    use crate::{Failure, Problem, ReplyFault};

    const RETRIES: Retries =
        Retries { attempts_max: 5, base: Duration::from_millis(200), cap: Duration::from_secs(1) };
    const MINUTE: Duration = Duration::from_secs(60);

    fn answered(status: u16, retry_after: Option<u64>) -> Failure {
        let retry_after = retry_after.map(Duration::from_secs);
        Failure::UnexpectedReply { status: Some(status), fault: ReplyFault::NotTheContract, retry_after }
    }

    fn refused(status: u16, reason: &str) -> Failure {
        let body = format!(r#"{{"reason":"{reason}"}}"#);
        Failure::Refused(Box::new(Problem::parse(status, body.as_bytes(), None).unwrap()))
    }

    fn is_retried(failure: &Failure) -> bool {
        RETRIES.wait(1, failure, Duration::ZERO, MINUTE, 0).is_some()
    }

    /// Milliseconds waited after `made` attempts at `now` seconds, least and most.
    #[track_caller]
    fn check(made: u32, failure: &Failure, now: u64, expected: Option<(u64, u64)>) {
        let wait = |share| RETRIES.wait(made, failure, Duration::from_secs(now), MINUTE, share);
        let found = wait(0).zip(wait(u32::MAX));
        let millis = |(least, most)| (Duration::from_millis(least), Duration::from_millis(most));
        assert_eq!(found, expected.map(millis), "after {made} attempts at {now} s");
    }

    #[test]
    fn waits_double_up_to_the_cap_and_end_with_the_attempts() {
        check(1, &Failure::Broken, 0, Some((100, 200)));
        check(2, &Failure::Broken, 0, Some((200, 400)));
        check(3, &Failure::Broken, 0, Some((400, 800)));
        check(4, &Failure::Broken, 0, Some((500, 1000)));
        check(5, &Failure::Broken, 0, None);
    }

    #[test]
    fn what_the_other_side_asks_for_is_waited_for_in_full_and_a_little_more() {
        check(1, &answered(503, Some(7)), 0, Some((7_000, 7_100)));
        check(1, &answered(429, Some(0)), 0, Some((0, 100)));
    }

    #[test]
    fn nothing_is_waited_for_that_would_begin_after_the_deadline() {
        check(1, &answered(503, Some(59)), 0, Some((59_000, 59_100)));
        check(1, &answered(503, Some(60)), 0, None);
        check(1, &answered(503, Some(u64::MAX)), 0, None);
        check(1, &Failure::Broken, 60, None);
        check(1, &Failure::Broken, u64::MAX, None);
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for status in [429, 500, 502, 503, 504] {
            assert!(is_retried(&answered(status, None)), "{status}");
        }
        assert!(is_retried(&refused(503, "store_unavailable")));
        assert!(is_retried(&Failure::Timeout { within: MINUTE }));
        assert!(is_retried(&Failure::Tls(String::new())));
        assert!(is_retried(&Failure::Broken));
        let kind = io::ErrorKind::ConnectionRefused;
        assert!(is_retried(&Failure::Connect { kind, text: String::new() }));
    }

    #[test]
    fn everything_else_is_final() {
        for status in [200, 202, 301, 307, 400, 404, 405, 408, 409, 410, 413, 415, 422, 425, 501, 505] {
            assert!(!is_retried(&answered(status, None)), "{status}");
        }
        for reason in ["stale_timestamp", "future_timestamp", "invalid_signature"] {
            assert!(!is_retried(&refused(401, reason)), "{reason}");
        }
        assert!(!is_retried(&Failure::UntrustedCertificate(String::new())));
        let no_http =
            Failure::UnexpectedReply { status: None, fault: ReplyFault::NotHttp, retry_after: None };
        assert!(!is_retried(&no_http));
    }

    proptest! {
        #[test]
        fn no_setting_makes_a_wait_that_is_too_short_too_long_or_a_panic(
            made in 1_u32..,
            base: Duration,
            cap: Duration,
            asked in proptest::option::of(any::<u64>()),
            now: Duration,
            deadline: Duration,
            share: u32,
        ) {
            let retries = Retries { attempts_max: u32::MAX, base, cap };
            if let Some(wait) = retries.wait(made, &answered(503, asked), now, deadline, share) {
                prop_assert!(wait >= asked.map_or(Duration::ZERO, Duration::from_secs));
                prop_assert!(asked.is_some() || wait <= cap);
                prop_assert!(now + wait < deadline);
            }
        }
    }
}
