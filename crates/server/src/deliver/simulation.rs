//! The scheduler in a simulated world: a store in memory, receivers that follow a script, and time that jumps.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use agentflow_events::{EventId, EventType, LeadId, Moment, WorkspaceId};
use bytes::Bytes;
use proptest::prelude::*;

use super::scheduler::{Action, Concurrency, Scheduler};
use crate::id::{DeliveryId, DestinationId};
use crate::record::DueDelivery;

const LIMITS: Concurrency = Concurrency { per_destination: 4, overall: 6 };

/// How long the store takes to answer.
const STORE: Duration = Duration::from_millis(3);

const RETRY: Duration = Duration::from_secs(5);

const ATTEMPTS_MAX: u32 = 4;

fn destination(n: u8) -> DestinationId {
    DestinationId::from_bytes([n; 16])
}

struct Row {
    delivery: DueDelivery,
    due: Option<Moment>,
    claimed: bool,
    attempts: u32,
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
struct Receiver {
    takes: Duration,
    /// One attempt in so many fails; 0: none, 1: all.
    fails: u64,
}

enum Event {
    Attempted(DueDelivery, bool),
    Recorded(DueDelivery, bool),
    Claimed(DestinationId, usize, Option<Vec<DeliveryId>>),
    Destinations(bool),
    Due(Option<Vec<(DestinationId, Moment)>>),
}

struct World {
    now: Moment,
    scheduler: Scheduler,
    rows: BTreeMap<DeliveryId, Row>,
    destinations: BTreeMap<DestinationId, (Receiver, bool)>,
    agenda: BTreeMap<(Moment, u64), Event>,
    in_flight: Vec<(DestinationId, LeadId, DeliveryId)>,
    delivered_at: HashMap<DeliveryId, Moment>,
    counter: u64,
    store_refuses: bool,
    deleted: HashSet<DestinationId>,
}

impl World {
    fn new(receivers: &[Receiver]) -> Self {
        let mut world = Self {
            now: Moment::from_unix_millis(1_700_000_000_000),
            scheduler: Scheduler::new(LIMITS),
            rows: BTreeMap::new(),
            destinations: BTreeMap::new(),
            agenda: BTreeMap::new(),
            in_flight: Vec::new(),
            delivered_at: HashMap::new(),
            counter: 0,
            store_refuses: false,
            deleted: HashSet::new(),
        };
        for (n, receiver) in (0..).zip(receivers) {
            world.destinations.insert(destination(n), (*receiver, true));
        }
        world
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn later(&mut self, after: Duration, event: Event) {
        let key = (self.now.plus(after), self.count());
        self.agenda.insert(key, event);
    }

    /// A commit that makes one delivery, claimed by this process unless its destination is disabled.
    fn insert(&mut self, to: u8, lead: u8, dispatch: bool) -> Option<DueDelivery> {
        let destination_id = destination(to);
        if !self.destinations.get(&destination_id)?.1 {
            return None;
        }
        let id = DeliveryId::from_bytes(u128::from(self.count()).to_be_bytes());
        let delivery = DueDelivery {
            id,
            workspace_id: WorkspaceId::from_bytes([0; 16]),
            destination_id,
            event_id: EventId::from_bytes([0; 16]),
            event_type: EventType::LeadQualified,
            lead_id: LeadId::from_bytes([lead; 16]),
            body: Bytes::new(),
            attempt_number: 1,
            schedule_step: 0,
            due_at: self.now,
        };
        self.rows.insert(
            id,
            Row { delivery: delivery.clone(), due: Some(self.now), claimed: dispatch, attempts: 0 },
        );
        Some(delivery)
    }

    /// A delivery that becomes due without this process being told, of a lead of its own.
    fn insert_elsewhere(&mut self, to: u8) {
        if let Some(delivery) = self.insert(to, 0, false)
            && let Some(row) = self.rows.get_mut(&delivery.id)
        {
            row.delivery.lead_id = LeadId::from_bytes(*delivery.id.as_bytes());
        }
    }

    fn commit(&mut self, to: u8, lead: u8) -> Option<DeliveryId> {
        let delivery = self.insert(to, lead, true)?;
        let id = delivery.id;
        self.scheduler.offer(vec![delivery]);
        self.act();
        Some(id)
    }

    fn act(&mut self) {
        let mut actions = Vec::new();
        self.scheduler.act(self.now, &mut actions);
        for action in actions {
            self.perform(action);
        }
        self.check();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Attempt(delivery) => self.begin(delivery),
            Action::Release(ids) => {
                for id in ids {
                    assert!(
                        self.in_flight.iter().all(|(_, _, held)| *held != id),
                        "released while in flight"
                    );
                    let row = self.rows.get_mut(&id).unwrap();
                    assert!(row.claimed, "released what nobody held");
                    row.claimed = false;
                }
            }
            Action::Claim { destination, limit } => {
                assert!(limit > 0);
                let claimed = if self.store_refuses { None } else { self.claim_rows(destination, limit) };
                self.later(STORE, Event::Claimed(destination, limit, claimed));
            }
            Action::ReadDestinations => {
                let answers = !self.store_refuses;
                self.later(STORE, Event::Destinations(answers));
            }
            Action::ReadDue => {
                let due = (!self.store_refuses).then(|| self.next_due());
                self.later(STORE, Event::Due(due));
            }
        }
    }

