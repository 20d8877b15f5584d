//! One destination's lane: what is held for it, how much may be in flight, and when more is due.
//!
//! What waits stands in one of two queues that take turns: what came directly or has been due longest, and, while older
//! work is in the store, what came due most recently, so that a backlog does not starve new events. All that waits of one
//! lead for its first attempt stands in one queue, in order.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use agentflow_events::{LeadId, Moment};
use foldhash::{HashMap, HashSet};

use super::limit::Limit;
use super::pace::Pace;
use super::turns::Place;
use crate::id::DeliveryId;
use crate::record::{Destination, DueDelivery};

/// Deliveries held for each attempt that may be in flight: a lane that is down holds few, a fast one never runs dry.
const HELD_PER_SLOT: usize = 8;

/// Future due times that a lane remembers by itself; further ones are read from the store when their turn comes.
const UPCOMING_MAX: usize = 1_024;

/// What an operator has set for a destination, as far as its lane heeds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneSettings {
    /// Whether attempts are made.
    pub(crate) enabled: bool,
    /// Attempts in flight, at most; absent: the server's own limit.
    pub(crate) max_in_flight: Option<u32>,
    /// Attempts a second, at most; absent: no bound.
    pub(crate) per_second: Option<u32>,
}

impl LaneSettings {
    /// Those of this destination. A paused lane is as still as a disabled one; what differs is what the store hands out.
    pub(super) fn of(destination: &Destination) -> Self {
        let Destination { max_in_flight, per_second, .. } = *destination;
        Self { enabled: destination.sends(), max_in_flight, per_second }
    }
}

/// Which of the due deliveries to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// What has been due longest.
    Longest,
    /// What came due most recently and has no earlier event of its lead before it.
    Latest,
}

pub(super) struct Lane {
    /// Whether attempts are made.
    pub(super) enabled: bool,
    /// Gone from the store; forgotten as soon as nothing is under way.
    pub(super) deleted: bool,
    /// Waiting, in order.
    queue: VecDeque<DueDelivery>,
    /// Waiting, in order: what overtook the work in the store.
    latest: VecDeque<DueDelivery>,
    /// Whose turn it is where both wait.
    latest_has_its_turn: bool,
    /// Deliveries that came directly and had to go to the store since that was last asked for the latest.
    turned_away: usize,
    /// Leads with an attempt in flight, each with what waits behind it.
    busy: HashMap<LeadId, Vec<DueDelivery>>,
    /// All that is claimed for this lane: waiting, in flight, being recorded.
    held: HashSet<DeliveryId>,
    /// Claimed anew before the record of their last attempt was heard of: the two answers of the store crossed.
    crossed: Vec<DueDelivery>,
    in_flight: usize,
    limit: Limit,
    pace: Pace,
    /// Until when the pace allows no attempt.
    throttled_until: Option<Moment>,
    /// What was asked of the store, until it answers.
    claiming: Option<(Claim, usize)>,
    /// Deliveries went back to the store after the claim under way was asked for; it may have missed them.
    released_since_claim: bool,
    /// Some of them had been held: they come before whatever the claim under way brings.
    returned_since_claim: bool,
    /// Something in the store is due.
    due_now: bool,
    /// Older work is in the store: what comes directly has to queue up behind it.
    overflowed: bool,
    /// Known future due times.
    upcoming: BTreeSet<Moment>,
    /// The store may know of due times that `upcoming` lacks.
    more_upcoming: bool,
    /// The entry in the scheduler's alarms.
    pub(super) alarm: Option<Moment>,
    /// Where the lane waits for its turn.
    pub(super) place: Place,
    /// Whether the attempt in flight is a probe of a destination that is down.
    pub(super) probes: bool,
    /// Whether the lane waits for room in the whole server's buffer.
    pub(super) hungry: bool,
}

impl Lane {
    pub(super) fn new(limit_max: usize) -> Self {
        Self {
            enabled: false,
            deleted: false,
            queue: VecDeque::new(),
            latest: VecDeque::new(),
            latest_has_its_turn: false,
            turned_away: 0,
            busy: HashMap::default(),
            held: HashSet::default(),
            crossed: Vec::new(),
            in_flight: 0,
            limit: Limit::new(limit_max),
            pace: Pace::default(),
            throttled_until: None,
            claiming: None,
            released_since_claim: false,
            returned_since_claim: false,
            due_now: false,
            // Until the store has said what it holds.
            overflowed: true,
            upcoming: BTreeSet::new(),
            more_upcoming: true,
            alarm: None,
            place: Place::None,
            probes: false,
            hungry: false,
        }
    }

