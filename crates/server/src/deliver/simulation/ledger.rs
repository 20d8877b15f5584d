//! What must hold, judged from what was committed, attempted and answered alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use agentflow_events::{LeadId, Moment};
use bytes::Bytes;

use crate::deliver::lane::LaneSettings;
use crate::id::{DeliveryId, DestinationId};
use crate::record::{AttemptOutcome, DeliveryState, DueDelivery};

/// What did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// A delivery ended neither with a 2xx nor as a dead letter, or something is held for ever.
    Unfinished,
    /// A delivery, or two of one lead at one destination, in flight at once.
    TwiceInFlight,
    /// An event was sent before an earlier one of its lead that was never attempted.
    OutOfOrder,
    /// An attempt before its time.
    TooEarly,
    /// Another body than the one committed.
    BodyChanged,
    /// A final state changed by itself, or what was delivered was sent again unasked.
    FinalChanged,
    /// Delivered without a 2xx, or dead with one, or before the schedule had ended.
    WrongEnd,
    /// More in flight than a limit allows.
    OverLimit,
    /// More attempts in a second than a destination's rate allows.
    TooFast,
}

struct Entry {
    to: DestinationId,
    lead: LeadId,
    body: Bytes,
    state: DeliveryState,
    attempts: u32,
    /// Attempts since the schedule began.
    steps: usize,
    succeeded: bool,
    gone: bool,
    /// An attempt was begun and is not recorded.
    unrecorded: bool,
    due: Moment,
    /// The latest the clock has shown since `due` was set.
    seen: Moment,
}

#[derive(Default)]
pub(super) struct Ledger {
    entries: BTreeMap<DeliveryId, Entry>,
    of_lead: HashMap<(DestinationId, LeadId), Vec<DeliveryId>>,
    in_flight: Vec<(DestinationId, LeadId, DeliveryId)>,
    /// As the scheduler last read them.
    settings: HashMap<DestinationId, LaneSettings>,
    /// When attempts began since the settings were read or the clock jumped.
    begun: HashMap<DestinationId, VecDeque<Duration>>,
    /// Deliveries whose due time the clock may not have reached.
    ahead: Vec<DeliveryId>,
    schedule_len: usize,
    limits: (usize, usize),
    pub(super) violation: Option<Violation>,
}

impl Ledger {
    /// `limits`: for a destination, and over all.
    pub(super) fn new(schedule_len: usize, limits: (usize, usize)) -> Self {
        Self { schedule_len, limits, ..Self::default() }
    }

    pub(super) fn fail(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    fn hold(&mut self, holds: bool, violation: Violation) {
        if !holds {
            self.fail(violation);
        }
    }

    pub(super) fn committed(&mut self, delivery: &DueDelivery, now: Moment) {
        let entry = Entry {
            to: delivery.destination_id,
            lead: delivery.lead_id,
            body: delivery.body.clone(),
            state: DeliveryState::Pending,
            attempts: 0,
            steps: 0,
            succeeded: false,
            gone: false,
            unrecorded: false,
            due: delivery.due_at,
            seen: now,
        };
        self.ahead.push(delivery.id);
        self.of_lead.entry((entry.to, entry.lead)).or_default().push(delivery.id);
        self.entries.insert(delivery.id, entry);
    }

    /// The clock shows this; called before each jump and each attempt.
    pub(super) fn saw(&mut self, now: Moment) {
        let entries = &mut self.entries;
        self.ahead.retain(|id| {
            entries.get_mut(id).is_some_and(|entry| {
                entry.seen = entry.seen.max(now);
                entry.seen < entry.due
            })
        });
    }

    pub(super) fn jumped(&mut self) {
        self.begun.clear();
    }

    pub(super) fn settings_read(&mut self, all: &[(DestinationId, LaneSettings)]) {
        let all: HashMap<DestinationId, LaneSettings> = all.iter().copied().collect();
        let settings = &self.settings;
        self.begun.retain(|id, _| settings.get(id).is_some_and(|before| all.get(id) == Some(before)));
        self.settings = all;
    }

    /// An attempt begins.
    pub(super) fn begins(&mut self, delivery: &DueDelivery, at: Duration, now: Moment) {
        self.saw(now);
        let id = delivery.id;
        let Some(entry) = self.entries.get(&id) else { return self.fail(Violation::BodyChanged) };
        let (to, lead) = (entry.to, entry.lead);
        let same_body = entry.body == delivery.body;
        let in_time = entry.seen >= entry.due;
        let is_over = matches!(entry.state, DeliveryState::Delivered | DeliveryState::Dead);
        let is_retry = entry.attempts > 0;
        let earlier = self.of_lead.get(&(to, lead)).into_iter().flatten().take_while(|other| **other != id);
        let overtakes = earlier
            .filter_map(|other| self.entries.get(other))
            .any(|other| other.state == DeliveryState::Pending && other.attempts == 0);
        let twice = self.in_flight.iter().any(|(in_to, in_lead, _)| (*in_to, *in_lead) == (to, lead));
        self.hold(same_body, Violation::BodyChanged);
        self.hold(in_time, Violation::TooEarly);
        self.hold(!is_over, Violation::FinalChanged);
        self.hold(is_retry || !overtakes, Violation::OutOfOrder);
        self.hold(!twice, Violation::TwiceInFlight);
        self.in_flight.push((to, lead, id));
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.attempts += 1;
            entry.unrecorded = true;
        }
        self.check_limits(to, at);
    }