    fn claim_rows(&mut self, of: DestinationId, limit: usize) -> Option<Vec<DeliveryId>> {
        if !self.destinations[&of].1 {
            return None;
        }
        let mut due: Vec<(Moment, DeliveryId)> = self
            .rows
            .values()
            .filter(|row| !row.claimed && row.delivery.destination_id == of)
            .filter_map(|row| row.due.filter(|due| *due <= self.now).map(|due| (due, row.delivery.id)))
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        for (_, id) in &due {
            self.rows.get_mut(id).unwrap().claimed = true;
        }
        Some(due.into_iter().map(|(_, id)| id).collect())
    }

    fn next_due(&self) -> Vec<(DestinationId, Moment)> {
        let mut next: BTreeMap<DestinationId, Moment> = BTreeMap::new();
        for row in self.rows.values().filter(|row| !row.claimed) {
            if let Some(due) = row.due {
                next.entry(row.delivery.destination_id).and_modify(|at| *at = due.min(*at)).or_insert(due);
            }
        }
        next.into_iter().collect()
    }

    fn begin(&mut self, delivery: DueDelivery) {
        let row = &self.rows[&delivery.id];
        assert!(row.claimed, "attempted without a claim");
        for earlier in self.rows.range(..delivery.id).map(|(_, row)| row) {
            let of_one_lead = earlier.delivery.lead_id == delivery.lead_id;
            if of_one_lead && earlier.delivery.destination_id == delivery.destination_id {
                assert!(earlier.attempts > 0 || row.attempts > 0, "overtook an earlier event of its lead");
            }
        }
        let flight = (delivery.destination_id, delivery.lead_id, delivery.id);
        assert!(
            self.in_flight.iter().all(|(to, lead, _)| (*to, *lead) != (flight.0, flight.1)),
            "a lead twice"
        );
        self.in_flight.push(flight);
        let (receiver, _) = self.destinations[&delivery.destination_id];
        let ok = receiver.fails == 0 || !self.count().is_multiple_of(receiver.fails);
        self.later(receiver.takes, Event::Attempted(delivery, ok));
    }

    fn check(&self) {
        assert!(self.in_flight.len() <= LIMITS.overall, "over the limit of all");
        let mut by_destination: HashMap<DestinationId, usize> = HashMap::new();
        for (to, _, _) in &self.in_flight {
            *by_destination.entry(*to).or_default() += 1;
        }
        assert!(by_destination.values().all(|count| *count <= LIMITS.per_destination), "over a lane's limit");
        let ids: HashSet<_> = self.in_flight.iter().map(|(_, _, id)| id).collect();
        assert_eq!(ids.len(), self.in_flight.len(), "one delivery twice in flight");
        for (to, count) in by_destination {
            assert_eq!(self.scheduler.lane(to).unwrap().in_flight(), count);
        }
    }

