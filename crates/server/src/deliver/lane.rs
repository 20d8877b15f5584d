//! One destination's lane: what is held for it, how much may be in flight, and when more is due.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use agentflow_events::{LeadId, Moment};

use crate::id::DeliveryId;
use crate::record::DueDelivery;

/// Attempts in flight that a lane begins with; each success allows one more.
const LIMIT_FIRST: usize = 8;

/// Deliveries held for each attempt that may be in flight: a lane that is down holds few, a fast one never runs dry.
const HELD_PER_SLOT: usize = 8;

/// Future due times that a lane remembers by itself; further ones are read from the store when their turn comes.
const UPCOMING_MAX: usize = 1_024;

pub(super) struct Lane {
    /// Whether attempts are made.
    pub(super) enabled: bool,
    /// Gone from the store; forgotten as soon as nothing is under way.
    pub(super) deleted: bool,
    /// Waiting, in order.
    queue: VecDeque<DueDelivery>,
    /// Leads with an attempt in flight, each with what waits behind it.
    busy: HashMap<LeadId, Vec<DueDelivery>>,
    /// All that is claimed for this lane: waiting, in flight, being recorded.
    held: HashSet<DeliveryId>,
    in_flight: usize,
    /// Attempts that may be in flight.
    limit: usize,
    limit_max: usize,
    failures_in_a_row: u32,
    /// How much was asked of the store, until it answers.
    claiming: Option<usize>,
    /// Deliveries went back to the store after the claim under way was asked for; it may have missed them.
    released_since_claim: bool,
    /// Some of them had been held: they come before whatever the claim under way brings.
    returned_since_claim: bool,
    /// Something in the store is due.
    pub(super) due_now: bool,
    /// Older work is in the store: what comes directly has to queue up behind it.
    overflowed: bool,
    /// Known future due times.
    upcoming: BTreeSet<Moment>,
    /// The store may know of due times that `upcoming` lacks.
    more_upcoming: bool,
    /// The entry in the scheduler's alarms.
    pub(super) alarm: Option<Moment>,
    /// Whether the lane has its place in the round.
    pub(super) in_round: bool,
    /// Whether the lane waits for room in the whole server's buffer.
    pub(super) hungry: bool,
}

