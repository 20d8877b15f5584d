//! Each event's work once, around the user's own function, with an answer in time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agentflow_events::Moment;
use agentflow_events::idempotency::{FencingToken, IdempotencyStore, Receipt, run_once};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::TaskTracker;

use crate::patient::Patient;
use crate::{Answer, Received};

/// How long finished work should be remembered: AgentFlow's eight attempts, each wait lengthened to the 24 hours that a
/// `Retry-After` can ask for, take seven days and some jitter.
pub const RETENTION: Duration = Duration::from_secs(8 * 86_400);

/// The sender's ten seconds, less what the network takes.
const DEADLINE: Duration = Duration::from_secs(8);

const LEASE: Duration = Duration::from_secs(60);

const WORKS_MAX: usize = 1024;

/// What to wait where nobody knows better: AgentFlow's own first wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Runs the [idempotency protocol](agentflow_events::idempotency) around your work, and answers in time.
///
/// | the store says | work | the sender hears |
/// | --- | --- | --- |
/// | done | is not run again | 200 |
/// | in flight elsewhere | is not run | 503 with `Retry-After` |
/// | fresh | succeeds, and is recorded | 200 |
/// | fresh | fails or panics; the key is given back | 500 |
/// | fresh | is not finished at the deadline, and goes on | 503 with `Retry-After`; a later attempt finds it done |
/// | nothing: it failed | is not run | 503 |
/// | fresh, and then fails to record | is done; recording is tried until the lease ends | 503 if in vain: a later attempt does it again |
///
/// The work runs in a task of its own, so it also goes on when the sender hangs up. It should end well within the
/// lease: when it takes longer, another attempt may begin it a second time.
///
/// Make one at start-up; it is cheap to clone. It needs a tokio runtime.
///
/// # Example: once
///
/// ```
/// use agentflow_events::idempotency::MemoryStore;
/// use agentflow_receiver::{Answer, Handler, Received};
///
/// # async fn create_crm_record(received: &Received) -> Result<(), std::io::Error> { Ok(()) }
/// async fn on_event(handler: &Handler<MemoryStore>, received: Received) -> Answer {
///     handler.handle(received, |received| async move { create_crm_record(&received).await }).await
/// }
/// ```
pub struct Handler<S> {
    store: Arc<S>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    works: Arc<Semaphore>,
    running: TaskTracker,
    lease: Duration,
    deadline: Duration,
    retention: Duration,
    run_test_events: bool,
}

