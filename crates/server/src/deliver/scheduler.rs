//! Decides what is attempted when. Sans-IO: what happened and the time go in, [`Action`]s come out.
//!
//! - Each destination has its own lane with its own limits, so that one that is down or slow delays no other.
//! - All lanes share the limit of the whole server, see [`turns`](super::turns).
//! - A lane that fails again and again falls to one attempt at a time, and grows with each success.
//! - Within a lane the events of one lead go one after the other; one that waits for a retry does not hold up the next.
//! - What is over a bound goes back to the store, and is claimed when there is room. While older work of a lane is in the
//!   store, newer work goes there too, and old and new take turns.
//! - The clock may jump: what waits for a moment is looked at again when it went back.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use agentflow_events::{LeadId, Moment};
use foldhash::HashMap;

use super::lane::{Claim, Lane, LaneSettings};
use super::turns::{Place, Turns};
use crate::id::{DeliveryId, DestinationId};
use crate::record::DueDelivery;

/// Between two readings of the due times that nothing hurries.
const READ_EVERY: Duration = Duration::from_millis(250);

/// How long due times are believed that nothing has questioned.
const READ_ANYWAY: Duration = Duration::from_secs(15);

/// How long to wait after the store refused a claim or a reading.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// A clock that was set back by more than this has made every remembered moment doubtful; less is its ordinary mending.
pub(super) const SET_BACK: Duration = Duration::from_secs(1);

/// Deliveries held for each attempt that may be in flight, over all lanes.
const HELD_PER_SLOT: usize = 16;

/// What to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Make an attempt, then call [`Scheduler::attempted`] and [`Scheduler::recorded`].
    Attempt(DueDelivery),
    /// Give these claims back, before any later action.
    Release(Vec<DeliveryId>),
    /// Claim due deliveries, then call [`Scheduler::claimed`].
    Claim {
        /// Of this destination.
        destination: DestinationId,
        /// Which of them.
        claim: Claim,
        /// At most.
        limit: usize,
    },
    /// Read every destination, then call [`Scheduler::destinations`].
    ReadDestinations,
    /// Read the next due times, then call [`Scheduler::due`].
    ReadDue,
}

/// How many attempts may be in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Concurrency {
    /// For one destination.
    pub(crate) per_destination: usize,
    /// Over all.
    pub(crate) overall: usize,
}

pub(crate) struct Scheduler {
    concurrency: Concurrency,
    lanes: HashMap<DestinationId, Lane>,
    turns: Turns,
    /// Lanes that would claim if the whole server held less.
    hungry: VecDeque<DestinationId>,
    alarms: BTreeSet<(Moment, DestinationId)>,
    released: Vec<DeliveryId>,
    /// Held over all lanes, with what is being claimed.
    held: usize,
    read_due_at: Option<Moment>,
    reading_due: bool,
    due_read_at: Moment,
    read_destinations_at: Option<Moment>,
    reading_destinations: bool,
    /// The latest time that was told.
    latest: Moment,
    stopped: bool,
}

impl Scheduler {
    /// One that first of all reads destinations and due times.
    pub(crate) fn new(concurrency: Concurrency) -> Self {
        let at_least_one = |n: usize| n.max(1);
        let concurrency = Concurrency {
            per_destination: at_least_one(concurrency.per_destination),
            overall: at_least_one(concurrency.overall),
        };
        Self {
            concurrency,
            lanes: HashMap::default(),
            turns: Turns::new(concurrency.overall),
            hungry: VecDeque::new(),
            alarms: BTreeSet::new(),
            released: Vec::new(),
            held: 0,
            read_due_at: None,
            reading_due: false,
            due_read_at: Moment::MIN,
            read_destinations_at: Some(Moment::MIN),
            reading_destinations: false,
            latest: Moment::MIN,
            stopped: false,
        }
    }

    /// Destinations, settings or deliveries were changed by someone else.
    pub(crate) fn wake(&mut self) {
        self.read_destinations_at = Some(Moment::MIN);
    }

    /// The answer to [`Action::ReadDestinations`]: every destination with its settings. `None`: it failed.
    pub(crate) fn destinations(&mut self, found: Option<&[(DestinationId, LaneSettings)]>, now: Moment) {
        self.reading_destinations = false;
        let Some(found) = found else {
            self.read_destinations_at = Some(now.plus(AFTER_REFUSAL));
            return;
        };
        for lane in self.lanes.values_mut() {
            lane.deleted = true;
        }
        for (id, settings) in found {
            let limit = self.concurrency.per_destination;
            let lane = self.lanes.entry(*id).or_insert_with(|| Lane::new(limit));
            lane.deleted = false;
            lane.set(*settings, limit);
            lane.enabled &= !self.stopped;
        }
        let all: Vec<DestinationId> = self.lanes.keys().copied().collect();
        for id in all {
            self.change(id, |lane, released| {
                lane.enabled &= !lane.deleted;
                if !lane.enabled {
                    lane.empty(released);
                }
            });
        }
        self.read_due_at = Some(now);
    }

