//! Why an attempt brought no response: stable codes, and sentences for the delivery's owner.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use super::TargetError;
use super::names::NameError;
use super::trace::Stage;

/// Why an attempt brought no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SendError {
    #[error("No response came within {0:?}: the time ran out while {1}.")]
    Timeout(Duration, Stage),
    #[error("The host's name could not be resolved: {0}.")]
    Dns(#[from] NameError),
    #[error(transparent)]
    Refused(#[from] TargetError),
    #[error("No connection could be opened: {0}.")]
    Connect(io::ErrorKind),
    #[error("The TLS handshake failed: {0}.")]
    Tls(String),
    #[error("The connection failed before a whole response head came: {}.", told(.0))]
    Exchange(hyper::Error),
}

impl SendError {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            SendError::Timeout(..) => "timeout",
            SendError::Dns(_) => "dns_failed",
            SendError::Refused(error) => error.code(),
            SendError::Connect(_) => "connect_failed",
            SendError::Tls(_) => "tls_failed",
            SendError::Exchange(_) => "exchange_failed",
        }
    }
}

/// The error with its cause, which is what tells one broken peer from another.
fn told(error: &hyper::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error} ({cause})"),
        None => error.to_string(),
    }
}