    /// Takes over an operator's settings; `limit_max`: the server's own limit.
    pub(super) fn set(&mut self, settings: LaneSettings, limit_max: usize) {
        self.enabled = settings.enabled;
        let own = settings.max_in_flight.and_then(|max| usize::try_from(max).ok()).unwrap_or(limit_max);
        self.limit.set_max(own.clamp(1, limit_max));
        self.pace.set(settings.per_second);
        // Looked at again when the next attempt begins.
        self.throttled_until = None;
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether the destination gets nothing but probes.
    pub(super) fn is_down(&self) -> bool {
        self.limit.is_down()
    }

    /// Deliveries that may be held or asked for at present, beside the latest.
    fn held_max(&self) -> usize {
        self.limit.allowed() * HELD_PER_SLOT
    }

    /// The latest that may wait here.
    fn latest_max(&self) -> usize {
        self.held_max() / 2
    }

    fn held_beside_latest(&self) -> usize {
        self.held.len().saturating_sub(self.latest.len())
    }

    pub(super) fn can_start(&self) -> bool {
        let waits = !self.queue.is_empty() || !self.latest.is_empty();
        self.enabled && waits && self.in_flight < self.limit.allowed() && self.throttled_until.is_none()
    }

    /// What to ask of the store: nothing, or so much that one claim serves many attempts.
    pub(super) fn wants_to_claim(&self) -> Option<(Claim, usize)> {
        if !self.enabled || self.claiming.is_some() {
            return None;
        }
        let latest_room = self.latest_max().saturating_sub(self.latest.len()).min(self.turned_away);
        let wants_latest = self.overflowed && latest_room > 0 && self.latest.len() <= self.latest_max() / 2;
        let held = self.held_beside_latest();
        let wants_longest = self.due_now && held <= self.held_max() / 2;
        if wants_latest && (!wants_longest || !self.queue.is_empty()) {
            return Some((Claim::Latest, latest_room));
        }
        wants_longest.then(|| (Claim::Longest, self.held_max() - held))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.claiming.is_none()
    }

    /// Takes a delivery that was claimed with its commit. False: it must go back to the store.
    pub(super) fn offer(&mut self, delivery: DueDelivery) -> bool {
        if self.held.contains(&delivery.id) {
            return true;
        }
        // A claim under way may bring an earlier event of the same lead.
        let waits = self.overflowed || self.claiming.is_some();
        if !self.enabled || waits || self.held() >= self.held_max() {
            return false;
        }
        self.take(delivery, Claim::Longest);
        true
    }

    fn take(&mut self, delivery: DueDelivery, claim: Claim) {
        if !self.held.insert(delivery.id) {
            return self.crossed.push(delivery);
        }
        let joins = claim == Claim::Latest || self.waits_in_latest(delivery.lead_id);
        if joins { self.latest.push_back(delivery) } else { self.queue.push_back(delivery) }
    }

    /// Whether an event of this lead waits there for its first attempt: whatever follows must not overtake it. A retry holds
    /// up nothing.
    fn waits_in_latest(&self, lead: LeadId) -> bool {
        self.latest.iter().any(|waiting| waiting.lead_id == lead && waiting.attempt_number == 1)
    }

    /// Notes that a delivery that came directly is in the store, due.
    pub(super) fn turned_away(&mut self) {
        self.turned_away = self.turned_away.saturating_add(1);
        self.gave_back();
    }

    fn gave_back(&mut self) {
        self.due_now = true;
        self.overflowed = true;
        self.released_since_claim = true;
    }

    /// Everything that waits, to be given back.
    pub(super) fn empty(&mut self, released: &mut Vec<DeliveryId>) {
        let parked = self.busy.values_mut().flat_map(|parked| parked.drain(..));
        let before = released.len();
        let waiting = self.queue.drain(..).chain(self.latest.drain(..)).chain(parked);
        released.extend(waiting.map(|delivery| delivery.id));
        self.forget(released, before);
        if !self.crossed.is_empty() {
            released.extend(self.crossed.drain(..).map(|delivery| delivery.id));
            self.gave_back();
        }
    }

    /// What waits and is chosen, to be given back.
    pub(super) fn give_back(
        &mut self,
        which: &impl Fn(&DueDelivery) -> bool,
        released: &mut Vec<DeliveryId>,
    ) {
        let before = released.len();
        let mut keep = |delivery: &DueDelivery| {
            let chosen = which(delivery);
            if chosen {
                released.push(delivery.id);
            }
            !chosen
        };
        self.queue.retain(&mut keep);
        self.latest.retain(&mut keep);
        self.busy.values_mut().for_each(|parked| parked.retain(&mut keep));
        self.forget(released, before);
    }

    /// What waits beyond the present bounds, youngest first, to be given back.
    fn trim(&mut self, released: &mut Vec<DeliveryId>) {
        let before = released.len();
        let excess = self.held_beside_latest().saturating_sub(self.held_max()).min(self.queue.len());
        released.extend(self.queue.drain(self.queue.len() - excess..).map(|delivery| delivery.id));
        let kept = self.latest_max().min(self.latest.len());
        released.extend(self.latest.drain(kept..).map(|delivery| delivery.id));
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
    pub(super) fn start(&mut self, now: Moment) -> Option<DueDelivery> {
        self.throttled_until = self.pace.wait_until(now);
        if self.throttled_until.is_some() {
            return None;
        }
        while let Some(delivery) = self.next_waiting() {
            if let Some(parked) = self.busy.get_mut(&delivery.lead_id) {
                parked.push(delivery);
                continue;
            }
            self.busy.insert(delivery.lead_id, Vec::new());
            self.in_flight += 1;
            self.pace.began(now);
            self.throttled_until = self.pace.wait_until(now);
            return Some(delivery);
        }
        None
    }

    fn next_waiting(&mut self) -> Option<DueDelivery> {
        let from_latest = !self.latest.is_empty() && (self.latest_has_its_turn || self.queue.is_empty());
        self.latest_has_its_turn = !from_latest;
        if from_latest { self.latest.pop_front() } else { self.queue.pop_front() }
    }

    /// An attempt is over: its slot and its lead are free. The limit follows how it went.
    pub(super) fn attempted(&mut self, lead: LeadId, success: bool, released: &mut Vec<DeliveryId>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let stepped_aside = self.busy.remove(&lead).into_iter().flatten().rev();
        let queue = if self.waits_in_latest(lead) { &mut self.latest } else { &mut self.queue };
        stepped_aside.for_each(|delivery| queue.push_front(delivery));
        if self.limit.attempted(success) {
            self.trim(released);
        }
    }

    /// The store has recorded an attempt; the claim is over.
    pub(super) fn recorded(&mut self, id: DeliveryId, retry_at: Option<Moment>) {
        self.held.remove(&id);
        if let Some(at) = retry_at {
            self.due_at(at);
        }
        if let Some(at) = self.crossed.iter().position(|delivery| delivery.id == id) {
            let delivery = self.crossed.swap_remove(at);
            self.take(delivery, Claim::Longest);
        }
    }

    /// Notes a due time.
    fn due_at(&mut self, at: Moment) {
        self.upcoming.insert(at);
        if self.upcoming.len() > UPCOMING_MAX {
            self.upcoming.pop_last();
            self.more_upcoming = true;
        }
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
        if !self.enabled {
            return None;
        }
        let due = self.upcoming.first().copied().filter(|_| !self.due_now);
        [due, self.throttled_until].into_iter().flatten().min()
    }

    /// Looks at it.
    pub(super) fn alarm(&mut self, now: Moment) {
        self.due_now |= self.upcoming.first().is_some_and(|at| *at <= now);
        self.throttled_until = self.throttled_until.filter(|until| *until > now);
    }

    /// The clock was set back: no wait of this lane's own may last longer for that.
    pub(super) fn clock_went_back(&mut self, now: Moment) {
        self.throttled_until = self.throttled_until.map(|until| until.min(now.plus(Duration::from_secs(1))));
    }

    /// Begins a claim of what is due by now.
    pub(super) fn claim(&mut self, claim: Claim, limit: usize, now: Moment) {
        self.claiming = Some((claim, limit));
        (self.released_since_claim, self.returned_since_claim) = (false, false);
        if claim == Claim::Longest {
            self.upcoming.retain(|at| *at > now);
        }
    }

    /// Ends a claim with what it brought; ids that cannot be kept are given back. Answers whether the due times must be
    /// read to know when the next is due.
    pub(super) fn claimed(&mut self, deliveries: Vec<DueDelivery>, released: &mut Vec<DeliveryId>) -> bool {
        let Some((claim, limit)) = self.claiming.take() else { return false };
        let short = deliveries.len() < limit;
        if claim == Claim::Latest {
            self.turned_away = if short { 0 } else { self.turned_away.saturating_sub(deliveries.len()) };
        }
        if !self.enabled || self.returned_since_claim {
            // The next claim brings them behind what they would overtake.
            released.extend(deliveries.iter().map(|delivery| delivery.id));
            self.gave_back();
            return false;
        }
        for delivery in deliveries {
            self.take(delivery, claim);
        }
        self.trim(released);
        if claim == Claim::Longest && short && !self.released_since_claim {
            self.due_now = false;
            self.overflowed = false;
            self.turned_away = 0;
            return self.more_upcoming;
        }
        false
    }

    /// Ends a claim that failed; it is tried again then.
    pub(super) fn claim_failed(&mut self, again_at: Moment) {
        self.claiming = None;
        self.due_now = false;
        // They are due like all the others.
        self.turned_away = 0;
        self.due_at(again_at);
    }
}

#[cfg(test)]
mod tests {
    use agentflow_events::{EventType, Moment};

    use super::LaneSettings;
    use crate::id::mint;
    use crate::record::Destination;

    #[test]
    fn a_paused_destination_gets_no_attempt_though_it_is_enabled() {
        let now = Moment::from_unix_millis(1_700_000_000_000);
        let mut destination = Destination {
            id: mint(now),
            workspace_id: mint(now),
            url: "https://hooks.example.com/".to_owned(),
            event_types: vec![EventType::LeadQualified],
            enabled: true,
            paused: false,
            disabled_reason: None,
            created_at: now,
            failing_since: None,
            max_in_flight: Some(2),
            per_second: None,
        };
        let settings = LaneSettings { enabled: true, max_in_flight: Some(2), per_second: None };
        assert_eq!(LaneSettings::of(&destination), settings);
        destination.paused = true;
        assert_eq!(LaneSettings::of(&destination), LaneSettings { enabled: false, ..settings });
    }
}
