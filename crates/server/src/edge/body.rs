//! Request bodies: deadlines while they arrive, a cap while they are read, and what is left of them after an early reply.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::reason::Reason;
use crate::reply::Problem;

/// Why a body could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyFault {
    /// Over the limit.
    #[error("the body is over {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// Nothing came for too long, or it took too long in all.
    #[error("the body did not arrive in time")]
    Stalled,
    /// The sender broke off, or its framing is wrong.
    #[error("the body ended early or its framing is malformed")]
    Broken,
    /// Too many bodies are being read at the same time.
    #[error("too many bodies are on their way at the same time")]
    Crowded,
}

impl BodyFault {
    /// The stable code.
    pub fn reason(self) -> Reason {
        match self {
            BodyFault::TooLarge { .. } => Reason::BodyTooLarge,
            BodyFault::Stalled | BodyFault::Broken => Reason::BadRequest,
            BodyFault::Crowded => Reason::StoreUnavailable,
        }
    }
}

impl From<BodyFault> for Problem {
    fn from(fault: BodyFault) -> Self {
        let detail = match fault {
            BodyFault::TooLarge { max } => format!("A body may have {max} bytes at most."),
            BodyFault::Stalled => "The body did not arrive in time.".into(),
            BodyFault::Broken => "The body ended early or its framing is malformed.".into(),
            BodyFault::Crowded => {
                "The server is reading as many bodies as it can hold; send it again.".into()
            }
        };
        Problem::new(fault.reason(), detail).closing()
    }
}

/// A body that could not be read, and how much of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Why.
    pub fault: BodyFault,
    /// Bytes that had come.
    pub bytes_read: usize,
}

/// Memory for all bodies that are on their way.
pub struct BodyBudget {
    bytes_max: usize,
    bytes_held: AtomicUsize,
}

impl BodyBudget {
    /// A budget of so many bytes.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, bytes_held: AtomicUsize::new(0) })
    }
}

/// A body that is here, and its part of the budget until it is dropped.
pub struct ReadBody {
    /// The exact bytes.
    pub bytes: Bytes,
    _share: Share,
}

struct Share {
    budget: Arc<BodyBudget>,
    bytes: usize,
}

impl Share {
    fn grow(&mut self, by: usize) -> Result<(), BodyFault> {
        self.bytes += by;
        let held = self.budget.bytes_held.fetch_add(by, Ordering::Relaxed) + by;
        if held > self.budget.bytes_max { Err(BodyFault::Crowded) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.bytes_held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads a body of at most `bytes_max`. What says beforehand that it is longer is not read at all, so that a sender that
/// waits for `100 Continue` never sends it.
///
/// # Errors
/// See [`BodyFault`].
pub async fn read(mut body: Body, bytes_max: usize, budget: &Arc<BodyBudget>) -> Result<ReadBody, Unread> {
    let mut share = Share { budget: Arc::clone(budget), bytes: 0 };
    let too_large = BodyFault::TooLarge { max: bytes_max };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Unread { fault: too_large, bytes_read: 0 });
    }
    // Nearly every body is one piece, which is then passed on without a copy.
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread { fault: fault_of(error), bytes_read: share.bytes })?;
        let Ok(piece) = frame.into_data() else { continue };
        let bytes_read = share.bytes + piece.len();
        if bytes_read > bytes_max {
            return Err(Unread { fault: too_large, bytes_read });
        }
        share.grow(piece.len()).map_err(|fault| Unread { fault, bytes_read })?;
        if bytes_read == piece.len() {
            first = piece;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
    }
    Ok(ReadBody { bytes: if all.is_empty() { first } else { all.freeze() }, _share: share })
}

fn fault_of(error: axum::Error) -> BodyFault {
    error.into_inner().downcast_ref::<BodyFault>().copied().unwrap_or(BodyFault::Broken)
}

/// A body as it comes from the connection, with its deadlines.
///
/// Dropped before its end, it is read on for a moment in the background: a sender that is still writing would otherwise find
/// its connection reset, and the reply lost with it. A sender that waits for `100 Continue` is not writing, and stays so.
pub(super) struct RequestBody {
    /// Absent once there is nothing more to read.
    incoming: Option<Incoming>,
    awaits_continue: bool,
    idle_max: Duration,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    const LINGER_MAX: Duration = Duration::from_secs(1);
    const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

    pub(super) fn new(
        incoming: Incoming,
        awaits_continue: bool,
        idle_max: Duration,
        deadline: Instant,
    ) -> Self {
        let incoming = Some(incoming).filter(|incoming| !incoming.is_end_stream());
        Self { incoming, awaits_continue, idle_max, deadline, timer: None }
    }

    /// Ready when nothing has come for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (idle_max, deadline) = (self.idle_max, self.deadline);
        let timer =
            self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.min(Instant::now() + idle_max))));
        timer.as_mut().poll(cx)
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                (self.timer, self.awaits_continue) = (None, false);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                self.incoming = None;
                Poll::Ready(Some(Err(BodyFault::Broken)))
            }
            Poll::Ready(None) => {
                self.incoming = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.awaits_continue = false;
                ready!(self.poll_stalled(cx));
                Poll::Ready(Some(Err(BodyFault::Stalled)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let unread =
            self.incoming.take().filter(|incoming| !incoming.is_end_stream() && !self.awaits_continue);
        if let (Some(incoming), Ok(runtime)) = (unread, tokio::runtime::Handle::try_current()) {
            runtime.spawn(timeout(Self::LINGER_MAX, discard(incoming, Self::LINGER_BYTES_MAX)));
        }
    }
}

async fn discard(mut incoming: Incoming, bytes_max: usize) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = incoming.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > bytes_max {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::stream;

    use super::{BodyBudget, BodyFault, Unread, read};

    fn pieces(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(
            pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))),
        ))
    }

    #[tokio::test]
    async fn puts_pieces_together_up_to_the_limit() {
        let budget = BodyBudget::new(100);
        for (body, expected) in
            [(pieces(&[]), ""), (pieces(&["abc"]), "abc"), (pieces(&["", "ab", "", "cd"]), "abcd")]
        {
            assert_eq!(read(body, 4, &budget).await.ok().unwrap().bytes, expected);
        }
    }

    #[tokio::test]
    async fn stops_at_the_piece_that_goes_over_the_limit() {
        let budget = BodyBudget::new(100);
        let unread = read(pieces(&["abc", "de", "f"]), 4, &budget).await.err().unwrap();
        assert_eq!(unread, Unread { fault: BodyFault::TooLarge { max: 4 }, bytes_read: 5 });
        let unread = read(Body::from("abcde"), 4, &budget).await.err().unwrap();
        assert_eq!(unread, Unread { fault: BodyFault::TooLarge { max: 4 }, bytes_read: 0 });
    }

    #[tokio::test]
    async fn all_bodies_share_one_budget_and_give_it_back() {
        let budget = BodyBudget::new(6);
        let first = read(pieces(&["abcd"]), 4, &budget).await.ok().unwrap();
        let unread = read(pieces(&["ab", "c"]), 4, &budget).await.err().unwrap();
        assert_eq!(unread.fault, BodyFault::Crowded);
        drop(first);
        assert!(read(pieces(&["abc"]), 4, &budget).await.is_ok());
    }
}