    fn check_limits(&mut self, to: DestinationId, at: Duration) {
        let own = self.settings.get(&to).and_then(|settings| settings.max_in_flight);
        let limit = own.map_or(self.limits.0, |own| self.limits.0.min(own as usize));
        let in_flight = self.in_flight.iter().filter(|(other, _, _)| *other == to).count();
        let holds = in_flight <= limit && self.in_flight.len() <= self.limits.1;
        self.hold(holds, Violation::OverLimit);
        let Some(rate) = self.settings.get(&to).and_then(|settings| settings.per_second) else { return };
        let begun = self.begun.entry(to).or_default();
        begun.push_back(at);
        begun.retain(|earlier| *earlier + Duration::from_secs(1) > at);
        // One at either end of the second, and the few that may go together.
        let most = rate as usize + 1 + rate as usize / 100;
        let holds = begun.len() <= most;
        self.hold(holds, Violation::TooFast);
    }

    pub(super) fn ended(&mut self, id: DeliveryId, status: Option<u16>) {
        if let Some(at) = self.in_flight.iter().position(|(_, _, other)| *other == id) {
            self.in_flight.swap_remove(at);
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.succeeded |= status.is_some_and(|status| (200..300).contains(&status));
            entry.gone |= status == Some(410);
        }
    }

    /// The process is gone: nothing of it is in flight any more.
    pub(super) fn crashed(&mut self) {
        self.in_flight.clear();
        self.begun.clear();
        self.settings.clear();
        for entry in self.entries.values_mut().filter(|entry| entry.unrecorded) {
            (entry.unrecorded, entry.succeeded, entry.gone) = (false, false, false);
        }
    }

    /// An attempt was recorded with this outcome. `sent_again`: on request, since it was claimed; the new schedule stands.
    pub(super) fn recorded(
        &mut self,
        id: DeliveryId,
        outcome: &AttemptOutcome,
        sent_again: bool,
        now: Moment,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.unrecorded = false;
        entry.steps = if sent_again { 0 } else { entry.steps + 1 };
        if let AttemptOutcome::RetryAt(at) = outcome
            && !sent_again
        {
            (entry.due, entry.seen) = (*at, now);
            self.ahead.push(id);
        }
    }

    /// An operator has it sent again.
    pub(super) fn sent_again(&mut self, id: DeliveryId, now: Moment) {
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.state, entry.due, entry.seen) = (DeliveryState::Pending, now, now);
            entry.steps = 0;
            // What is on its way, or waits for its record, ends as it ends.
            entry.succeeded &= entry.unrecorded;
            entry.gone &= entry.unrecorded;
        }
    }

    /// The state that the store shows.
    pub(super) fn shows(&mut self, id: DeliveryId, state: DeliveryState) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.state, state);
        if before == state {
            return;
        }
        let right_end = match state {
            DeliveryState::Delivered => entry.succeeded,
            DeliveryState::Dead => !entry.succeeded && (entry.gone || entry.steps >= self.schedule_len),
            _ => true,
        };
        self.hold(before == DeliveryState::Pending, Violation::FinalChanged);
        self.hold(right_end, Violation::WrongEnd);
    }

    pub(super) fn in_flight(&self, to: DestinationId) -> usize {
        self.in_flight.iter().filter(|(other, _, _)| *other == to).count()
    }

    /// Nothing more will happen.
    pub(super) fn settled(&mut self) {
        let all_over = self.entries.values().all(|entry| entry.state != DeliveryState::Pending);
        self.hold(all_over && self.in_flight.is_empty(), Violation::Unfinished);
    }
}
