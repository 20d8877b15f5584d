//! One request, from its head to its reply: rate of the sender, framing, the router with a deadline, whatever goes wrong.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use agentflow_events::Moment;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue};
use http::{Request, StatusCode, Version};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::activity::{Activity, InFlight};
use super::body::RequestBody;
use super::framing;
use super::heads::FramingCount;
use super::slots::Sender;
use super::{RemoteAddr, millis};
use crate::config::Limits;
use crate::rate::RateLimiter;
use crate::reason::Reason;
use crate::reply::{CloseConnection, Problem};

/// Answers requests, whichever connection they come by.
pub(super) struct Requests {
    router: Router,
    rate: Option<RateLimiter<Sender>>,
    /// The rate counts from here, by a clock that nobody sets.
    started: Instant,
    body_idle_max: Duration,
    request_max: Duration,
}

impl Requests {
    pub(super) fn new(router: Router, limits: &Limits) -> Self {
        Self {
            router,
            rate: limits.requests_per_second_per_address.map(RateLimiter::new),
            started: Instant::now(),
            body_idle_max: millis(limits.body_idle_timeout_ms),
            request_max: millis(limits.request_timeout_ms),
        }
    }

    /// Answers one request. The reply counts as in flight until its body is gone.
    pub(super) async fn answer(
        self: Arc<Self>,
        activity: Arc<Activity>,
        remote: RemoteAddr,
        sent: FramingCount,
        request: Request<Incoming>,
    ) -> Result<http::Response<ReplyBody>, Infallible> {
        let now = Instant::now();
        let in_flight = activity.begin(now);
        let version = request.version();
        let mut response = self.reply(remote, sent, request, now).await;
        let closes = response.extensions_mut().remove::<CloseConnection>().is_some();
        if closes && version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| ReplyBody { body, in_flight }))
    }

    async fn reply(
        &self,
        remote: RemoteAddr,
        sent: FramingCount,
        request: Request<Incoming>,
        now: Instant,
    ) -> Response {
        // The body gets a little less than the whole, so that what it held up can still be answered as such.
        let deadline = now + self.request_max;
        let body_deadline = deadline - self.request_max / 10;
        let awaits_continue = request.headers().contains_key(EXPECT);
        let mut request =
            request.map(|body| RequestBody::new(body, awaits_continue, self.body_idle_max, body_deadline));
        if let Err(problem) = self.admit(remote, now) {
            return problem.into_response();
        }
        if let Err(detail) = framing::check(&request, sent) {
            return Problem::new(Reason::BadRequest, detail).closing().into_response();
        }
        request.extensions_mut().insert(remote);
        let handled = AssertUnwindSafe(self.router.clone().call(request)).catch_unwind();
        match timeout_at(deadline, handled).await {
            Ok(Ok(Ok(response))) => explain(response),
            Ok(Err(_panic)) => {
                tracing::error!("a request was not answered: its handler panicked");
                Problem::internal().into_response()
            }
            Err(_elapsed) => {
                tracing::warn!("a request was not answered in time");
                let detail = "The request could not be answered in time. Send it again.";
                Problem::new(Reason::StoreUnavailable, detail).into_response()
            }
        }
    }

    fn admit(&self, remote: RemoteAddr, now: Instant) -> Result<(), Problem> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let elapsed = now.duration_since(self.started).as_millis();
        let moment = Moment::from_unix_millis(i64::try_from(elapsed).unwrap_or(i64::MAX));
        rate.take(Sender::from(remote.0), moment).map_err(|wait| {
            let detail = "Too many requests from this address; wait, then send it again.";
            Problem::new(Reason::RateLimited, detail).retry_after(wait)
        })
    }
}

/// The router's own bare refusals, put into words.
fn explain(response: Response) -> Response {
    if response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let problem = match response.status() {
        StatusCode::NOT_FOUND => Problem::new(Reason::NotFound, "There is nothing under this path."),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(Reason::MethodNotAllowed, "This path does not have this method; see `Allow`.")
        }
        _ => return response,
    };
    let mut explained = problem.into_response();
    if let Some(methods) = response.headers().get(ALLOW) {
        explained.headers_mut().insert(ALLOW, methods.clone());
    }
    explained
}

/// A reply's body, which keeps its request in flight.
pub(super) struct ReplyBody {
    body: Body,
    in_flight: InFlight,
}

impl hyper::body::Body for ReplyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            self.in_flight.gets_on(Instant::now());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
