//! The simulated world: one process with the real scheduler, the store, the receivers, and time that jumps.
//!
//! It does what the worker does, step by step: `true` time drives the agenda, the clock that the scheduler sees may be set
//! forward and back. A crash forgets the scheduler, its claims and what was on its way to it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use agentflow_events::{LeadId, Moment};
use bytes::Bytes;

use super::bug::Bug;
use super::ledger::{Ledger, Violation};
use super::receiver::{Answer, Receiver};
use super::store::{Finished, SimStore, destination};
use crate::deliver::lane::{Claim, LaneSettings};
use crate::deliver::schedule::after_failure;
use crate::deliver::scheduler::{Action, Concurrency, Scheduler};
use crate::id::{DeliveryId, DestinationId};
use crate::random::Random;
use crate::record::{AttemptOutcome, DueDelivery};

/// How soon the worker notices that the clock jumped.
const NOTICED_WITHIN_MILLIS: u64 = 1_000;

enum Event {
    /// An answer to the attempt of this number, counted over all; it may come twice.
    Answered(u64, DueDelivery, Answer),
    FinishRuns(DueDelivery, Finished),
    Recorded(DueDelivery, AttemptOutcome, bool),
    ClaimRuns(DestinationId, Claim, usize),
    Claimed(DestinationId, usize, Option<Vec<DueDelivery>>),
    Destinations(Option<Vec<(DestinationId, LaneSettings)>>),
    DueRead(Option<Vec<(DestinationId, Moment)>>),
    /// The worker's timer.
    Timer,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) store: SimStore,
    pub(super) ledger: Ledger,
    /// Absent: the process is down.
    pub(super) scheduler: Option<Scheduler>,
    pub(super) receivers: BTreeMap<DestinationId, Receiver>,
    pub(super) delivered: Vec<(DeliveryId, Duration)>,
    pub(super) attempts: usize,
    /// The store takes nothing.
    pub(super) store_refuses: bool,
    /// The store's answers take up to so long, in milliseconds.
    pub(super) store_millis: u64,
    /// Time since the beginning, that nobody can set.
    pub(super) time: Duration,
    /// What the clock shows besides, in milliseconds.
    offset: i64,
    bug: Bug,
    concurrency: Concurrency,
    schedule: Vec<u32>,
    agenda: BTreeMap<(Duration, u64), Box<Event>>,
    /// Attempts under way, by number.
    unanswered: HashSet<u64>,
    counter: u64,
    actions: Vec<Action>,
}

impl World {
    pub(super) fn new(
        seed: u64,
        bug: Bug,
        concurrency: Concurrency,
        schedule: &[u32],
        receivers: &[Receiver],
    ) -> Self {
        let first_wait = Duration::from_secs(schedule.first().copied().unwrap_or(0).into());
        let mut store = SimStore::new(first_wait, bug);
        let mut all = BTreeMap::new();
        for (n, receiver) in (0..).zip(receivers) {
            store.add_destination(n);
            all.insert(destination(n), *receiver);
        }
        let ledger = Ledger::new(schedule.len(), (concurrency.per_destination, concurrency.overall));
        Self {
            random: Random::new(seed),
            store,
            ledger,
            scheduler: Some(Scheduler::new(concurrency)),
            receivers: all,
            delivered: Vec::new(),
            attempts: 0,
            store_refuses: false,
            store_millis: 5,
            time: Duration::ZERO,
            offset: 1_700_000_000_000,
            bug,
            concurrency,
            schedule: schedule.to_vec(),
            agenda: BTreeMap::new(),
            unanswered: HashSet::new(),
            counter: 0,
            actions: Vec::new(),
        }
    }

    pub(super) fn clock(&self) -> Moment {
        Moment::from_unix_millis(self.offset + self.time.as_millis() as i64)
    }

    /// Sets the clock forward, or back.
    pub(super) fn jump(&mut self, millis: i64) {
        let now = self.clock();
        self.ledger.saw(now);
        self.ledger.jumped();
        self.offset += millis;
        let noticed = Duration::from_millis(self.random.below(NOTICED_WITHIN_MILLIS));
        self.later(noticed, Event::Timer);
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.counter += 1;
        self.agenda.insert((self.time + after, self.counter), Box::new(event));
    }

    fn store_later(&mut self, event: Event) {
        let after = Duration::from_millis(1 + self.random.below(self.store_millis));
        self.later(after, event);
    }

