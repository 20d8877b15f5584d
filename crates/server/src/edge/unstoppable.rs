//! Work that goes on when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

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

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::Unstoppable;

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

    #[tokio::test]
    async fn awaited_it_answers_and_a_panic_ends_it() {
        assert_eq!(Unstoppable::new(async { 7 }).await, 7);
        let mut broken = Unstoppable::new(async { panic!("on purpose") });
        assert!(AssertUnwindSafe(&mut broken).catch_unwind().await.is_err());
        assert!(broken.0.is_none());
    }
}