impl Lane {
    pub(super) fn new(limit_max: usize, enabled: bool) -> Self {
        Self {
            enabled,
            deleted: false,
            queue: VecDeque::new(),
            busy: HashMap::new(),
            held: HashSet::new(),
            in_flight: 0,
            limit: LIMIT_FIRST.min(limit_max),
            limit_max,
            failures_in_a_row: 0,
            claiming: None,
            released_since_claim: false,
            returned_since_claim: false,
            due_now: false,
            // Until the store has said what it holds.
            overflowed: true,
            upcoming: BTreeSet::new(),
            more_upcoming: true,
            alarm: None,
            in_round: false,
            hungry: false,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Deliveries that may be held or asked for at present.
    pub(super) fn held_max(&self) -> usize {
        self.limit * HELD_PER_SLOT
    }

    pub(super) fn can_start(&self) -> bool {
        self.enabled && self.in_flight < self.limit && !self.queue.is_empty()
    }

    /// How much to ask of the store: nothing, or at least half of what may be held, so that one claim serves many attempts.
    pub(super) fn room_to_claim(&self) -> Option<usize> {
        let wants =
            self.enabled && self.due_now && self.claiming.is_none() && self.held() <= self.held_max() / 2;
        wants.then(|| self.held_max() - self.held())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.claiming.is_none()
    }

    /// Takes a delivery that was claimed with its commit. False: it must go back to the store.
    pub(super) fn offer(&mut self, delivery: DueDelivery) -> bool {
        if self.held.contains(&delivery.id) {
            return true;
        }
        let claiming = self.claiming.unwrap_or(0);
        if !self.enabled || self.overflowed || self.held() + claiming >= self.held_max() {
            return false;
        }
        self.take(delivery);
        true
    }

    fn take(&mut self, delivery: DueDelivery) {
        if self.held.insert(delivery.id) {
            self.queue.push_back(delivery);
        }
    }

    /// Notes that deliveries of this lane are in the store, due.
    pub(super) fn gave_back(&mut self) {
        self.due_now = true;
        self.overflowed = true;
        self.released_since_claim = true;
    }

    /// Everything that waits, to be given back.
    pub(super) fn empty(&mut self, released: &mut Vec<DeliveryId>) {
        let parked = self.busy.values_mut().flat_map(|parked| parked.drain(..));
        let before = released.len();
        released.extend(self.queue.drain(..).chain(parked).map(|delivery| delivery.id));
        self.forget(released, before);
    }

    /// What waits beyond the present bound, youngest first, to be given back.
    fn trim(&mut self, released: &mut Vec<DeliveryId>) {
        let excess = self.held().saturating_sub(self.held_max()).min(self.queue.len());
        let before = released.len();
        released.extend(self.queue.drain(self.queue.len() - excess..).map(|delivery| delivery.id));
        self.forget(released, before);
    }

    fn forget(&mut self, released: &[DeliveryId], from: usize) {
        for id in &released[from..] {
            self.held.remove(id);
        }
        if from < released.len() {
            self.returned_since_claim = true;
            self.gave_back();
        }
    }

    /// The next delivery to attempt. One whose lead has an attempt in flight steps aside until that one is over.
    pub(super) fn start(&mut self) -> Option<DueDelivery> {
        while let Some(delivery) = self.queue.pop_front() {
            if let Some(parked) = self.busy.get_mut(&delivery.lead_id) {
                parked.push(delivery);
                continue;
            }
            self.busy.insert(delivery.lead_id, Vec::new());
            self.in_flight += 1;
            return Some(delivery);
        }
        None
    }

    /// An attempt is over: its slot and its lead are free. The limit follows how it went: one more slot for a success,
    /// half of them for a failure that follows a failure.
    pub(super) fn attempted(&mut self, lead: LeadId, success: bool, released: &mut Vec<DeliveryId>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for delivery in self.busy.remove(&lead).into_iter().flatten().rev() {
            self.queue.push_front(delivery);
        }
        if success {
            self.failures_in_a_row = 0;
            self.limit = (self.limit + 1).min(self.limit_max);
        } else {
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
            if self.failures_in_a_row > 1 {
                self.limit = (self.limit / 2).max(1);
                self.trim(released);
            }
        }
    }

    /// The store has recorded an attempt; the claim is over.
    pub(super) fn recorded(&mut self, id: DeliveryId, retry_at: Option<Moment>) {
        self.held.remove(&id);
        if let Some(at) = retry_at {
            self.due_at(at);
        }
    }

    /// Notes a due time.
    pub(super) fn due_at(&mut self, at: Moment) {
        self.upcoming.insert(at);
        if self.upcoming.len() > UPCOMING_MAX {
            self.upcoming.pop_last();
            self.more_upcoming = true;
        }
    }

    /// The known due times are worth nothing; the store is about to be asked.
    pub(super) fn forget_upcoming(&mut self) {
        self.upcoming.clear();
        self.more_upcoming = true;
    }

    /// The store's answer: when the first delivery that nobody holds is due.
    pub(super) fn next_due_is(&mut self, next: Option<Moment>, now: Moment) {
        self.more_upcoming = next.is_some();
        self.overflowed = self.due_now || self.claiming.is_some() || next.is_some_and(|at| at <= now);
        if let Some(at) = next {
            self.due_at(at);
        }
    }

    /// When this lane has to be looked at again.
    pub(super) fn wants_alarm(&self) -> Option<Moment> {
        if !self.enabled || self.due_now { None } else { self.upcoming.first().copied() }
    }

    /// Begins a claim of everything that is due by now.
    pub(super) fn claim(&mut self, limit: usize, now: Moment) {
        self.claiming = Some(limit);
        (self.released_since_claim, self.returned_since_claim) = (false, false);
        self.upcoming.retain(|at| *at > now);
    }

    /// Ends a claim with what it brought; ids that cannot be kept are given back. Answers whether the due times must be
    /// read to know when the next is due.
    pub(super) fn claimed(&mut self, deliveries: Vec<DueDelivery>, released: &mut Vec<DeliveryId>) -> bool {
        let limit = self.claiming.take().unwrap_or(0);
        let short = deliveries.len() < limit && !self.released_since_claim;
        if !self.enabled || self.returned_since_claim {
            // The next claim brings them behind what they would overtake.
            released
                .extend(deliveries.iter().map(|delivery| delivery.id).filter(|id| !self.held.contains(id)));
            return false;
        }
        for delivery in deliveries {
            self.take(delivery);
        }
        self.trim(released);
        if short && !self.released_since_claim {
            self.due_now = false;
            self.overflowed = false;
            return self.more_upcoming;
        }
        false
    }

    /// Ends a claim that failed; it is tried again then.
    pub(super) fn claim_failed(&mut self, again_at: Moment) {
        self.claiming = None;
        self.due_now = false;
        self.due_at(again_at);
    }
}