    /// An event for these destinations; `told`: the process that commits it is this one.
    pub(super) fn commit(&mut self, of: LeadId, to: &[DestinationId], told: bool) {
        let now = self.clock();
        let known = self.store.rows.last_key_value().map(|(id, _)| *id);
        let claimed = self.store.commit(of, to, now, told);
        let made = self.store.rows.range((
            known.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded),
            std::ops::Bound::Unbounded,
        ));
        for (_, row) in made {
            self.ledger.committed(&row.delivery, now);
        }
        if told {
            self.step(|scheduler, _| match claimed.is_empty() {
                true => scheduler.committed(),
                false => scheduler.offer(claimed),
            });
        }
    }

    /// What the worker's `step` does.
    pub(super) fn step(&mut self, event: impl FnOnce(&mut Scheduler, Moment)) {
        let now = self.clock();
        let Some(scheduler) = &mut self.scheduler else { return };
        let mut actions = std::mem::take(&mut self.actions);
        event(scheduler, now);
        scheduler.act(now, &mut actions);
        for action in actions.drain(..) {
            self.perform(action);
        }
        self.actions = actions;
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Attempt(delivery) => self.begin(delivery),
            Action::Release(ids) => self.store.release(&ids),
            Action::Claim { destination, claim, limit } => {
                self.store_later(Event::ClaimRuns(destination, claim, limit));
            }
            Action::ReadDestinations => {
                let found = (!self.store_refuses).then(|| self.store.destinations());
                self.store_later(Event::Destinations(found));
            }
            Action::ReadDue => {
                let due = (!self.store_refuses).then(|| self.store.next_due());
                self.store_later(Event::DueRead(due));
            }
        }
    }

    fn begin(&mut self, mut delivery: DueDelivery) {
        self.attempts += 1;
        if self.bug == Bug::BodyRenderedAnew && delivery.attempt_number > 1 {
            delivery.body = Bytes::from_static(b"{}");
        }
        let repeats = self.bug == Bug::TransportRepeats && self.random.percent(5);
        for _ in 0..=usize::from(repeats) {
            self.ledger.begins(&delivery, self.time, self.clock());
        }
        if self.bug == Bug::AttemptsVanish && self.random.percent(5) {
            return self.ledger.ended(delivery.id, None);
        }
        let Some(receiver) = self.receivers.get(&delivery.destination_id) else { return };
        let answer = receiver.answer(&mut self.random);
        let number = self.attempts as u64;
        self.unanswered.insert(number);
        if let Some(again) = answer.again_after {
            self.later(again, Event::Answered(number, delivery.clone(), answer));
        }
        if self.bug == Bug::SlotsFreedEarly {
            let (to, nobody) = (delivery.destination_id, LeadId::from_bytes([0; 16]));
            self.scheduler.as_mut().into_iter().for_each(|scheduler| scheduler.attempted(to, nobody, true));
        }
        self.later(answer.after, Event::Answered(number, delivery, answer));
    }

    fn answered(&mut self, number: u64, delivery: DueDelivery, answer: Answer) {
        if !self.unanswered.remove(&number) && self.bug != Bug::AnswersCountTwice {
            // Its connection has no request any more that it could belong to.
            return;
        }
        let ok = answer.status.is_some_and(|status| (200..300).contains(&status));
        self.ledger.ended(delivery.id, answer.status);
        if ok {
            self.delivered.push((delivery.id, self.time));
        }
        if self.bug != Bug::SlotsFreedEarly {
            self.step(|scheduler, _| scheduler.attempted(delivery.destination_id, delivery.lead_id, ok));
        }
        let now = self.clock();
        let outcome = if ok {
            AttemptOutcome::Delivered
        } else {
            let random = self.random.next() as u32;
            after_failure(
                &self.schedule,
                delivery.schedule_step,
                answer.status,
                answer.retry_after,
                random,
                now,
            )
        };
        let finished = Finished { id: delivery.id, number: delivery.attempt_number, outcome, at: now };
        self.store_later(Event::FinishRuns(delivery, finished));
    }

    fn finish(&mut self, finished: &Finished) -> bool {
        let now = self.clock();
        let sent_again = self.store.rows.get(&finished.id).is_some_and(|row| row.step < 0);
        self.ledger.recorded(finished.id, &finished.outcome, sent_again, now);
        let disabled = self.store.finish(finished);
        self.show(finished.id);
        disabled
    }

    fn show(&mut self, id: DeliveryId) {
        if let Some(row) = self.store.rows.get(&id) {
            self.ledger.shows(id, row.state);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Answered(number, delivery, answer) => self.answered(number, delivery, answer),
            Event::FinishRuns(delivery, finished) if self.store_refuses => {
                let wait = Duration::from_millis(20 + self.random.below(5_000));
                self.later(wait, Event::FinishRuns(delivery, finished));
            }
            Event::FinishRuns(delivery, finished) => {
                let disabled = self.finish(&finished);
                let disabled = disabled || finished.outcome == AttemptOutcome::Gone;
                self.store_later(Event::Recorded(delivery, finished.outcome, disabled));
            }
            Event::Recorded(delivery, outcome, disabled) => {
                let retry_at = match outcome {
                    AttemptOutcome::RetryAt(at) => Some(at),
                    _ => None,
                };
                self.step(|scheduler, _| {
                    scheduler.recorded(delivery.destination_id, delivery.id, retry_at, disabled);
                });
            }
            Event::ClaimRuns(to, claim, limit) => {
                let now = self.clock();
                let mut found =
                    if self.store_refuses { None } else { self.store.claim(to, claim, limit, now) };
                if self.bug == Bug::SchedulerBlindToLeads {
                    for delivery in found.iter_mut().flatten() {
                        delivery.lead_id = LeadId::from_bytes(*delivery.id.as_bytes());
                    }
                }
                self.store_later(Event::Claimed(to, limit, found));
            }
            Event::Claimed(to, limit, found) => {
                self.step(|scheduler, now| scheduler.claimed(to, limit, found, now));
            }
            Event::Destinations(found) => {
                if let Some(found) = &found {
                    self.ledger.settings_read(found);
                }
                let told = found.map(|mut found| {
                    if self.bug == Bug::PaceUnknown {
                        found.iter_mut().for_each(|(_, settings)| settings.per_second = None);
                    }
                    found
                });
                self.step(|scheduler, now| scheduler.destinations(told.as_deref(), now));
            }
            Event::DueRead(due) => self.step(|scheduler, now| scheduler.due(due, now)),
            Event::Timer => self.step(|_, _| ()),
        }
    }

    /// Lets time go by.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.time + duration;
        self.step(|_, _| ());
        loop {
            let clock = self.clock();
            // No sooner than the timer's own grain.
            let wake = self.scheduler.as_ref().and_then(Scheduler::next_wake);
            let wake = wake.map(|at| self.time + at.since(clock).max(Duration::from_millis(1)));
            let event = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = [event, wake].into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.time = self.time.max(next);
            let mut happened = false;
            while let Some(entry) = self.agenda.first_entry()
                && entry.key().0 <= self.time
            {
                happened = true;
                let event = entry.remove();
                self.happen(*event);
            }
            if !happened {
                self.step(|_, _| ());
            }
            if self.ledger.violation.is_some() {
                return;
            }
        }
        self.time = end;
    }

    /// The process ends without notice. What it had told the store may have been committed, or not.
    pub(super) fn crash(&mut self) {
        self.scheduler = None;
        for (_, event) in std::mem::take(&mut self.agenda) {
            if let Event::FinishRuns(_, finished) = *event
                && !self.store_refuses
                && self.random.percent(50)
            {
                self.finish(&finished);
            }
        }
        self.store.forget_claims();
        self.ledger.crashed();
    }

    /// Begins no attempt any more and lets those in flight end.
    pub(super) fn stop(&mut self) {
        self.step(|scheduler, _| scheduler.stop());
        self.run(Duration::from_secs(11));
        // What the store did not take by then is lost with the process.
        self.crash();
    }

    pub(super) fn start(&mut self) {
        self.scheduler = Some(Scheduler::new(self.concurrency));
        self.step(|_, _| ());
    }

    pub(super) fn wake(&mut self) {
        self.step(|scheduler, _| scheduler.wake());
    }

    /// Changes a destination as an operator does.
    pub(super) fn set(&mut self, to: DestinationId, change: impl FnOnce(&mut LaneSettings)) {
        if let Some(place) = self.store.places.get_mut(&to) {
            change(&mut place.settings);
        }
        self.wake();
    }

    pub(super) fn delete(&mut self, to: DestinationId) {
        self.store.delete(to);
        let ids: Vec<DeliveryId> = self.store.rows.keys().copied().collect();
        ids.into_iter().for_each(|id| self.show(id));
        self.wake();
    }

    pub(super) fn resend(&mut self, id: DeliveryId) {
        let now = self.clock();
        if self.store.resend(id, now) {
            self.ledger.sent_again(id, now);
            self.wake();
        }
    }

    /// Deliveries held, and whether all of them are over.
    pub(super) fn is_quiet(&self) -> bool {
        self.store.pending() == 0 && self.scheduler.as_ref().is_some_and(|scheduler| scheduler.held() == 0)
    }

    pub(super) fn settled(&mut self) {
        let quiet = self.is_quiet();
        if !quiet {
            self.ledger.fail(Violation::Unfinished);
        }
        self.ledger.settled();
    }
}
