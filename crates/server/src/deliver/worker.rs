//! Carries out what the scheduler decides, with the real clock, store and client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use agentflow_events::Moment;
use agentflow_signature::Timestamp;
use foldhash::HashMap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Client, DeliverError, Sent};
use super::lane::{Claim, LaneSettings};
use super::message::{AGENT, Message};
use super::report;
use super::schedule::{DISABLE_AFTER, after_failure, retry_after};
use super::scheduler::{Action, Concurrency, SET_BACK, Scheduler};
use super::slot::{self, Slot, caught};
use super::{AddressPolicy, Target, TargetError};
use crate::clock::Clock;
use crate::config::DeliveryConfig;
use crate::directory::{Directory, LiveWorkspace};
use crate::id::{self, DestinationId};
use crate::record::{AttemptOutcome, Destination, DueDelivery, FinishedAttempt};
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, Seldom};

/// How long a response's body is read after its head. The slot waits for it: a destination that never ends its responses
/// costs a connection each time.
pub(super) const BODY_AFTER_HEAD: Duration = Duration::from_secs(1);

/// Longest sleep of the timer, so that a jump of the clock is noticed; idle connections are looked through as often.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Waits between tries to record an attempt that the store does not take: from, and at most.
const RECORD_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// Tries to record an attempt that the store refuses for another reason than being full.
const RECORD_TRIES: u32 = 10;

pub(super) struct Worker {
    store: Arc<dyn Store>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Clock,
    metrics: Arc<Metrics>,
    pub(super) client: Client,
    state: Mutex<State>,
    targets: RwLock<HashMap<DestinationId, Result<Arc<Target>, TargetError>>>,
    /// The timer has to look at the scheduler again.
    sooner: Notify,
    /// Attempts, claims and readings under way.
    tasks: TaskTracker,
    stopping: CancellationToken,
    runtime: tokio::runtime::Handle,
    /// Lines of the log that a store in need would repeat for every destination and attempt.
    refused: Seldom,
    not_recorded: Seldom,
}

struct State {
    scheduler: Scheduler,
    /// Kept for its allocation.
    actions: Vec<Action>,
    /// When the timer looks at the scheduler next.
    timer: Option<Moment>,
    /// The time at the last step.
    seen: Moment,
}