    /// The answer to [`Action::ReadDue`], of disabled destinations too: one that is enabled again must not forget what waits
    /// there. `None`: it failed.
    pub(crate) fn due(&mut self, next: Option<Vec<(DestinationId, Moment)>>, now: Moment) {
        self.reading_due = false;
        let again = now.plus(if next.is_some() { READ_ANYWAY } else { AFTER_REFUSAL });
        self.read_due_by(again);
        let Some(next) = next else { return };
        self.due_read_at = now;
        let next: HashMap<DestinationId, Moment> = next.into_iter().collect();
        if next.keys().any(|id| !self.lanes.contains_key(id)) {
            self.wake();
        }
        let all: Vec<DestinationId> = self.lanes.keys().copied().collect();
        for id in all {
            self.change(id, |lane, _| lane.next_due_is(next.get(&id).copied(), now));
        }
    }

    /// Something was committed that is not due yet.
    pub(crate) fn committed(&mut self) {
        self.read_due_by(self.due_read_at.plus(READ_EVERY));
    }

    /// Deliveries that were claimed with the commit that made them.
    pub(crate) fn offer(&mut self, deliveries: Vec<DueDelivery>) {
        for delivery in deliveries {
            let (id, destination) = (delivery.id, delivery.destination_id);
            if !self.lanes.contains_key(&destination) {
                self.wake();
                self.released.push(id);
                continue;
            }
            let free = if self.stopped { 0 } else { self.held_max() - self.held.min(self.held_max()) };
            self.change(destination, |lane, released| {
                if lane.held() >= free || !lane.offer(delivery) {
                    released.push(id);
                    lane.turned_away();
                }
            });
        }
    }

    /// The answer to [`Action::Claim`]. `None`: it failed, or the destination is disabled in the store.
    pub(crate) fn claimed(
        &mut self,
        destination: DestinationId,
        limit: usize,
        deliveries: Option<Vec<DueDelivery>>,
        now: Moment,
    ) {
        self.held -= limit;
        let mut unknown_due = false;
        self.change(destination, |lane, released| match deliveries {
            Some(deliveries) => unknown_due = lane.claimed(deliveries, released),
            None => lane.claim_failed(now.plus(AFTER_REFUSAL)),
        });
        if unknown_due {
            self.read_due_by(self.due_read_at.plus(READ_EVERY));
        }
    }

    /// An attempt is over, though not recorded yet.
    pub(crate) fn attempted(&mut self, destination: DestinationId, lead: LeadId, success: bool) {
        if let Some(lane) = self.lanes.get_mut(&destination) {
            self.turns.ended(lane);
        }
        self.change(destination, |lane, released| lane.attempted(lead, success, released));
    }

    /// The store has recorded an attempt, or its claim was given back. `disabled`: the destination was, by it.
    pub(crate) fn recorded(
        &mut self,
        destination: DestinationId,
        id: DeliveryId,
        retry_at: Option<Moment>,
        disabled: bool,
    ) {
        self.change(destination, |lane, released| {
            lane.recorded(id, retry_at);
            if disabled {
                lane.enabled = false;
                lane.empty(released);
            }
        });
    }

    /// Gives back what waits and is chosen: the store knows better now what becomes of it.
    pub(crate) fn give_back(&mut self, which: impl Fn(&DueDelivery) -> bool) {
        let all: Vec<DestinationId> = self.lanes.keys().copied().collect();
        for id in all {
            self.change(id, |lane, released| lane.give_back(&which, released));
        }
    }

