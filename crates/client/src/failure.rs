//! What became of one attempt that brought no acceptance.

use std::io;
use std::time::Duration;

use crate::Problem;

/// Why an attempt brought no acceptance. The text shows neither the lead nor the URL nor the other side's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// AgentFlow answered with a problem.
    #[error("AgentFlow answered {0}")]
    Refused(Box<Problem>),
    /// The reply is not one of the contract's: most often it is a proxy's, or another server is at this URL.
    #[error("the reply{} is not AgentFlow's: {fault}", status_text(*.status))]
    UnexpectedReply {
        /// Its status, where there is one.
        status: Option<u16>,
        /// What is wrong with it.
        fault: ReplyFault,
        /// How long it asks to wait, with 429 and 503.
        retry_after: Option<Duration>,
    },
    /// No whole reply came in time; the lead may have been stored or not.
    #[error("no whole reply came within {within:?}")]
    Timeout {
        /// What the attempt was given, the smaller of its own timeout and what was left of the whole.
        within: Duration,
    },
    /// No connection could be opened: the name was not found, nobody listens, the network is down.
    #[error("no connection could be opened: {text}")]
    Connect {
        /// What the system calls it.
        kind: io::ErrorKind,
        /// The same in its words.
        text: String,
    },
    /// The other side's certificate is not vouched for, or not for this name. Nothing was sent.
    #[error(
        "the server's certificate is not trusted ({0}): check the URL's host, or name its authority to the client"
    )]
    UntrustedCertificate(String),
    /// No secure connection was agreed on. Nothing was sent.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// The connection broke before the whole reply was there; the lead may have been stored or not.
    #[error("the connection broke before the whole reply came")]
    Broken,
}

/// What is wrong with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyFault {
    /// 3xx. No redirect is followed: a lead goes where it was told to go.
    #[error("it is a redirect, which is not followed; set the URL that it leads to, if it is to be trusted")]
    Redirect,
    /// Its body is longer than 64 KiB; no more of it was read.
    #[error("its body is longer than 64 KiB")]
    TooLong,
    /// Status, media type or body are other than the contract's.
    #[error("its status, media type or body are not the contract's")]
    NotTheContract,
    /// No HTTP/1.1.
    #[error("it is no HTTP/1.1")]
    NotHttp,
}

impl Failure {
    /// The stable code: a problem's [reason](crate::Reason::code), or `unexpected_reply`, `timeout`, `connect_failed`,
    /// `untrusted_certificate`, `tls_failed`, `connection_broken`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(problem) => problem.reason.code(),
            Self::UnexpectedReply { .. } => "unexpected_reply",
            Self::Timeout { .. } => "timeout",
            Self::Connect { .. } => "connect_failed",
            Self::UntrustedCertificate(_) => "untrusted_certificate",
            Self::Tls(_) => "tls_failed",
            Self::Broken => "connection_broken",
        }
    }

    /// The status of the reply, where one came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(problem) => Some(problem.status),
            Self::UnexpectedReply { status, .. } => *status,
            _ => None,
        }
    }

    /// How long the other side asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) => problem.retry_after,
            Self::UnexpectedReply { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the same request may succeed later: after 429, 500, 502, 503 and 504, and where no whole reply came. Not
    /// after a certificate that is not trusted, which no waiting mends.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(_) | Self::UnexpectedReply { .. } => {
                matches!(self.status(), Some(429 | 500 | 502 | 503 | 504))
            }
            Self::Timeout { .. } | Self::Connect { .. } | Self::Tls(_) | Self::Broken => true,
            Self::UntrustedCertificate(_) => false,
        }
    }
}

fn status_text(status: Option<u16>) -> String {
    status.map(|status| format!(" {status}")).unwrap_or_default()
}
