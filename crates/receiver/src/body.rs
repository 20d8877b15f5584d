//! Reading the raw body: with a cap, with a deadline, before anything else sees it.

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use tokio::time::{Instant, sleep};

use crate::Rejection;

/// What is set aside at once for a body whose length was announced. More than any event without a long message.
const CAPACITY_BYTES_MAX: usize = 16 * 1024;

/// A body that is always ready, in empty pieces, never waits: so often the clock is looked at all the same.
const FRAMES_UNWATCHED: u32 = 256;

/// The chunks of a body so far, at most so many bytes.
pub(crate) struct Collected {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Collected {
    /// Judges what the headers announce, before a byte is read.
    pub(crate) fn begin(announced: Announced, bytes_max: usize) -> Result<Self, Rejection> {
        let bytes = announced.bytes.unwrap_or(0);
        if bytes > bytes_max as u64 {
            return Err(Rejection::BodyTooLarge { bytes_max });
        }
        Ok(Self { bytes: Vec::with_capacity(CAPACITY_BYTES_MAX.min(bytes as usize)), bytes_max })
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), Rejection> {
        if chunk.len() > self.bytes_max - self.bytes.len() {
            return Err(Rejection::BodyTooLarge { bytes_max: self.bytes_max });
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What a request's headers say of its body.
#[derive(Clone, Copy)]
pub(crate) struct Announced {
    /// Whether it is compressed, or otherwise not the bytes that were signed.
    pub(crate) encoded: bool,
    /// Its length, where it is told.
    pub(crate) bytes: Option<u64>,
}

impl Announced {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |value: &HeaderValue| value.to_str().ok()?.trim().parse().ok();
        Self {
            encoded: headers
                .get_all(CONTENT_ENCODING)
                .iter()
                .any(|value| !value.as_bytes().is_empty() && value != "identity"),
            bytes: headers.get(CONTENT_LENGTH).and_then(text),
        }
    }
}

/// Reads a body to its end, `deadline` after `begun` at the latest.
///
/// The deadline's timer is made where the body is first waited for. Most bodies are there with the head, and need none.
pub(crate) async fn read<B>(
    mut collected: Collected,
    body: B,
    begun: Instant,
    deadline: Duration,
) -> Result<Vec<u8>, Rejection>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let mut body = pin!(body);
    let mut timer = None;
    for frame in 1_u32.. {
        if frame.is_multiple_of(FRAMES_UNWATCHED) && begun.elapsed() > deadline {
            break;
        }
        let next = poll_fn(|context| {
            if let Poll::Ready(frame) = body.as_mut().poll_frame(context) {
                return Poll::Ready(Ok(frame));
            }
            let timer =
                timer.get_or_insert_with(|| Box::pin(sleep(deadline.saturating_sub(begun.elapsed()))));
            timer.as_mut().poll(context).map(|()| Err(Rejection::BodyTimedOut { after: deadline }))
        });
        let Some(frame) = next.await? else { return Ok(collected.into_bytes()) };
        let frame = frame.map_err(|error| Rejection::BodyBroken { reason: error.into().to_string() })?;
        let Ok(mut data) = frame.into_data() else { continue };
        while data.has_remaining() {
            let chunk = data.chunk();
            collected.push(chunk)?;
            let taken = chunk.len();
            data.advance(taken);
        }
    }
    Err(Rejection::BodyTimedOut { after: deadline })
}
