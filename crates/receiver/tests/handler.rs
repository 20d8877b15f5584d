//! The protocol around the work, and the deadline over all of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentflow_events::Moment;
use agentflow_events::idempotency::{
    Begin, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore, MemoryStore,
};
use agentflow_receiver::{Answer, Handler, Received};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{EVENT, event_with, reason, receiver, signed};

async fn received() -> Received {
    receiver().receive(signed(EVENT)).await.unwrap()
}

fn handler() -> Handler<MemoryStore> {
    Handler::new(MemoryStore::new()).clock(support::clock)
}

async fn succeed(_: Received) -> io::Result<()> {
    Ok(())
}

async fn fail(_: Received) -> io::Result<()> {
    Err(io::Error::other("no"))
}

/// Work that tells when it has begun, and goes on when it is told.
fn held(begun: &Arc<Notify>, go: &Arc<Notify>) -> impl FnOnce(Received) -> Held + Send + 'static {
    let (begun, go) = (Arc::clone(begun), Arc::clone(go));
    move |_| {
        Box::pin(async move {
            begun.notify_one();
            go.notified().await;
            Ok(())
        })
    }
}

type Held = std::pin::Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

#[tokio::test]
async fn does_the_work_once() {
    let (handler, runs) = (handler(), Arc::new(AtomicUsize::new(0)));
    let count = || {
        let runs = Arc::clone(&runs);
        move |_: Received| async move {
            runs.fetch_add(1, Ordering::Relaxed);
            io::Result::Ok(())
        }
    };
    assert_eq!(handler.handle(received().await, count()).await, Answer::Done);
    assert_eq!(handler.handle(received().await, count()).await, Answer::AlreadyDone);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn gives_the_key_back_when_the_work_fails_or_panics() {
    let handler = handler();
    assert_eq!(handler.handle(received().await, fail).await, Answer::Failed);
    let panics = |_: Received| async { if true { panic!("at work") } else { io::Result::Ok(()) } };
    assert_eq!(handler.handle(received().await, panics).await, Answer::Failed);
    let panics_at_once = |_: Received| {
        assert!(std::env::args().count() == 0, "before the work is a future");
        std::future::ready(io::Result::Ok(()))
    };
    assert_eq!(handler.handle(received().await, panics_at_once).await, Answer::Failed);
    assert_eq!(handler.handle(received().await, succeed).await, Answer::Done);
}

#[tokio::test]
async fn does_not_acknowledge_what_is_in_flight_elsewhere() {
    let handler = handler();
    let key = received().await.key();
    let lease = Duration::from_millis(90_500);
    let Begin::Fresh(claim) =
        handler.store().begin(key, Moment::from(support::clock()), lease).await.unwrap()
    else {
        panic!("not fresh")
    };
    let answer = handler.handle(received().await, succeed).await;
    assert_eq!(answer, Answer::InFlight { retry_after: lease });
    let response = answer.to_response();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"91".parse().unwrap())
    );
    assert_eq!(reason(&response), "in_flight");
    handler.store().abort(key, claim.token).await.unwrap();
    assert_eq!(handler.handle(received().await, succeed).await, Answer::Done);
}

#[tokio::test(start_paused = true)]
async fn answers_at_the_deadline_while_the_work_goes_on() {
    let (handler, go) = (handler(), Arc::new(Notify::new()));
    let begun = Instant::now();
    let waiting = {
        let go = Arc::clone(&go);
        move |_: Received| async move {
            go.notified().await;
            io::Result::Ok(())
        }
    };
    let answer = handler.handle(received().await, waiting).await;
    assert_eq!(answer, Answer::StillRunning { retry_after: Duration::from_secs(5) });
    assert_eq!(begun.elapsed().as_secs(), 8);
    assert_eq!(reason(&answer.to_response()), "still_running");
    assert!(matches!(handler.handle(received().await, succeed).await, Answer::InFlight { .. }));

    go.notify_one();
    handler.drain().await;
    assert_eq!(handler.handle(received().await, succeed).await, Answer::AlreadyDone);
}

