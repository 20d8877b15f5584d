//! For tower, and so for everything that speaks it: a layer in front of your service, and a whole service.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use agentflow_events::idempotency::IdempotencyStore;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Handler, Received, ReceivedBody, Receiver, Rejection};

type Pending<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// A tower layer that lets only verified events through.
///
/// The inner service finds a [`Received`] in the request's extensions, and the raw bytes as the body once more, a
/// [`ReceivedBody`]. What does not verify is answered here and never reaches it. Put it outside of anything that reads or changes
/// the body.
///
/// # Example: in front of axum routes
///
/// ```
/// use agentflow_receiver::{Received, Receiver, VerifyLayer};
/// use agentflow_signature::OutboundSecret;
/// use axum::{Extension, Router, routing::post};
///
/// # fn router() -> Result<Router, agentflow_signature::SecretError> {
/// let receiver = Receiver::new(OutboundSecret::new("whsec_…")?);
/// let router = Router::new()
///     .route("/agentflow", post(|Extension(received): Extension<Received>| async move {
///         println!("{}", received.event().id);
///     }))
///     .layer(VerifyLayer::new(receiver));
/// # Ok(router) }
/// ```
pub struct VerifyLayer<B> {
    parts: Arc<Parts<B>>,
}

struct Parts<B> {
    receiver: Receiver,
    on_rejection: Box<dyn Fn(&Rejection) -> Response<B> + Send + Sync>,
}

impl<B: From<Bytes> + 'static> VerifyLayer<B> {
    /// A layer that answers refused requests with a problem.
    pub fn new(receiver: Receiver) -> Self {
        let on_rejection = Box::new(|rejection: &Rejection| rejection.to_response().map(B::from));
        Self { parts: Arc::new(Parts { receiver, on_rejection }) }
    }

    /// Sets what refused requests are answered with.
    #[must_use]
    pub fn on_rejection(self, answer: impl Fn(&Rejection) -> Response<B> + Send + Sync + 'static) -> Self {
        let receiver = self.parts.receiver.clone();
        Self { parts: Arc::new(Parts { receiver, on_rejection: Box::new(answer) }) }
    }
}

impl<B> Clone for VerifyLayer<B> {
    fn clone(&self) -> Self {
        Self { parts: Arc::clone(&self.parts) }
    }
}

impl<B> fmt::Debug for VerifyLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyLayer").field("receiver", &self.parts.receiver).finish_non_exhaustive()
    }
}

impl<S, B> Layer<S> for VerifyLayer<B> {
    type Service = Verify<S, B>;

    fn layer(&self, inner: S) -> Verify<S, B> {
        Verify { layer: self.clone(), inner }
    }
}

/// A service behind a [`VerifyLayer`].
pub struct Verify<S, B> {
    layer: VerifyLayer<B>,
    inner: S,
}

impl<S: Clone, B> Clone for Verify<S, B> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), inner: self.inner.clone() }
    }
}

impl<S: fmt::Debug, B> fmt::Debug for Verify<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify")
            .field("receiver", &self.layer.parts.receiver)
            .field("inner", &self.inner)
            .finish()
    }
}

impl<S, RequestBody, B> Service<Request<RequestBody>> for Verify<S, B>
where
    S: Service<Request<ReceivedBody>, Response = Response<B>, Future: Send> + Clone + Send + 'static,
    RequestBody: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pending<Response<B>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        // The one that said it is ready serves this request; its clone becomes ready for the next.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let layer = Arc::clone(&self.layer.parts);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match layer.receiver.receive_parts(&head.headers, body).await {
                Ok(received) => {
                    head.extensions.insert(received.clone());
                    inner.call(Request::from_parts(head, ReceivedBody::new(received))).await
                }
                Err(rejection) => Ok((layer.on_rejection)(&rejection)),
            }
        })
    }
}

/// A whole service: verifies, deduplicates, does the work, answers.
///
/// From [`Handler::service`]. It serves any path; a router in front of it says which.
pub struct EventService<S, W> {
    receiver: Receiver,
    handler: Handler<S>,
    work: W,
}

impl<S: IdempotencyStore + 'static> Handler<S> {
    /// The service that does `work` once for each event that `receiver` lets through.
    ///
    /// # Example: a route of an axum or tonic server
    ///
    /// ```
    /// use agentflow_events::idempotency::MemoryStore;
    /// use agentflow_receiver::{Handler, Received, Receiver};
    /// use agentflow_signature::OutboundSecret;
    ///
    /// # fn router() -> Result<axum::Router, agentflow_signature::SecretError> {
    /// async fn work(received: Received) -> Result<(), std::io::Error> {
    ///     println!("{} {}", received.event().event_type, received.event().lead_id);
    ///     Ok(())
    /// }
    ///
    /// let receiver = Receiver::new(OutboundSecret::new("whsec_…")?);
    /// let service = Handler::new(MemoryStore::new()).service(receiver, work);
    /// let router = axum::Router::new().route_service("/agentflow", service);
    /// # Ok(router) }
    /// ```
    pub fn service<W, F, T, E>(self, receiver: Receiver, work: W) -> EventService<S, W>
    where
        W: Fn(Received) -> F + Clone + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        EventService { receiver, handler: self, work }
    }
}

impl<S, W: Clone> Clone for EventService<S, W> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), handler: self.handler.clone(), work: self.work.clone() }
    }
}

impl<S, W> fmt::Debug for EventService<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventService")
            .field("receiver", &self.receiver)
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}

impl<S, W, F, T, E, B> Service<Request<B>> for EventService<S, W>
where
    S: IdempotencyStore + 'static,
    W: Fn(Received) -> F + Clone + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pending<Response<Full<Bytes>>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { receiver, handler, work } = self.clone();
        Box::pin(async move {
            let received = if request.method() == Method::POST {
                receiver.receive(request).await
            } else {
                Err(Rejection::Method)
            };
            let response = match received {
                Ok(received) => handler.handle(received, work).await.to_response(),
                Err(rejection) => rejection.to_response(),
            };
            Ok(response.map(Full::new))
        })
    }
}