    /// Lets `duration` go by.
    fn run(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        self.act();
        loop {
            let event = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let wake = self.scheduler.next_wake().map(|at| at.max(self.now.plus(Duration::from_millis(1))));
            let Some(next) = [event, wake].into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            while let Some(entry) = self.agenda.first_entry()
                && entry.key().0 <= self.now
            {
                let event = entry.remove();
                self.happen(event);
            }
            self.act();
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Attempted(delivery, ok) => {
                self.in_flight.retain(|(_, _, id)| *id != delivery.id);
                self.rows.get_mut(&delivery.id).unwrap().attempts += 1;
                if ok {
                    self.delivered_at.insert(delivery.id, now);
                }
                self.scheduler.attempted(delivery.destination_id, delivery.lead_id, ok);
                self.later(STORE, Event::Recorded(delivery, ok));
            }
            Event::Recorded(delivery, ok) => {
                let row = self.rows.get_mut(&delivery.id).unwrap();
                row.claimed = false;
                let is_over =
                    ok || row.attempts >= ATTEMPTS_MAX || self.deleted.contains(&delivery.destination_id);
                row.due = (!is_over).then(|| now.plus(RETRY));
                let due = row.due;
                let disabled = !self.destinations[&delivery.destination_id].1;
                self.scheduler.recorded(delivery.destination_id, delivery.id, due, disabled);
            }
            Event::Claimed(destination, limit, ids) => {
                let rows =
                    |ids: Vec<DeliveryId>| ids.iter().map(|id| self.rows[id].delivery.clone()).collect();
                self.scheduler.claimed(destination, limit, ids.map(rows), now);
            }
            Event::Destinations(answers) => {
                let exist = self.destinations.iter().filter(|(id, _)| !self.deleted.contains(*id));
                let found: Vec<_> = exist.map(|(id, (_, enabled))| (*id, *enabled)).collect();
                self.scheduler.destinations(answers.then_some(&found), now);
            }
            Event::Due(due) => self.scheduler.due(due, now),
        }
        self.act();
    }

    fn enable(&mut self, to: u8, enabled: bool) {
        let id = destination(to);
        if let Some(found) = self.destinations.get_mut(&id).filter(|_| !self.deleted.contains(&id)) {
            found.1 = enabled;
        }
        self.scheduler.wake();
        self.act();
    }

    fn delete(&mut self, to: u8) {
        self.enable(to, false);
        self.deleted.insert(destination(to));
        for row in self.rows.values_mut().filter(|row| row.delivery.destination_id == destination(to)) {
            row.due = None;
        }
    }

