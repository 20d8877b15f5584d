//! The store's part in the simulation: what `DeliveryStore` promises, in memory, with the claims of one process.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use agentflow_events::{EventId, EventType, LeadId, Moment, WorkspaceId};
use bytes::Bytes;

use super::bug::Bug;
use crate::deliver::lane::{Claim, LaneSettings};
use crate::deliver::schedule::DISABLE_AFTER;
use crate::id::{DeliveryId, DestinationId};
use crate::record::{AttemptOutcome, DeliveryState, DueDelivery};

pub(super) struct Row {
    pub(super) delivery: DueDelivery,
    pub(super) state: DeliveryState,
    due: Option<Moment>,
    attempts: u32,
    pub(super) step: i64,
}

pub(super) struct Place {
    pub(super) settings: LaneSettings,
    pub(super) deleted: bool,
    failing_since: Option<Moment>,
}

/// An attempt to be recorded.
pub(super) struct Finished {
    pub(super) id: DeliveryId,
    pub(super) number: u32,
    pub(super) outcome: AttemptOutcome,
    pub(super) at: Moment,
}

pub(super) struct SimStore {
    pub(super) rows: BTreeMap<DeliveryId, Row>,
    pub(super) places: BTreeMap<DestinationId, Place>,
    pub(super) bug: Bug,
    first_wait: Duration,
    /// Pending rows by destination and due time.
    queue: BTreeMap<DestinationId, BTreeSet<(Moment, DeliveryId)>>,
    of_lead: HashMap<(DestinationId, LeadId), Vec<DeliveryId>>,
    claims: HashSet<DeliveryId>,
    events: u64,
}

pub(super) fn destination(n: u8) -> DestinationId {
    DestinationId::from_bytes([n; 16])
}

pub(super) fn lead(n: u64) -> LeadId {
    LeadId::from_bytes(u128::from(n).to_be_bytes())
}

impl SimStore {
    pub(super) fn new(first_wait: Duration, bug: Bug) -> Self {
        Self {
            rows: BTreeMap::new(),
            places: BTreeMap::new(),
            bug,
            first_wait,
            queue: BTreeMap::new(),
            of_lead: HashMap::new(),
            claims: HashSet::new(),
            events: 0,
        }
    }

    pub(super) fn add_destination(&mut self, n: u8) {
        let settings = LaneSettings { enabled: true, max_in_flight: None, per_second: None };
        self.places.insert(destination(n), Place { settings, deleted: false, failing_since: None });
    }

    /// Commits an event of this lead: a delivery for each of the enabled destinations. Answers those due at once, claimed.
    pub(super) fn commit(
        &mut self,
        of: LeadId,
        to: &[DestinationId],
        now: Moment,
        claim: bool,
    ) -> Vec<DueDelivery> {
        self.events += 1;
        let mut claimed = Vec::new();
        for to in to {
            let Some(place) = self.places.get(to) else { continue };
            if place.deleted || !place.settings.enabled {
                continue;
            }
            let due_at = now.plus(self.first_wait);
            let id = DeliveryId::from_bytes(
                (u128::from(self.events) << 8 | u128::from(to.as_bytes()[0])).to_be_bytes(),
            );
            let delivery = DueDelivery {
                id,
                workspace_id: WorkspaceId::from_bytes([0; 16]),
                destination_id: *to,
                event_id: EventId::from_bytes(u128::from(self.events).to_be_bytes()),
                event_type: EventType::LeadQualified,
                lead_id: of,
                body: Bytes::copy_from_slice(&self.events.to_be_bytes()),
                attempt_number: 1,
                schedule_step: 0,
                due_at,
            };
            let row = Row { delivery, state: DeliveryState::Pending, due: None, attempts: 0, step: 0 };
            self.rows.insert(id, row);
            let held_up = self.of_lead(*to, of).any(|(earlier, row)| self.waits_unattempted(earlier, row));
            self.of_lead.entry((*to, of)).or_default().push(id);
            self.set(id, DeliveryState::Pending, Some(due_at));
            if claim && self.first_wait.is_zero() && !held_up {
                self.claims.insert(id);
                claimed.extend(self.rows.get(&id).map(|row| row.delivery.clone()));
            }
        }
        claimed
    }

