//! How an attempt went on the wire.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// How an attempt went on the wire, as far as it got. The default: nothing is known, as of attempts that were made before this
/// was recorded.
///
/// The request is not kept: [`SentRequest`] has what is needed to make its head again beside the event and the delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The request; absent where the destination's URL was refused.
    pub request: Option<SentRequest>,
    /// The address that was dialled last, or that the kept connection led to; absent where none was found.
    pub remote: Option<IpAddr>,
    /// Whether a kept connection was used.
    pub reused: bool,
    /// How long each part took, in milliseconds; absent where it was not begun.
    pub timings: Timings,
    /// The response's headers, a line `name: value` each, lossily as text, at most 4 KiB (1 KiB of a success) and without
    /// those that may be secret; a last line `…` where some are left out. Absent where no response came.
    pub response_headers: Option<String>,
}

/// How long the parts of an attempt took, in milliseconds; absent where a part was not begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking up the host's name; 0 where the answer was still known.
    pub resolve_ms: Option<u32>,
    /// Opening the connection.
    pub connect_ms: Option<u32>,
    /// The TLS handshake.
    pub tls_ms: Option<u32>,
    /// From the request to the end of the response's head.
    pub first_byte_ms: Option<u32>,
}

/// What a request's head can be made of again.
#[derive(Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// The destination's URL as it was then.
    pub url: Arc<str>,
    /// The sender's name and version.
    pub agent: Arc<str>,
    /// How it was signed; absent where nothing was sent.
    pub signed: Option<SignedRequest>,
}

/// How a request was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The timestamp that was sent. Unix seconds.
    pub at: i64,
    /// The first four bytes of the signature, which tell whether one that is made again is the one that was sent.
    pub mark: u32,
}

impl fmt::Debug for SentRequest {
    /// Leaves the URL out: its path may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentRequest")
            .field("agent", &self.agent)
            .field("signed", &self.signed)
            .finish_non_exhaustive()
    }
}
