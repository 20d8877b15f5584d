//! The raw body once more, for whoever stands behind the layer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::Received;

/// The verified bytes of an event as a request's body, in one frame and without a copy.
///
/// What a service behind a [`VerifyLayer`](crate::VerifyLayer) is called with. It costs nothing where it is not read, as with
/// handlers that take the [`Received`] alone.
#[derive(Debug)]
pub struct ReceivedBody {
    /// `None` once it is read.
    received: Option<Received>,
}

impl ReceivedBody {
    pub(crate) fn new(received: Received) -> Self {
        Self { received: Some(received) }
    }
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.received.take().map(|received| Ok(Frame::data(Bytes::from_owner(received)))))
    }

    fn is_end_stream(&self) -> bool {
        self.received.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.received.as_ref().map_or(0, |received| received.body().len() as u64))
    }
}