    fn pending(&self) -> usize {
        self.rows.values().filter(|row| row.due.is_some()).count()
    }
}

const QUICK: Receiver = Receiver { takes: Duration::from_millis(2), fails: 0 };
const DOWN: Receiver = Receiver { takes: Duration::from_secs(10), fails: 1 };

#[test]
fn a_committed_delivery_is_attempted_at_once() {
    let mut world = World::new(&[QUICK]);
    world.run(Duration::from_millis(20));
    let id = world.commit(0, 1).unwrap();
    assert_eq!(world.in_flight.len(), 1, "no timer, no reading of the store in between");
    world.run(Duration::from_millis(20));
    assert!(world.delivered_at.contains_key(&id));
    assert_eq!((world.pending(), world.scheduler.held()), (0, 0));
}

#[test]
fn what_waited_in_the_store_before_the_start_is_delivered() {
    let mut world = World::new(&[QUICK, QUICK]);
    for n in 0..200 {
        world.insert(n % 2, n, false).unwrap();
    }
    world.run(Duration::from_secs(2));
    assert_eq!((world.pending(), world.scheduler.held()), (0, 0));
}

#[test]
fn a_destination_that_is_down_delays_no_other() {
    let mut world = World::new(&[DOWN, QUICK]);
    world.run(Duration::from_millis(20));
    let start = world.now;
    for n in 0..100 {
        world.commit(0, n).unwrap();
        world.commit(1, n).unwrap();
    }
    world.run(Duration::from_secs(1));
    assert_eq!(world.delivered_at.len(), 100);
    // Two slots are left beside the four that hang: 100 attempts of 2 ms, and the store's answers.
    let last = world.delivered_at.values().max().unwrap();
    assert!(last.since(start) < Duration::from_millis(200), "{:?}", last.since(start));
}

#[test]
fn a_destination_that_fails_falls_to_one_attempt_at_a_time_and_holds_little() {
    let mut world = World::new(&[DOWN]);
    for n in 0..100 {
        world.insert(0, n, false).unwrap();
    }
    world.run(Duration::from_secs(60));
    assert_eq!(world.in_flight.len(), 1);
    assert!(world.scheduler.held() <= 8, "{}", world.scheduler.held());
    world.destinations.get_mut(&destination(0)).unwrap().0 = QUICK;
    world.run(Duration::from_secs(60));
    assert_eq!((world.pending(), world.scheduler.held()), (0, 0), "and comes back when it answers again");
}

#[test]
fn a_retry_is_attempted_when_it_is_due() {
    let mut world = World::new(&[Receiver { fails: 1, ..QUICK }]);
    world.run(Duration::from_millis(20));
    let id = world.commit(0, 1).unwrap();
    world.run(RETRY);
    assert_eq!(world.rows[&id].attempts, 1);
    world.run(Duration::from_millis(20));
    assert_eq!(world.rows[&id].attempts, 2);
}

#[test]
fn a_disabled_destination_gives_back_what_waits_and_goes_on_when_enabled() {
    let mut world = World::new(&[Receiver { takes: Duration::from_millis(50), fails: 0 }]);
    world.run(Duration::from_millis(20));
    for n in 0..20 {
        world.commit(0, n).unwrap();
    }
    world.enable(0, false);
    world.run(Duration::from_secs(1));
    assert_eq!((world.in_flight.len(), world.scheduler.held()), (0, 0));
    assert_eq!(world.pending(), 16, "only the four in flight went on");
    world.enable(0, true);
    world.run(Duration::from_secs(1));
    assert_eq!(world.pending(), 0);
}

#[test]
fn stopping_gives_back_all_that_is_not_in_flight() {
    let mut world = World::new(&[Receiver { takes: Duration::from_millis(50), fails: 0 }]);
    world.run(Duration::from_millis(20));
    for n in 0..20 {
        world.commit(0, n).unwrap();
    }
    world.scheduler.stop();
    world.run(Duration::from_secs(1));
    assert_eq!((world.scheduler.held(), world.scheduler.next_wake()), (0, None));
    assert!(world.rows.values().all(|row| !row.claimed));
    world.commit(0, 99).unwrap();
    assert!(world.rows.values().all(|row| !row.claimed), "what comes later goes straight back");
}

#[test]
fn the_store_refusing_for_a_while_loses_nothing() {
    let mut world = World::new(&[QUICK]);
    world.store_refuses = true;
    world.insert(0, 1, false).unwrap();
    world.run(Duration::from_secs(10));
    world.store_refuses = false;
    world.run(Duration::from_secs(3));
    assert_eq!(world.pending(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Commit(u8, u8, u8),
    Insert(u8),
    Run(u16),
    Enable(u8, bool),
    Delete(u8),
    Refuse(bool),
    Wake,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, any::<u8>(), 1..60_u8).prop_map(|(to, lead, count)| Step::Commit(to, lead, count)),
        1 => (0..4_u8).prop_map(Step::Insert),
        6 => (0..3_000_u16).prop_map(Step::Run),
        1 => (0..4_u8, any::<bool>()).prop_map(|(to, enabled)| Step::Enable(to, enabled)),
        1 => (0..4_u8).prop_map(Step::Delete),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => Just(Step::Wake),
    ]
}

fn receiver() -> impl Strategy<Value = Receiver> {
    (0..2_000_u64, 0..5_u64)
        .prop_map(|(millis, fails)| Receiver { takes: Duration::from_millis(millis), fails })
}

proptest! {

    /// The world checks the limits, the claims and the order at each step; in the end nothing is left behind.
    #[test]
    fn whatever_happens_the_limits_hold_and_everything_is_attempted(
        receivers in prop::collection::vec(receiver(), 3),
        waiting in prop::collection::vec((0..3_u8, any::<u8>()), 0..50),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new(&receivers);
        for (to, lead) in waiting {
            world.insert(to, lead, false);
        }
        for step in steps {
            match step {
                Step::Commit(to, lead, count) => {
                    for n in 0..count {
                        world.commit(to, lead.wrapping_add(n / 2));
                    }
                }
                Step::Insert(to) => world.insert_elsewhere(to),
                Step::Run(millis) => world.run(Duration::from_millis(millis.into())),
                Step::Enable(to, enabled) => world.enable(to, enabled),
                Step::Delete(to) => world.delete(to),
                Step::Refuse(refuses) => world.store_refuses = refuses,
                Step::Wake => {
                    world.scheduler.wake();
                    world.act();
                }
            }
        }
        world.store_refuses = false;
        (0..4).for_each(|to| world.enable(to, true));
        for _ in 0..1_000 {
            world.run(Duration::from_secs(60));
            if world.pending() == 0 && world.scheduler.held() == 0 {
                break;
            }
        }
        prop_assert_eq!((world.pending(), world.scheduler.held()), (0, 0));
        let deleted = &world.deleted;
        let mut left = world.rows.values().filter(|row| !deleted.contains(&row.delivery.destination_id));
        prop_assert!(left.all(|row| !row.claimed && row.attempts > 0));
        prop_assert!(world.rows.values().all(|row| !row.claimed));
        for to in deleted {
            prop_assert!(world.scheduler.lane(*to).is_none_or(|lane| lane.held() == 0));
        }
    }
}
