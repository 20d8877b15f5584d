//! The only reader of time. Everything else is handed it.

use std::time::SystemTime;

/// The time of day, by which requests are signed and dates in replies are understood.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