#[tokio::test(start_paused = true)]
async fn counts_the_deadline_from_the_requests_arrival() {
    let received = received().await;
    tokio::time::advance(Duration::from_secs(7)).await;
    let begun = Instant::now();
    let answer = handler().handle(received, |_| std::future::pending::<io::Result<()>>()).await;
    assert!(matches!(answer, Answer::StillRunning { .. }));
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn goes_on_when_the_sender_hangs_up() {
    let (handler, go) = (handler(), Arc::new(Notify::new()));
    let begun = Arc::new(Notify::new());
    let work = held(&begun, &go);
    let request = tokio::spawn({
        let (handler, received) = (handler.clone(), received().await);
        async move { handler.handle(received, work).await }
    });
    begun.notified().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    go.notify_one();
    handler.drain().await;
    assert_eq!(handler.handle(received().await, succeed).await, Answer::AlreadyDone);
}

#[tokio::test]
async fn refuses_more_work_than_allowed() {
    let (handler, go) = (handler().works_max(1), Arc::new(Notify::new()));
    let begun = Arc::new(Notify::new());
    let work = held(&begun, &go);
    let first = tokio::spawn({
        let (handler, received) = (handler.clone(), received().await);
        async move { handler.handle(received, work).await }
    });
    begun.notified().await;
    let answer = handler.handle(received().await, succeed).await;
    assert!(matches!(answer, Answer::Overloaded { .. }));
    assert_eq!(reason(&answer.to_response()), "overloaded");
    go.notify_one();
    assert_eq!(first.await.unwrap(), Answer::Done);
}

#[tokio::test]
async fn passes_test_events_by_unless_told_otherwise() {
    let test = event_with("{", "{\"test\": true,");
    let received = receiver().receive(signed(test)).await.unwrap();
    assert!(received.event().test);
    assert_eq!(handler().handle(received.clone(), fail).await, Answer::TestEvent);
    assert_eq!(handler().run_test_events(true).handle(received, fail).await, Answer::Failed);
}

#[tokio::test]
async fn refuses_a_commit_after_a_takeover() {
    let handler = handler();
    let (store, key) = (handler.clone(), received().await.key());
    let answer = handler
        .handle_fenced(received().await, move |_, token| async move {
            let later = Moment::from(support::clock()).plus(Duration::from_secs(60));
            let begun = store.store().begin(key, later, Duration::from_secs(60)).await.unwrap();
            assert!(matches!(begun, Begin::Fresh(claim) if claim.token > token));
            io::Result::Ok(())
        })
        .await;
    assert_eq!(answer, Answer::TakenOver);
    assert_eq!(answer.status(), 503);
}

#[tokio::test]
async fn purges_what_is_older_than_any_retry() {
    let handler = handler();
    assert_eq!(handler.handle(received().await, succeed).await, Answer::Done);
    let week = Duration::from_secs(7 * 86_400);
    let later = handler.clone().clock(move || support::clock() + week);
    assert_eq!(later.purge().await, Ok(0), "AgentFlow may still send it");
    assert_eq!(later.clone().clock(move || support::clock() + 2 * week).purge().await, Ok(1));
}

/// A store that is down.
#[derive(Debug, thiserror::Error)]
#[error("down")]
struct Down;

struct DownStore;

impl IdempotencyStore for DownStore {
    type Error = Down;

    async fn begin(&self, _: IdempotencyKey, _: Moment, _: Duration) -> Result<Begin, Down> {
        Err(Down)
    }

    async fn commit(&self, _: IdempotencyKey, _: FencingToken, _: Moment) -> Result<(), ClaimError<Down>> {
        Err(ClaimError::Store(Down))
    }

    async fn abort(&self, _: IdempotencyKey, _: FencingToken) -> Result<(), ClaimError<Down>> {
        Err(ClaimError::Store(Down))
    }

    async fn purge(&self, _: Moment) -> Result<u64, Down> {
        Err(Down)
    }
}

#[tokio::test]
async fn runs_nothing_while_the_store_is_down() {
    let handler = Handler::new(DownStore);
    let answer = handler
        .handle(received().await, |_| async { if true { panic!("was run") } else { io::Result::Ok(()) } })
        .await;
    assert_eq!(answer, Answer::StoreUnavailable);
    assert_eq!(reason(&answer.to_response()), "store_unavailable");
}

/// A store whose commits fail so often before they succeed.
struct Flaky {
    store: MemoryStore,
    failures: AtomicUsize,
}

impl IdempotencyStore for Flaky {
    type Error = Down;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> Result<Begin, Down> {
        self.store.begin(key, now, lease).await.map_err(|never| match never {})
    }

    async fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<Down>> {
        let failing =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err(ClaimError::Store(Down));
        }
        self.store.commit(key, token, now).await.map_err(|_| ClaimError::NotHeld)
    }

    async fn abort(&self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<Down>> {
        self.store.abort(key, token).await.map_err(|_| ClaimError::NotHeld)
    }

    async fn purge(&self, older_than: Moment) -> Result<u64, Down> {
        self.store.purge(older_than).await.map_err(|never| match never {})
    }
}

#[tokio::test(start_paused = true)]
async fn records_done_work_although_the_store_fails_for_a_while() {
    let flaky =
        |failures| Handler::new(Flaky { store: MemoryStore::new(), failures: AtomicUsize::new(failures) });
    let handler = flaky(3).clock(support::clock);
    assert_eq!(handler.handle(received().await, succeed).await, Answer::Done);
    assert_eq!(handler.handle(received().await, fail).await, Answer::AlreadyDone);

    // Past the deadline the sender is told to come again; the record is made all the same.
    let handler = flaky(8).clock(support::clock);
    assert!(matches!(handler.handle(received().await, succeed).await, Answer::StillRunning { .. }));
    handler.drain().await;
    assert_eq!(handler.handle(received().await, fail).await, Answer::AlreadyDone);

    // In vain: nobody is told that all is well.
    let handler = flaky(usize::MAX).clock(support::clock).deadline(Duration::from_secs(3600));
    assert_eq!(handler.handle(received().await, succeed).await, Answer::StoreUnavailable);
}
