//! What a connection is doing: the requests in flight on it, and since when there is none. Pure but for its lock; `now` is
//! passed in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The requests in flight on one connection.
pub(super) struct Activity {
    state: Mutex<State>,
}

struct State {
    /// Each request in flight by its number, and when it last got on; one at most under HTTP/1.1, few under HTTP/2.
    in_flight: Vec<(u64, Instant)>,
    begun: u64,
    idle_since: Instant,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well; ask again then.
    FineUntil(Instant),
    /// No request, not even a whole head, for too long.
    Idle,
    /// A request has been in flight for too long without getting on.
    Overdue,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Arc<Self> {
        let state = State { in_flight: Vec::new(), begun: 0, idle_since: now };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// A request whose head is here; it is in flight until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>, now: Instant) -> InFlight {
        let mut state = self.lock();
        state.begun += 1;
        let number = state.begun;
        state.in_flight.push((number, now));
        InFlight { activity: Arc::clone(self), number }
    }

    pub(super) fn verdict(&self, now: Instant, idle_max: Duration, request_max: Duration) -> Verdict {
        let state = self.lock();
        let (end, verdict) = match state.in_flight.iter().map(|(_, start)| *start).min() {
            Some(oldest) => (oldest + request_max, Verdict::Overdue),
            None => (state.idle_since + idle_max, Verdict::Idle),
        };
        if now >= end { verdict } else { Verdict::FineUntil(end) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight. Travels with the reply's body, so that a reply that is not read counts too.
pub(super) struct InFlight {
    activity: Arc<Activity>,
    number: u64,
}

impl InFlight {
    /// Another part of the reply has been taken: whoever reads a long one slowly is not cut off.
    pub(super) fn gets_on(&self, now: Instant) {
        let mut state = self.activity.lock();
        if let Some((_, last)) = state.in_flight.iter_mut().find(|(number, _)| *number == self.number) {
            *last = now;
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.in_flight.retain(|(number, _)| *number != self.number);
        if state.in_flight.is_empty() {
            state.idle_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{Activity, Verdict};

    const IDLE_MAX: Duration = Duration::from_secs(15);
    const REQUEST_MAX: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn idles_from_its_start_and_from_the_end_of_the_last_request() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let verdict = |now| activity.verdict(now, IDLE_MAX, REQUEST_MAX);
        assert_eq!(verdict(start), Verdict::FineUntil(start + IDLE_MAX));
        assert_eq!(verdict(start + IDLE_MAX), Verdict::Idle);
        let request = activity.begin(start);
        advance(Duration::from_secs(20)).await;
        drop(request);
        assert_eq!(verdict(Instant::now()), Verdict::FineUntil(start + Duration::from_secs(35)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_request_sets_the_deadline() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let verdict = |now| activity.verdict(now, IDLE_MAX, REQUEST_MAX);
        let first = activity.begin(start);
        let second = activity.begin(start + Duration::from_secs(10));
        assert_eq!(verdict(start), Verdict::FineUntil(start + REQUEST_MAX));
        assert_eq!(verdict(start + REQUEST_MAX), Verdict::Overdue);
        drop(first);
        assert_eq!(verdict(start + REQUEST_MAX), Verdict::FineUntil(start + Duration::from_secs(40)));
        drop(second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_gets_on_is_never_overdue() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let export = activity.begin(start);
        let later = start + Duration::from_secs(29);
        export.gets_on(later);
        let verdict = |now| activity.verdict(now, IDLE_MAX, REQUEST_MAX);
        assert_eq!(verdict(start + REQUEST_MAX), Verdict::FineUntil(later + REQUEST_MAX));
        assert_eq!(verdict(later + REQUEST_MAX), Verdict::Overdue);
    }
}
