//! Whose turn it is: how the lanes share the attempts that the whole server may have in flight.
//!
//! - Lanes take turns, one attempt each.
//! - No lane has more in flight than the server has left: however many destinations hang, a share remains for the others.
//! - The probes of all destinations that are down share one slow beat and half of the slots at most, so that failing, which
//!   costs a handshake each time, takes nothing from those that are well.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use agentflow_events::Moment;
use foldhash::HashMap;

use super::lane::Lane;
use crate::id::DestinationId;
use crate::record::DueDelivery;

/// Between two probes, over all destinations that are down.
const PROBE_EVERY: Duration = Duration::from_millis(10);

/// Where a lane waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it has nothing to start.
    None,
    /// Among those that are well, or among those that are down.
    Queued,
    /// With so many attempts in flight, more than its share.
    Crowded(usize),
}

pub(super) struct Turns {
    overall: usize,
    in_flight: usize,
    probes: usize,
    probe_at: Moment,
    /// Lanes that can start an attempt, in turn.
    round: VecDeque<DestinationId>,
    /// Those whose destination is down.
    down: VecDeque<DestinationId>,
    /// Those that have their share, by what they have in flight.
    crowded: BTreeSet<(usize, DestinationId)>,
}

impl Turns {
    /// For so many attempts in flight.
    pub(super) fn new(overall: usize) -> Self {
        Self {
            overall,
            in_flight: 0,
            probes: 0,
            probe_at: Moment::MIN,
            round: VecDeque::new(),
            down: VecDeque::new(),
            crowded: BTreeSet::new(),
        }
    }

    /// Brings a lane's place up to date after a change.
    pub(super) fn place(&mut self, id: DestinationId, lane: &mut Lane) {
        if let Place::Crowded(in_flight) = lane.place
            && (in_flight != lane.in_flight() || !lane.can_start())
        {
            self.crowded.remove(&(in_flight, id));
            lane.place = Place::None;
        }
        if lane.place == Place::None && lane.can_start() {
            lane.place = Place::Queued;
            if lane.is_down() { self.down.push_back(id) } else { self.round.push_back(id) }
        }
    }

    /// An attempt of this lane is over.
    pub(super) fn ended(&mut self, lane: &mut Lane) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if std::mem::take(&mut lane.probes) {
            self.probes = self.probes.saturating_sub(1);
        }
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Moment) {
        self.probe_at = self.probe_at.min(now);
    }

    /// When [`next`](Self::next) has something although nothing happens.
    pub(super) fn next_wake(&self) -> Option<Moment> {
        let waits = !self.down.is_empty() && self.may_probe() && self.in_flight < self.overall;
        waits.then_some(self.probe_at)
    }

    /// The lane whose turn it is, and what it starts; nothing where it turns out that it can start nothing.
    pub(super) fn next(
        &mut self,
        lanes: &mut HashMap<DestinationId, Lane>,
        now: Moment,
    ) -> Option<(DestinationId, Option<DueDelivery>)> {
        if self.in_flight >= self.overall {
            return None;
        }
        while let Some((in_flight, id)) = self.crowded.first().copied()
            && in_flight < self.share()
        {
            self.crowded.pop_first();
            self.round.push_back(id);
            if let Some(lane) = lanes.get_mut(&id) {
                lane.place = Place::Queued;
            }
        }
        let probe = now >= self.probe_at && self.may_probe() && !self.down.is_empty();
        let id = if probe { self.down.pop_front() } else { self.round.pop_front() }?;
        let Some(lane) = lanes.get_mut(&id) else { return Some((id, None)) };
        lane.place = Place::None;
        if !lane.can_start() {
            return Some((id, None));
        }
        if lane.is_down() != probe {
            // It fell or rose while it waited.
            self.place(id, lane);
            return Some((id, None));
        }
        if lane.in_flight() >= self.share() {
            lane.place = Place::Crowded(lane.in_flight());
            self.crowded.insert((lane.in_flight(), id));
            return Some((id, None));
        }
        let started = lane.start(now);
        if started.is_some() {
            self.in_flight += 1;
            if probe {
                lane.probes = true;
                self.probes += 1;
                self.probe_at = now.plus(PROBE_EVERY);
            }
        }
        Some((id, started))
    }

    /// What one lane may have in flight at present.
    fn share(&self) -> usize {
        self.overall - self.in_flight
    }

    fn may_probe(&self) -> bool {
        self.probes < (self.overall / 2).max(1)
    }
}