    fn of_lead(&self, to: DestinationId, of: LeadId) -> impl Iterator<Item = (&DeliveryId, &Row)> {
        let ids = self.of_lead.get(&(to, of)).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.rows.get(id).map(|row| (id, row)))
    }

    fn waits_unattempted(&self, id: &DeliveryId, row: &Row) -> bool {
        row.state == DeliveryState::Pending && row.attempts == 0 && !self.claims.contains(id)
    }

    fn set(&mut self, id: DeliveryId, state: DeliveryState, due: Option<Moment>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let queue = self.queue.entry(row.delivery.destination_id).or_default();
        if let Some(before) = row.due {
            queue.remove(&(before, id));
        }
        if let Some(at) = due {
            queue.insert((at, id));
        }
        (row.state, row.due) = (state, due);
    }

    pub(super) fn claim(
        &mut self,
        of: DestinationId,
        claim: Claim,
        limit: usize,
        now: Moment,
    ) -> Option<Vec<DueDelivery>> {
        self.places.get(&of).filter(|place| place.settings.enabled && !place.deleted)?;
        let now = if self.bug == Bug::StoreClaimsEarly { now.plus(Duration::from_secs(30)) } else { now };
        let mut found: Vec<DeliveryId> = Vec::new();
        loop {
            let before = found.len();
            let waits = match (self.queue.get(&of), claim) {
                (None, _) => false,
                (Some(queue), Claim::Longest) => self.gather(queue.iter(), claim, limit, now, &mut found),
                (Some(queue), Claim::Latest) => {
                    let due = queue.range(..=(now, DeliveryId::from_bytes([255; 16]))).rev();
                    self.gather(due, claim, limit, now, &mut found)
                }
            };
            if claim == Claim::Latest || !waits || found.len() == before || found.len() == limit {
                break;
            }
        }
        self.claims.extend(&found);
        if claim == Claim::Latest || self.bug == Bug::StoreClaimsOutOfOrder {
            found.reverse();
        }
        if self.bug == Bug::StoreClaimsWhatIsOver && found.len() < limit {
            let over = self
                .rows
                .values()
                .find(|row| row.state == DeliveryState::Delivered && row.delivery.destination_id == of);
            found.extend(over.map(|row| row.delivery.id));
        }
        Some(found.iter().filter_map(|id| self.claimed(id)).collect())
    }

    /// Adds what may be claimed; answers whether something has to wait for what was added.
    fn gather<'a>(
        &self,
        rows: impl Iterator<Item = &'a (Moment, DeliveryId)>,
        claim: Claim,
        limit: usize,
        now: Moment,
        found: &mut Vec<DeliveryId>,
    ) -> bool {
        let mut waits = false;
        for (_, id) in rows.take_while(|(at, _)| *at <= now) {
            if found.len() == limit {
                break;
            }
            if self.claims.contains(id) || found.contains(id) {
                continue;
            }
            if self.overtakes(*id, claim, now, found) {
                waits = true;
            } else {
                found.push(*id);
            }
        }
        waits
    }

    fn overtakes(&self, id: DeliveryId, claim: Claim, now: Moment, found: &[DeliveryId]) -> bool {
        let Some(row) = self.rows.get(&id) else { return false };
        let (to, of) = (row.delivery.destination_id, row.delivery.lead_id);
        self.of_lead(to, of).take_while(|(other, _)| **other != id).any(|(other, row)| match claim {
            Claim::Longest => self.waits_unattempted(other, row) && !found.contains(other),
            Claim::Latest => {
                row.state == DeliveryState::Pending
                    && (row.attempts == 0 || row.due.is_some_and(|at| at <= now))
            }
        })
    }

    fn claimed(&self, id: &DeliveryId) -> Option<DueDelivery> {
        let row = self.rows.get(id)?;
        let mut delivery = row.delivery.clone();
        delivery.attempt_number = row.attempts + 1;
        delivery.schedule_step = u32::try_from(row.step).unwrap_or(0);
        delivery.due_at = row.due.unwrap_or(delivery.due_at);
        Some(delivery)
    }

    pub(super) fn release(&mut self, ids: &[DeliveryId]) {
        for id in ids {
            self.claims.remove(id);
        }
    }

    /// The process is gone, and its claims with it.
    pub(super) fn forget_claims(&mut self) {
        self.claims.clear();
    }

    pub(super) fn next_due(&self) -> Vec<(DestinationId, Moment)> {
        let places = self.places.iter().filter(|(_, place)| !place.deleted);
        let is_free = |row: &DeliveryId| {
            !self.claims.contains(row) && !self.overtakes(*row, Claim::Longest, Moment::MIN, &[])
        };
        let first =
            |id: &DestinationId| self.queue.get(id)?.iter().find(|(_, row)| is_free(row)).map(|(at, _)| *at);
        places.filter_map(|(id, _)| first(id).map(|at| (*id, at))).collect()
    }

    pub(super) fn destinations(&self) -> Vec<(DestinationId, LaneSettings)> {
        let places = self.places.iter().filter(|(_, place)| !place.deleted);
        places.map(|(id, place)| (*id, place.settings)).collect()
    }

    /// Records an attempt. Answers whether the destination was disabled by it.
    pub(super) fn finish(&mut self, finished: &Finished) -> bool {
        let Some(row) = self.rows.get_mut(&finished.id) else { return false };
        let to = row.delivery.destination_id;
        row.attempts = row.attempts.max(finished.number);
        let sent_again = row.step < 0;
        row.step = if sent_again { 0 } else { row.step + 1 };
        let (mut state, mut due) = match finished.outcome {
            AttemptOutcome::Delivered => (DeliveryState::Delivered, None),
            AttemptOutcome::RetryAt(at) => (DeliveryState::Pending, Some(at)),
            AttemptOutcome::Dead | AttemptOutcome::Gone => (DeliveryState::Dead, None),
        };
        if self.bug == Bug::StoreTakesFailuresForSuccess && state == DeliveryState::Dead {
            state = DeliveryState::Delivered;
        }
        if self.bug == Bug::StoreForgetsRetries && finished.number == 2 {
            due = None;
        }
        let stays = row.state != DeliveryState::Pending || (sent_again && state != DeliveryState::Delivered);
        if !stays || self.bug == Bug::StoreOverwritesFinalStates {
            self.set(finished.id, state, due);
        }
        self.claims.remove(&finished.id);
        self.mark(to, finished)
    }

    fn mark(&mut self, to: DestinationId, finished: &Finished) -> bool {
        let Some(place) = self.places.get_mut(&to) else { return false };
        if finished.outcome == AttemptOutcome::Delivered {
            place.failing_since = None;
            return false;
        }
        let since = *place.failing_since.get_or_insert(finished.at);
        let disables = finished.outcome == AttemptOutcome::Gone || finished.at.since(since) >= DISABLE_AFTER;
        let disabled = disables && place.settings.enabled;
        place.settings.enabled &= !disables;
        disabled
    }

    /// Makes a delivery due at once, with the schedule begun anew. False: its destination is deleted.
    pub(super) fn resend(&mut self, id: DeliveryId, now: Moment) -> bool {
        let Some(to) = self.rows.get(&id).map(|row| row.delivery.destination_id) else { return false };
        if self.places.get(&to).is_none_or(|place| place.deleted) {
            return false;
        }
        self.set(id, DeliveryState::Pending, Some(now));
        let held = self.claims.contains(&id);
        if let Some(row) = self.rows.get_mut(&id) {
            row.step = if held { -1 } else { 0 };
        }
        true
    }

    pub(super) fn enable(&mut self, to: DestinationId, enabled: bool) {
        if let Some(place) = self.places.get_mut(&to) {
            place.settings.enabled = enabled;
            if enabled {
                place.failing_since = None;
            }
        }
    }

    pub(super) fn delete(&mut self, to: DestinationId) {
        if let Some(place) = self.places.get_mut(&to) {
            place.deleted = true;
        }
        let pending: Vec<DeliveryId> = self.queue.get(&to).into_iter().flatten().map(|(_, id)| *id).collect();
        for id in pending {
            self.set(id, DeliveryState::Cancelled, None);
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.queue.values().map(BTreeSet::len).sum()
    }
}
