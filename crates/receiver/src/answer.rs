//! What became of a delivery, as the sender is told.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::reply;

/// What became of one delivery. Only the first three stop the sender from sending it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the sender is to be told"]
pub enum Answer {
    /// The work was done now, and that is recorded: 200.
    Done,
    /// It had been done before, and was not run again: 200.
    AlreadyDone,
    /// A test event, about nobody; the work was not run: 200. See [`Handler::run_test_events`](crate::Handler::run_test_events).
    TestEvent,
    /// Somebody else is at it and may yet fail: 503 with `Retry-After`.
    InFlight {
        /// Until the other's lease has run out.
        retry_after: Duration,
    },
    /// The work goes on past the deadline, and may yet fail: 503 with `Retry-After`. A later attempt finds it done.
    StillRunning {
        /// A guess: long enough for work that is nearly done.
        retry_after: Duration,
    },
    /// The work failed or panicked, and the key was given back: 500.
    Failed,
    /// The work was done but took longer than its lease, and somebody else began it again: 503. They answer for it.
    TakenOver,
    /// The store failed, so nobody can say whether the work has been done: 503.
    StoreUnavailable,
    /// As many works as allowed are running already; this one was not begun: 503 with `Retry-After`.
    Overloaded {
        /// A guess.
        retry_after: Duration,
    },
}

impl Answer {
    /// Whether the sender is told that all is well, and so never sends the event again.
    pub const fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone | Self::TestEvent)
    }

    /// The stable code, for replies, logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyDone => "already_done",
            Self::TestEvent => "test_event",
            Self::InFlight { .. } => "in_flight",
            Self::StillRunning { .. } => "still_running",
            Self::Failed => "failed",
            Self::TakenOver => "taken_over",
            Self::StoreUnavailable => "store_unavailable",
            Self::Overloaded { .. } => "overloaded",
        }
    }

    /// The status of the response: 200, 500 or 503.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Done | Self::AlreadyDone | Self::TestEvent => StatusCode::OK,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// How long the sender is asked to wait at least.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InFlight { retry_after }
            | Self::StillRunning { retry_after }
            | Self::Overloaded { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// The whole response, for any server.
    pub fn to_response(&self) -> Response<Bytes> {
        if self.is_acknowledged() {
            return reply::success("received", self.code());
        }
        let mut response = reply::problem(self.status(), self.code(), self.detail());
        if let Some(wait) = self.retry_after() {
            // Rounded up: a moment too early finds the same.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }

    const fn detail(&self) -> &'static str {
        match self {
            Self::Done | Self::AlreadyDone | Self::TestEvent => "All is well.",
            Self::InFlight { .. } => "Another attempt of this event is being worked on; send it again later.",
            Self::StillRunning { .. } => {
                "The work takes longer than the reply may; send the event again later."
            }
            Self::Failed => "The event's work failed; send the event again.",
            Self::TakenOver => "Another attempt took this event over; send it again later.",
            Self::StoreUnavailable => {
                "The receiver's memory of events is unavailable; send the event again later."
            }
            Self::Overloaded { .. } => {
                "The receiver has all the work that it can do; send the event again later."
            }
        }
    }
}
