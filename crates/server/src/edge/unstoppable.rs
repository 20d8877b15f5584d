//! Work that goes on when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs where it is awaited, and as a task of its own from when it is dropped on: a task for each, which few need, would cost
/// every request the making of one and the way between two.
pub(super) struct Unstoppable<T: Send + 'static>(Option<Work<T>>);

impl<T: Send + 'static> Unstoppable<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for Unstoppable<T> {
    type Output = T;

    /// # Panics
    /// Polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile, so that work that panics is not run on.
        let mut work = self.0.take().expect("a future is not polled after it was ready");
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Unstoppable<T> {
    fn drop(&mut self) {
        // At the end of the process there is no runtime left to run it.
        if let (Some(work), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// Around routes: what changes something is done to its end, told and published, also where the sender does not wait for it.
pub(crate) async fn finish_changes(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    Unstoppable::new(next.run(request)).await
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::any;
    use futures_util::FutureExt;
    use http::{Method, Request};
    use tokio::sync::{Notify, oneshot};
    use tower_service::Service;

    use super::{Unstoppable, finish_changes};

    #[tokio::test]
    async fn dropped_it_runs_to_its_end() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut work = Unstoppable::new(async move {
            gone.await.expect("it is told to go on");
            done.send(7).expect("the test waits");
        });
        assert_eq!((&mut work).now_or_never(), None);
        drop(work);
        go.send(()).expect("it still waits");
        assert_eq!(ended.await, Ok(7));
    }

    /// Whether a request that nobody waits for any more is worked on to its end.
    async fn is_finished(method: Method) -> bool {
        let go = std::sync::Arc::new(Notify::new());
        let (ends, ended) = oneshot::channel();
        let ends = std::sync::Arc::new(std::sync::Mutex::new(Some(ends)));
        let gone = std::sync::Arc::clone(&go);
        let work = move || async move {
            let ends = ends.lock().expect("unpoisoned").take();
            gone.notified().await;
            let _ = ends.expect("asked once").send(());
        };
        let mut routes = Router::new().route("/", any(work)).layer(from_fn(finish_changes));
        let request = Request::builder().method(method).uri("/").body(Body::empty()).expect("a request");
        let mut answer = routes.call(request);
        assert!((&mut answer).now_or_never().is_none());
        drop((answer, routes));
        go.notify_one();
        ended.await.is_ok()
    }

    #[tokio::test]
    async fn a_change_is_finished_without_its_sender_and_a_look_is_not() {
        for (method, finishes) in
            [(Method::POST, true), (Method::PATCH, true), (Method::DELETE, true), (Method::GET, false)]
        {
            assert_eq!(is_finished(method.clone()).await, finishes, "{method}");
        }
    }

    #[tokio::test]
    async fn awaited_it_answers_and_a_panic_ends_it() {
        assert_eq!(Unstoppable::new(async { 7 }).await, 7);
        let mut broken = Unstoppable::new(async { panic!("on purpose") });
        assert!(AssertUnwindSafe(&mut broken).catch_unwind().await.is_err());
        assert!(broken.0.is_none());
    }
}