impl<S: IdempotencyStore + 'static> Handler<S> {
    /// A handler that remembers in `store`.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            clock: Arc::new(SystemTime::now),
            works: Arc::new(Semaphore::new(WORKS_MAX)),
            running: TaskTracker::new(),
            lease: LEASE,
            deadline: DEADLINE,
            retention: RETENTION,
            run_test_events: false,
        }
    }

    /// Sets how long a claim keeps others away; 60 seconds unless set, one at least. Longer than the work ever takes.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_secs(1));
        self
    }

    /// Sets how long after the request's arrival it is answered at the latest; eight seconds unless set. AgentFlow
    /// gives up after ten.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how long finished work is remembered; [`RETENTION`] unless set. With less, a late attempt does it again.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how many works may run at once, those past their deadline included; 1024 unless set.
    #[must_use]
    pub fn works_max(mut self, works: usize) -> Self {
        self.works = Arc::new(Semaphore::new(works.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// Runs the work for test events, too. Unless set, they are answered with 200 and nothing is done: they are sent by
    /// hand, about nobody.
    #[must_use]
    pub fn run_test_events(mut self, run: bool) -> Self {
        self.run_test_events = run;
        self
    }

    /// Sets the clock; the system's unless set. For tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Does the event's work unless it has been done or somebody is at it, and says what to answer.
    ///
    /// What the work returns beside success or failure is dropped: log it there.
    pub async fn handle<F, T, E>(
        &self,
        received: Received,
        work: impl FnOnce(Received) -> F + Send + 'static,
    ) -> Answer
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.handle_fenced(received, |received, _| work(received)).await
    }

    /// [`handle`](Self::handle) for work that passes the claim's token on: to what it acts upon, which can then refuse a
    /// lower one, or to a store's `commit_in`, which records the work in the transaction that does it.
    pub async fn handle_fenced<F, T, E>(
        &self,
        received: Received,
        work: impl FnOnce(Received, FencingToken) -> F + Send + 'static,
    ) -> Answer
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        if received.event().test && !self.run_test_events {
            return Answer::TestEvent;
        }
        let Ok(permit) = Arc::clone(&self.works).try_acquire_owned() else {
            return Answer::Overloaded { retry_after: RETRY_AFTER };
        };
        let remaining = self.deadline.saturating_sub(received.arrived().elapsed());
        let (store, clock, lease) = (Arc::clone(&self.store), Arc::clone(&self.clock), self.lease);
        let running = self.running.spawn(async move {
            let _permit = permit;
            let now = || Moment::from(clock());
            let key = received.key();
            // A task of its own again, so that a panic is a failure like any other and gives the key back.
            let in_task = |token| async move {
                let done = async move { work(received, token).await.is_ok() };
                if tokio::spawn(done).await.unwrap_or(false) { Ok(()) } else { Err(()) }
            };
            match run_once(&Patient::new(&*store, lease), key, lease, now, |claim| in_task(claim.token)).await
            {
                Ok(receipt) => answer(&receipt, now()),
                Err(_) => Answer::StoreUnavailable,
            }
        });
        match timeout(remaining, running).await {
            Ok(Ok(answer)) => answer,
            // The store panicked, or the runtime is going down.
            Ok(Err(_)) => Answer::StoreUnavailable,
            Err(_) => Answer::StillRunning { retry_after: RETRY_AFTER },
        }
    }

    /// Forgets what was done longer ago than the [retention](Self::retention). Says how many records went.
    ///
    /// # Errors
    ///
    /// The store's. What was to go then goes the next time.
    pub async fn purge(&self) -> Result<u64, S::Error> {
        self.store.purge(Moment::from((self.clock)()).minus(self.retention)).await
    }

    /// [Purges](Self::purge) again and again, at once and then `every` so often (a second at least), and hands failures to
    /// `on_error`.
    ///
    /// # Example: a task for it
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentflow_events::idempotency::MemoryStore;
    /// # use agentflow_receiver::Handler;
    /// # fn start(handler: Handler<MemoryStore>) {
    /// tokio::spawn(async move {
    ///     handler.keep_purging(Duration::from_secs(3600), |error| eprintln!("purge: {error}")).await;
    /// });
    /// # }
    /// ```
    pub async fn keep_purging(&self, every: Duration, mut on_error: impl FnMut(S::Error)) {
        let mut ticks = interval(every.max(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.purge().await {
                on_error(error);
            }
        }
    }

    /// Waits until no work is running: for the end of the process, once no requests are taken any more. What does not
    /// end in time is taken up by a later attempt when its lease has run out.
    pub async fn drain(&self) {
        self.running.close();
        self.running.wait().await;
    }
}

impl<S> Clone for Handler<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            works: Arc::clone(&self.works),
            running: self.running.clone(),
            ..*self
        }
    }
}

impl<S> fmt::Debug for Handler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("lease", &self.lease)
            .field("deadline", &self.deadline)
            .field("retention", &self.retention)
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}

fn answer(receipt: &Receipt<(), ()>, now: Moment) -> Answer {
    match receipt {
        Receipt::Done(()) => Answer::Done,
        Receipt::AlreadyDone => Answer::AlreadyDone,
        Receipt::InFlight { until } => Answer::InFlight { retry_after: until.since(now) },
        Receipt::Failed(()) => Answer::Failed,
        Receipt::TakenOver(()) => Answer::TakenOver,
    }
}