impl Worker {
    pub(super) fn start(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        config: &DeliveryConfig,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, DeliverError> {
        let concurrency =
            Concurrency { per_destination: config.concurrency_per_destination, overall: config.concurrency };
        let worker = Arc::new(Self {
            store,
            directory,
            clock,
            metrics,
            client: Client::new(config)?,
            state: Mutex::new(State {
                scheduler: Scheduler::new(concurrency),
                actions: Vec::new(),
                timer: Some(Moment::MIN),
                seen: Moment::MIN,
            }),
            targets: RwLock::default(),
            sooner: Notify::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            runtime: tokio::runtime::Handle::current(),
            refused: Seldom::default(),
            not_recorded: Seldom::default(),
        });
        worker.spawn(Arc::clone(&worker).keep_time());
        Ok(worker)
    }

    pub(super) fn policy(&self) -> &AddressPolicy {
        self.client.policy()
    }

    pub(super) fn dispatch(self: &Arc<Self>, deliveries: Vec<DueDelivery>) {
        self.step(|scheduler, _| match deliveries.is_empty() {
            true => scheduler.committed(),
            false => scheduler.offer(deliveries),
        });
    }

    pub(super) fn wake(self: &Arc<Self>) {
        self.step(|scheduler, _| scheduler.wake());
    }

    pub(super) fn give_back(self: &Arc<Self>, which: impl Fn(&DueDelivery) -> bool) {
        self.step(|scheduler, _| scheduler.give_back(which));
    }

    pub(super) async fn stop(self: &Arc<Self>) {
        self.stopping.cancel();
        self.step(|scheduler, _| scheduler.stop());
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Tells the scheduler what happened and does what follows.
    fn step(self: &Arc<Self>, event: impl FnOnce(&mut Scheduler, Moment)) {
        let now = self.clock.now();
        let mut state = self.state();
        let State { scheduler, actions, timer, seen } = &mut *state;
        if now.plus(SET_BACK) < std::mem::replace(seen, now) {
            self.spawn(Arc::clone(self).mend());
        }
        event(scheduler, now);
        scheduler.act(now, actions);
        // Under the lock, so that a release reaches the store before a claim that has to see it.
        for action in actions.drain(..) {
            self.perform(action);
        }
        let next = scheduler.next_wake();
        if next.is_some_and(|next| timer.is_none_or(|timer| next < timer)) {
            *timer = next;
            self.sooner.notify_one();
        }
    }

    fn perform(self: &Arc<Self>, action: Action) {
        let worker = Arc::clone(self);
        match action {
            // Tasks are moved while they begin and end, and this one is large.
            Action::Attempt(delivery) => self.spawn(Box::pin(worker.attempt_whatever_comes(delivery))),
            Action::Release(ids) => self.store.release(&ids),
            Action::Claim { destination, claim, limit } => {
                self.spawn(worker.claim(destination, claim, limit))
            }
            Action::ReadDestinations => self.spawn(worker.read_destinations()),
            Action::ReadDue => self.spawn(worker.read_due()),
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Wakes the scheduler when it wants to be, until the stage is stopped.
    async fn keep_time(self: Arc<Self>) {
        while !self.stopping.is_cancelled() {
            self.step(|_, _| ());
            let wait = {
                let mut state = self.state();
                state.timer = state.scheduler.next_wake();
                state.timer.map_or(SLEEP_MAX, |at| at.since(self.clock.now()).min(SLEEP_MAX))
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => (),
                () = self.sooner.notified() => (),
                () = self.stopping.cancelled() => (),
            }
            self.client.reap();
        }
    }

    /// The clock was set back: what is due by it in years is due now.
    async fn mend(self: Arc<Self>) {
        let mended = self.store.mend_due_times(self.clock.now()).await;
        match self.or_refused(mended, "the due times could not be looked through") {
            None | Some(0) => {}
            Some(deliveries) => {
                tracing::warn!(
                    deliveries,
                    "a clock was ahead: retries due later than any schedule asks for are due now"
                );
                self.wake();
            }
        }
    }

    async fn claim(self: Arc<Self>, destination: DestinationId, claim: Claim, limit: usize) {
        let now = self.clock.now();
        let claimed = self
            .answer(async {
                match claim {
                    Claim::Longest => self.store.claim_due(destination, now, limit).await,
                    Claim::Latest => self.store.claim_latest(destination, now, limit).await,
                }
            })
            .await;
        // A destination that has just been disabled is as good as a refusal: the lane will soon know, or ask again.
        let claimed = self.or_refused(claimed, "due deliveries could not be claimed").flatten();
        self.step(|scheduler, now| scheduler.claimed(destination, limit, claimed, now));
    }

    async fn read_due(self: Arc<Self>) {
        let due =
            self.or_refused(self.answer(self.store.next_due()).await, "the due times could not be read");
        self.step(|scheduler, now| scheduler.due(due, now));
    }

    async fn read_destinations(self: Arc<Self>) {
        let found = self.or_refused(
            self.answer(self.store.all_destinations()).await,
            "the destinations could not be read",
        );
        let lanes = found.map(|found| {
            let target =
                |destination: &Destination| Target::parse(&destination.url, self.policy()).map(Arc::new);
            let targets = found.iter().map(|destination| (destination.id, target(destination))).collect();
            *self.targets.write().unwrap_or_else(PoisonError::into_inner) = targets;
            found
                .iter()
                .map(|destination| (destination.id, LaneSettings::of(destination)))
                .collect::<Vec<_>>()
        });
        self.step(|scheduler, now| scheduler.destinations(lanes.as_deref(), now));
    }

    /// The store's answer; a refusal where it panics instead.
    async fn answer<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        caught(asked).await.unwrap_or_else(|| Err(StoreError::Backend("the store panicked".to_owned())))
    }

    fn or_refused<T>(&self, answer: Result<T, StoreError>, what: &str) -> Option<T> {
        let tell = |error: &StoreError| {
            if let Some(passed_over) = self.refused.due(self.clock.now()) {
                tracing::warn!(%error, passed_over, "{what}");
            }
        };
        answer.inspect_err(tell).ok()
    }

    /// Makes an attempt. One that panics is recorded as a failure, so that its delivery ends like any other; its slot and its
    /// claim are free afterwards in any case.
    async fn attempt_whatever_comes(self: Arc<Self>, delivery: DueDelivery) {
        let slot = Slot::of(&delivery);
        let at = self.clock.now();
        if caught(Arc::clone(&self).attempt(delivery.clone(), &slot)).await.is_some() {
            return;
        }
        tracing::error!(delivery = %delivery.id, "an attempt panicked");
        self.free(&slot, false);
        let workspace = self.directory.workspace(delivery.workspace_id);
        let failed = workspace.map(|workspace| {
            slot::panicked(&delivery, &workspace.settings.retry_schedule_seconds, at, self.clock.now())
        });
        let recorded = match failed {
            Some(failed) => caught(self.record(delivery.clone(), failed)).await,
            None => None,
        };
        if recorded.is_none() {
            self.give_up(&delivery);
        }
    }

    fn free(self: &Arc<Self>, slot: &Slot, ok: bool) {
        if slot.free() {
            self.step(|scheduler, _| scheduler.attempted(slot.destination, slot.lead, ok));
        }
    }

    async fn attempt(self: Arc<Self>, delivery: DueDelivery, slot: &Slot) {
        let Some(workspace) = self.directory.workspace(delivery.workspace_id) else {
            return self.abandon(&delivery, slot, "its workspace is unknown");
        };
        let target = self.target(delivery.destination_id);
        let at = self.clock.now();
        let mut sent = match &target {
            Ok(target) => self.post(target, &workspace, &delivery).await,
            Err(error) => Sent::refused(*error),
        };
        let ended = self.clock.now();
        let ok = sent.status().is_some_and(is_success);
        // A response without end counts as delivered, and against the lane: it cost its connection.
        let is_read = match &mut sent.answer {
            Ok(reply) => reply.body.read_within(BODY_AFTER_HEAD).await,
            Err(_) => true,
        };
        self.free(slot, ok && is_read);
        let outcome = self.outcome(&workspace, &delivery, &sent, ended);
        let target = target.as_deref().ok();
        let attempt = report::attempt(delivery.attempt_number, at, ended, target, sent);
        self.metrics.attempt(ok, attempt.duration_ms);
        let finished = FinishedAttempt {
            delivery_id: delivery.id,
            workspace_id: delivery.workspace_id,
            destination_id: delivery.destination_id,
            attempt,
            outcome,
            disable_after: DISABLE_AFTER,
        };
        self.record(delivery, finished).await;
    }

    fn target(&self, destination: DestinationId) -> Result<Arc<Target>, TargetError> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        // A lane exists only for what was read together with its target.
        targets.get(&destination).cloned().unwrap_or(Err(TargetError::Malformed))
    }

    async fn post(&self, target: &Target, workspace: &LiveWorkspace, delivery: &DueDelivery) -> Sent {
        let request = || {
            let now = self.clock.now();
            let message = Message {
                event_id: delivery.event_id,
                event_type: delivery.event_type,
                attempt_number: delivery.attempt_number,
                body: &delivery.body,
                signers: workspace.signers(now),
                now: signing_time(now),
                agent: AGENT,
            };
            message.request(target)
        };
        self.client.send(target, request).await
    }

    fn outcome(
        &self,
        workspace: &LiveWorkspace,
        delivery: &DueDelivery,
        sent: &Sent,
        now: Moment,
    ) -> AttemptOutcome {
        let (status, asked) = match &sent.answer {
            Ok(reply) if is_success(reply.status) => return AttemptOutcome::Delivered,
            Ok(reply) => {
                (Some(reply.status), reply.retry_after.as_ref().and_then(|value| retry_after(value, now)))
            }
            Err(_) => (None, None),
        };
        let random = u32::from_ne_bytes(id::random());
        let schedule = &workspace.settings.retry_schedule_seconds;
        after_failure(schedule, delivery.schedule_step, status, asked, random, now)
    }

    /// Records an attempt, again and again while the store has no room: an outcome is not lost silently.
    async fn record(self: &Arc<Self>, delivery: DueDelivery, finished: FinishedAttempt) {
        let retry_at = match &finished.outcome {
            AttemptOutcome::RetryAt(at) => Some(*at),
            AttemptOutcome::Delivered | AttemptOutcome::Dead | AttemptOutcome::Gone => None,
        };
        let gone = finished.outcome == AttemptOutcome::Gone;
        let finished = Arc::new(finished);
        let mut wait = RECORD_AGAIN.0;
        for tries in 1_u32.. {
            let error = match self.store.finish_attempt(Arc::clone(&finished)).await {
                Ok(disabled) => {
                    let disabled = disabled || gone;
                    if disabled {
                        tracing::warn!(destination = %delivery.destination_id, gone, "a destination was disabled");
                    }
                    self.step(|scheduler, _| {
                        scheduler.recorded(delivery.destination_id, delivery.id, retry_at, disabled);
                    });
                    return;
                }
                Err(error) => error,
            };
            // A store without room refuses every attempt that ends meanwhile, again and again.
            if let Some(passed_over) = self.not_recorded.due(self.clock.now()) {
                tracing::warn!(%error, delivery = %delivery.id, tries, passed_over, "an attempt could not be recorded yet");
            }
            let hopeless = match error {
                StoreError::Stopped(_) => true,
                StoreError::Overloaded | StoreError::DiskFull => {
                    self.stopping.is_cancelled() && tries >= RECORD_TRIES
                }
                StoreError::Backend(_) | StoreError::Unusable(_) => tries >= RECORD_TRIES,
            };
            if hopeless {
                break;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RECORD_AGAIN.1);
        }
        tracing::error!(delivery = %delivery.id, "an attempt could not be recorded; the delivery will be attempted again");
        self.give_up(&delivery);
    }

    /// Ends an attempt that cannot be made; the delivery stays due.
    fn abandon(self: &Arc<Self>, delivery: &DueDelivery, slot: &Slot, reason: &str) {
        tracing::error!(delivery = %delivery.id, reason, "an attempt could not be made");
        self.free(slot, false);
        self.give_up(delivery);
    }

    fn give_up(self: &Arc<Self>, delivery: &DueDelivery) {
        self.store.release(&[delivery.id]);
        self.step(|scheduler, now| {
            // Not at once, lest a store that is broken for one row be asked without pause.
            let again = now.plus(RECORD_AGAIN.1);
            scheduler.recorded(delivery.destination_id, delivery.id, Some(again), false);
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

pub(super) fn signing_time(now: Moment) -> Timestamp {
    Timestamp::from_unix_seconds(u64::try_from(now.unix_seconds()).unwrap_or(0))
}
