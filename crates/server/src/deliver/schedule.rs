//! When the next attempt is due. Pure: the time and the randomness are arguments.

use std::time::{Duration, SystemTime};

use agentflow_events::Moment;

use crate::record::AttemptOutcome;

/// A destination all of whose attempts have failed for this long is disabled.
pub(crate) const DISABLE_AFTER: Duration = Duration::from_secs(120 * 3_600);

/// The longest wait that a `Retry-After` brings about.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What follows from a failed attempt.
///
/// `schedule`: the workspace's waits in seconds; `schedule_step`: attempts made before this one since the schedule began;
/// `status`: the response's, if one came; `retry_after`: what it asked for; `random`: any value, evenly drawn, spreads the
/// wait by up to 20 % either way.
///
/// 410 ends the delivery and its destination. Otherwise the next wait of the schedule follows; past its last one the
/// delivery is dead. A `Retry-After` on 429 and 503 lengthens the wait, to at most 24 hours, and never shortens it.
pub(crate) fn after_failure(
    schedule: &[u32],
    schedule_step: u32,
    status: Option<u16>,
    retry_after: Option<Duration>,
    random: u32,
    now: Moment,
) -> AttemptOutcome {
    if status == Some(410) {
        return AttemptOutcome::Gone;
    }
    let next = usize::try_from(schedule_step).ok().and_then(|step| schedule.get(step.checked_add(1)?));
    let Some(&seconds) = next else { return AttemptOutcome::Dead };
    let mut wait = jittered(seconds, random);
    if let (Some(429 | 503), Some(asked)) = (status, retry_after) {
        wait = wait.max(asked.min(RETRY_AFTER_MAX));
    }
    AttemptOutcome::RetryAt(now.plus(wait))
}

/// `seconds`, 80 to 120 % of it.
fn jittered(seconds: u32, random: u32) -> Duration {
    let spread = u64::from(seconds) * 400 * u64::from(random) / u64::from(u32::MAX);
    Duration::from_millis(u64::from(seconds) * 800 + spread)
}

/// Reads a `Retry-After` header: whole seconds, or a date in any of HTTP's three forms (RFC 9110, sections 5.6.7 and
/// 10.2.3). A date that is past asks for no wait; anything else is nothing.
pub(crate) fn retry_after(value: &[u8], now: Moment) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a very long wait; it is cut to a day anyway.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date: SystemTime = httpdate::parse_http_date(text).ok()?;
    Some(Moment::from(date).since(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;
    use proptest::prelude::*;

    use super::{RETRY_AFTER_MAX, after_failure, retry_after};
    use crate::record::{AttemptOutcome, Settings};

    const MIDDLE: u32 = u32::MAX / 2;

    fn now() -> Moment {
        "1994-11-06T08:49:00Z".parse().unwrap()
    }

    fn schedule() -> Vec<u32> {
        Settings::default().retry_schedule_seconds
    }

    #[track_caller]
    fn check(step: u32, status: Option<u16>, asked: Option<u64>, random: u32, expected_millis: u64) {
        let outcome = after_failure(&schedule(), step, status, asked.map(Duration::from_secs), random, now());
        assert_eq!(outcome, AttemptOutcome::RetryAt(now().plus(Duration::from_millis(expected_millis))));
    }

    #[test]
    fn waits_as_the_schedule_says_give_or_take_a_fifth() {
        check(0, Some(500), None, 0, 4_000);
        check(0, None, None, MIDDLE, 4_999);
        check(0, None, None, u32::MAX, 6_000);
        check(1, Some(404), None, 0, 240_000);
        check(6, Some(302), None, u32::MAX, 43_200_000);
    }

    #[test]
    fn the_last_failure_of_the_schedule_is_a_dead_letter() {
        for step in [7, 8, u32::MAX] {
            assert_eq!(after_failure(&schedule(), step, Some(500), None, 0, now()), AttemptOutcome::Dead);
        }
        assert_eq!(after_failure(&[], 0, None, None, 0, now()), AttemptOutcome::Dead);
        assert_eq!(
            after_failure(&[0], 0, None, Some(Duration::from_secs(9)), 0, now()),
            AttemptOutcome::Dead
        );
    }

    #[test]
    fn gone_ends_it_at_any_step() {
        assert_eq!(after_failure(&schedule(), 0, Some(410), None, 0, now()), AttemptOutcome::Gone);
        assert_eq!(after_failure(&schedule(), 7, Some(410), None, 0, now()), AttemptOutcome::Gone);
    }

    #[test]
    fn a_request_to_wait_lengthens_the_wait_on_429_and_503_alone_and_up_to_a_day() {
        check(0, Some(429), Some(60), 0, 60_000);
        check(0, Some(503), Some(60), 0, 60_000);
        check(0, Some(503), Some(1), 0, 4_000);
        check(0, Some(500), Some(60), 0, 4_000);
        check(0, Some(429), Some(u64::MAX), 0, 86_400_000);
    }

    #[test]
    fn reads_seconds_and_every_form_of_date() {
        let seconds = |text: &str| retry_after(text.as_bytes(), now()).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(37));
        assert_eq!(seconds("Sunday, 06-Nov-94 08:49:37 GMT"), Some(37));
        assert_eq!(seconds("Sun Nov  6 08:49:37 1994"), Some(37));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:48:00 GMT"), Some(0));
        for nothing in ["", "-1", "+5", "1.5", "soon", "Sun, 06 Nov 1994", "\u{661}"] {
            assert_eq!(seconds(nothing), None, "{nothing:?}");
        }
        assert_eq!(retry_after(b"\xff", now()), None);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_outside_its_bounds(
            schedule in prop::collection::vec(0..=1_000_000_u32, 0..10), step in 0..12_u32, status in 100..600_u16,
            asked in prop::option::of(any::<u64>()), random: u32,
        ) {
            let asked = asked.map(Duration::from_secs);
            match after_failure(&schedule, step, Some(status), asked, random, now()) {
                AttemptOutcome::RetryAt(at) => {
                    let seconds = u64::from(schedule[step as usize + 1]);
                    let wait = at.since(now());
                    prop_assert!(wait >= Duration::from_millis(seconds * 800));
                    prop_assert!(wait <= Duration::from_millis(seconds * 1_200).max(RETRY_AFTER_MAX));
                }
                AttemptOutcome::Dead => prop_assert!(step as usize + 1 >= schedule.len()),
                AttemptOutcome::Gone => prop_assert_eq!(status, 410),
                AttemptOutcome::Delivered => prop_assert!(false),
            }
        }

        #[test]
        fn no_header_breaks_the_reader(value in prop::collection::vec(any::<u8>(), 0..64)) {
            retry_after(&value, now());
        }
    }
}