    /// No new attempts and claims from here on; what waits is given back.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        let all: Vec<DestinationId> = self.lanes.keys().copied().collect();
        for id in all {
            self.change(id, |lane, released| {
                lane.enabled = false;
                lane.empty(released);
            });
        }
    }

    /// What follows from all of this.
    pub(crate) fn act(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if now < self.latest {
            self.clock_went_back(now);
        }
        self.latest = now;
        while let Some((at, id)) = self.alarms.first().copied()
            && at <= now
        {
            self.change(id, |lane, _| lane.alarm(now));
        }
        if !self.stopped {
            self.start_attempts(now, actions);
            self.claim(now, actions);
            self.read(now, actions);
        }
        if !self.released.is_empty() {
            // Before the claims, which would miss them otherwise.
            actions.insert(0, Action::Release(std::mem::take(&mut self.released)));
        }
    }

    /// When [`act`](Self::act) has something to do although nothing happens.
    pub(crate) fn next_wake(&self) -> Option<Moment> {
        if self.stopped {
            return None;
        }
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let due = self.read_due_at.filter(|_| !self.reading_due && !self.reading_destinations);
        let destinations = self.read_destinations_at.filter(|_| !self.reading_destinations);
        [alarm, due, destinations, self.turns.next_wake()].into_iter().flatten().min()
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn held_max(&self) -> usize {
        self.concurrency.overall * HELD_PER_SLOT
    }

    fn read_due_by(&mut self, at: Moment) {
        self.read_due_at = Some(self.read_due_at.map_or(at, |before| before.min(at)));
    }

    /// Changes a lane, then brings the round, the alarms and the sums up to date with it.
    fn change(&mut self, id: DestinationId, change: impl FnOnce(&mut Lane, &mut Vec<DeliveryId>)) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let held_before = lane.held();
        change(lane, &mut self.released);
        self.held = self.held - held_before + lane.held();
        self.turns.place(id, lane);
        if lane.wants_to_claim().is_some() && !lane.hungry {
            lane.hungry = true;
            self.hungry.push_back(id);
        }
        let alarm = lane.wants_alarm();
        if alarm != lane.alarm {
            if let Some(old) = lane.alarm {
                self.alarms.remove(&(old, id));
            }
            if let Some(new) = alarm {
                self.alarms.insert((new, id));
            }
            lane.alarm = alarm;
        }
        if lane.deleted && lane.is_idle() && lane.place == Place::None && !lane.hungry {
            self.lanes.remove(&id);
        }
    }

    fn start_attempts(&mut self, now: Moment, actions: &mut Vec<Action>) {
        while let Some((id, started)) = self.turns.next(&mut self.lanes, now) {
            actions.extend(started.map(Action::Attempt));
            self.change(id, |_, _| ());
        }
    }

    fn claim(&mut self, now: Moment, actions: &mut Vec<Action>) {
        for _ in 0..self.hungry.len() {
            let free = self.held_max().saturating_sub(self.held);
            if free == 0 {
                break;
            }
            let Some(id) = self.hungry.pop_front() else { break };
            let mut claimed = None;
            self.change(id, |lane, _| {
                lane.hungry = false;
                // No lane holds more than is left for the others.
                let room = free.saturating_sub(lane.held()).div_ceil(2);
                if let Some((claim, limit)) = lane.wants_to_claim()
                    && room > 0
                {
                    let limit = limit.min(room);
                    lane.claim(claim, limit, now);
                    claimed = Some((claim, limit));
                }
            });
            if let Some((claim, limit)) = claimed {
                self.held += limit;
                actions.push(Action::Claim { destination: id, claim, limit });
            }
        }
    }

    /// What waits for a moment of the old time would wait for longer.
    fn clock_went_back(&mut self, now: Moment) {
        self.due_read_at = Moment::MIN;
        self.read_due_by(now);
        self.read_destinations_at = self.read_destinations_at.map(|at| at.min(now));
        self.turns.clock_went_back(now);
        let all: Vec<DestinationId> = self.lanes.keys().copied().collect();
        for id in all {
            self.change(id, |lane, _| lane.clock_went_back(now));
        }
    }

    fn read(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let is_due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        if !self.reading_destinations && is_due(self.read_destinations_at) {
            (self.read_destinations_at, self.reading_destinations) = (None, true);
            actions.push(Action::ReadDestinations);
        }
        // The due times of destinations that are being read would be read twice.
        if !self.reading_due && !self.reading_destinations && is_due(self.read_due_at) {
            (self.read_due_at, self.reading_due) = (None, true);
            actions.push(Action::ReadDue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_the_store_from_being_asked() {
        let ahead = Moment::from_unix_millis(1_700_000_000_000).plus(YEARS);
        let one = DestinationId::from_bytes([1; 16]);
        let mut scheduler = Scheduler::new(Concurrency { per_destination: 4, overall: 4 });
        let act = |scheduler: &mut Scheduler, now| {
            let mut actions = Vec::new();
            scheduler.act(now, &mut actions);
            actions
        };
        assert!(matches!(act(&mut scheduler, ahead)[..], [Action::ReadDestinations]));
        let settings = LaneSettings { enabled: true, max_in_flight: None, per_second: None };
        scheduler.destinations(Some(&[(one, settings)]), ahead);
        assert!(matches!(act(&mut scheduler, ahead)[..], [Action::ReadDue]));
        scheduler.due(Some(vec![(one, ahead.plus(Duration::from_secs(300)))]), ahead);
        assert!(act(&mut scheduler, ahead).is_empty());

        let back = ahead.minus(YEARS);
        assert!(matches!(act(&mut scheduler, back)[..], [Action::ReadDue]));
        scheduler.due(Some(vec![(one, back)]), back);
        assert!(matches!(act(&mut scheduler, back)[..], [Action::Claim { .. }]));
    }
}
