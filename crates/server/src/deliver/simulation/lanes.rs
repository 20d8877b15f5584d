//! What lanes promise, each promise in a world made for it.

use std::collections::HashMap;
use std::time::Duration;

use super::bug::Bug;
use super::receiver::{FAILS, HANGS, QUICK, Receiver};
use super::store::{destination, lead};
use super::world::World;
use crate::deliver::scheduler::Concurrency;
use crate::id::{DeliveryId, DestinationId};

const ROOMY: Concurrency = Concurrency { per_destination: 64, overall: 1_024 };

const MILLIS: fn(u64) -> Duration = Duration::from_millis;
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn world(concurrency: Concurrency, schedule: &[u32], receivers: &[Receiver]) -> World {
    let mut world = World::new(1, Bug::None, concurrency, schedule, receivers);
    world.run(MILLIS(50));
    world
}

/// Deliveries of leads of their own, one after the other, at this destination.
fn insert(world: &mut World, to: u8, leads: std::ops::Range<u64>, told: bool) {
    leads.for_each(|n| world.commit(lead(n), &[destination(to)], told));
}

fn slow(millis: u64) -> Receiver {
    Receiver { takes: MILLIS(millis), ..QUICK }
}

fn delivered(world: &World, to: u8) -> Vec<(DeliveryId, Duration)> {
    let at = destination(to);
    let of = |id: &DeliveryId| world.store.rows[id].delivery.destination_id == at;
    world.delivered.iter().copied().filter(|(id, _)| of(id)).collect()
}

#[track_caller]
fn check_settled(world: &mut World) {
    world.settled();
    assert_eq!(world.ledger.violation, None);
}

/// The highest number in flight at a destination, looked at each millisecond.
fn most_in_flight(world: &mut World, to: DestinationId, millis: u64) -> usize {
    (0..millis)
        .map(|_| {
            world.run(MILLIS(1));
            world.ledger.in_flight(to)
        })
        .max()
        .unwrap_or(0)
}

#[test]
fn a_committed_delivery_is_attempted_at_once() {
    let mut world = world(ROOMY, &[0], &[QUICK]);
    insert(&mut world, 0, 0..1, true);
    assert_eq!(world.ledger.in_flight(destination(0)), 1, "no timer, no reading of the store in between");
    world.run(MILLIS(50));
    assert_eq!(world.delivered.len(), 1);
    check_settled(&mut world);
}

#[test]
fn what_waited_in_the_store_before_the_start_is_delivered() {
    let mut world = World::new(1, Bug::None, ROOMY, &[0], &[QUICK, QUICK]);
    insert(&mut world, 0, 0..100, false);
    insert(&mut world, 1, 0..100, false);
    world.run(SECONDS(2));
    check_settled(&mut world);
}

#[test]
fn a_first_wait_is_seen_when_it_is_over() {
    for seconds in [1, 3, 20] {
        let mut world = world(ROOMY, &[seconds], &[QUICK]);
        for n in 0..5 {
            world.run(MILLIS(700));
            let begun = world.time;
            insert(&mut world, 0, n..n + 1, true);
            world.run(SECONDS(seconds.into()) + MILLIS(60));
            let late = delivered(&world, 0)[n as usize].1 - begun - SECONDS(seconds.into());
            assert!(late < MILLIS(50), "{late:?} late");
        }
    }
}

#[test]
fn a_retry_is_attempted_when_it_is_due() {
    let mut world = world(ROOMY, &[0, 5, 60], &[FAILS]);
    insert(&mut world, 0, 0..1, true);
    world.run(MILLIS(10));
    world.receivers.insert(destination(0), QUICK);
    world.run(MILLIS(3_900));
    assert_eq!(world.delivered.len(), 0, "80 % of five seconds are not over");
    world.run(MILLIS(2_200));
    assert_eq!(world.delivered.len(), 1);
    check_settled(&mut world);
}

/// How long after its commit each delivery at the good ones came, the longest of them, beside `bad` ones.
fn longest_beside(bad: Receiver, bad_count: u8, good_count: u8) -> Duration {
    let mut receivers = vec![slow(5); good_count.into()];
    receivers.extend(vec![bad; bad_count.into()]);
    let mut world = world(ROOMY, &[0, 5, 300], &receivers);
    let all: Vec<DestinationId> = world.receivers.keys().copied().collect();
    let mut committed = HashMap::new();
    for n in 0..300 {
        committed.insert(lead(n), world.time);
        world.commit(lead(n), &all, true);
        world.run(MILLIS(20));
    }
    world.run(SECONDS(1));
    let mut longest = Duration::ZERO;
    for to in 0..good_count {
        let came = delivered(&world, to);
        assert_eq!(came.len(), 300);
        for (id, at) in came {
            longest = longest.max(at - committed[&world.store.rows[&id].delivery.lead_id]);
        }
    }
    longest
}

#[test]
fn destinations_that_are_bad_delay_no_other() {
    for bad in [HANGS, FAILS] {
        assert_eq!(longest_beside(bad, 1, 9), longest_beside(QUICK, 1, 9));
        assert_eq!(longest_beside(bad, 45, 5), longest_beside(QUICK, 45, 5));
    }
}

#[test]
fn however_many_turn_bad_at_once_a_share_is_left_for_the_others() {
    let mut receivers = vec![slow(5); 61];
    receivers[0] = slow(10);
    let mut world = world(Concurrency { per_destination: 64, overall: 128 }, &[0, 600], &receivers);
    // All of them have grown to the limit of a destination when sixty begin to hang.
    let all: Vec<DestinationId> = world.receivers.keys().copied().collect();
    for n in 0..100 {
        world.commit(lead(n), &all, true);
    }
    world.run(SECONDS(5));
    world.receivers.values_mut().skip(1).for_each(|receiver| *receiver = HANGS);
    for n in 100..200 {
        world.commit(lead(n), &all, true);
    }
    world.run(SECONDS(2));
    assert_eq!(delivered(&world, 0).len(), 200, "long before the first of the hanging attempts ends");
}

#[test]
fn a_destination_that_is_down_gets_one_attempt_at_a_time_and_holds_little() {
    let mut world = world(ROOMY, &[0, 600], &[HANGS]);
    insert(&mut world, 0, 0..1_000, true);
    world.run(SECONDS(60));
    assert_eq!(world.ledger.in_flight(destination(0)), 1);
    let held = world.scheduler.as_ref().unwrap().held();
    assert!(held <= 16, "{held}");
}

#[test]
fn probes_of_all_that_are_down_share_one_beat() {
    let count = |receivers: usize| {
        let mut world = world(ROOMY, &[0, 3_600], &vec![FAILS; receivers]);
        let all: Vec<DestinationId> = world.receivers.keys().copied().collect();
        (0..2_000).for_each(|n| world.commit(lead(n), &all, true));
        world.run(SECONDS(2));
        let before = world.attempts;
        world.run(SECONDS(5));
        world.attempts - before
    };
    for receivers in [1, 20] {
        let attempts = count(receivers);
        assert!((400..=500).contains(&attempts), "{attempts} of {receivers}");
    }
}

#[test]
fn a_backlog_of_a_hundred_thousand_does_not_crush_a_receiver_that_comes_back() {
    let mut world = World::new(1, Bug::None, ROOMY, &[0, 5, 300, 1_800], &[FAILS]);
    insert(&mut world, 0, 0..100_000, false);
    world.run(SECONDS(5));
    let to = destination(0);
    world.receivers.insert(to, slow(50));
    // The first probe that succeeds was begun just now; from then on a round takes 50 ms.
    let mut rounds = Vec::new();
    for _ in 0..9 {
        rounds.push(most_in_flight(&mut world, to, 50));
    }
    assert_eq!(rounds[0], 1, "one probe");
    for pair in rounds.windows(2) {
        assert!(pair[1] <= pair[0] * 2 + 1, "{rounds:?}");
    }
    assert_eq!(most_in_flight(&mut world, to, 500), 64, "and then all that a destination may have");
    assert!(world.scheduler.as_ref().unwrap().held() <= 64 * 12);
    world.run(SECONDS(400));
    check_settled(&mut world);
}

/// Waits of new events, and how many of the backlog went, in `seconds` at a receiver that can take 40 a second.
fn beside_a_backlog(new_each_second: u64, seconds: u64) -> (Vec<Duration>, usize) {
    let mut world =
        World::new(1, Bug::None, Concurrency { per_destination: 4, overall: 64 }, &[0], &[slow(100)]);
    insert(&mut world, 0, 0..4_000, false);
    world.run(SECONDS(2));
    let mut begun = HashMap::new();
    let before = world.delivered.len();
    for n in 0..new_each_second * seconds {
        begun.insert(lead(10_000 + n), world.time);
        insert(&mut world, 0, 10_000 + n..10_001 + n, true);
        world.run(SECONDS(1) / new_each_second as u32);
    }
    let mut waits = Vec::new();
    for (id, at) in &world.delivered[before..] {
        if let Some(begun) = begun.get(&world.store.rows[id].delivery.lead_id) {
            waits.push(*at - *begun);
        }
    }
    waits.sort_unstable();
    let old = world.delivered.len() - before - waits.len();
    (waits, old)
}

#[test]
fn new_events_do_not_wait_behind_the_backlog() {
    let (waits, old) = beside_a_backlog(10, 60);
    assert!(waits.len() > 590, "{}", waits.len());
    let p99 = waits[waits.len() * 99 / 100];
    assert!(p99 < SECONDS(2), "{p99:?}; the backlog takes 100 s");
    assert!(old > 28 * 60, "and the backlog has what they leave: {old}");
}

#[test]
fn more_new_events_than_can_be_sent_leave_half_to_the_backlog() {
    let (waits, old) = beside_a_backlog(100, 60);
    let share = waits.len() as f64 / (waits.len() + old) as f64;
    assert!((0.4..=0.6).contains(&share), "{} new, {old} old", waits.len());
}

#[test]
fn a_destinations_own_limits_are_kept() {
    let mut world = world(ROOMY, &[0], &[slow(100), slow(100)]);
    world.set(destination(0), |settings| settings.max_in_flight = Some(3));
    world.set(destination(1), |settings| settings.per_second = Some(20));
    world.run(SECONDS(1));
    insert(&mut world, 0, 0..300, true);
    insert(&mut world, 1, 0..300, true);
    assert_eq!(most_in_flight(&mut world, destination(0), 2_000), 3);
    world.run(SECONDS(8));
    let (by_slots, by_rate) = (delivered(&world, 0).len(), delivered(&world, 1).len());
    assert!((290..=300).contains(&by_slots), "three at a time take 10 s: {by_slots}");
    assert!((195..=203).contains(&by_rate), "{by_rate}");
    world.run(SECONDS(10));
    check_settled(&mut world);
}

#[test]
fn a_clock_that_is_set_back_a_day_stops_nothing_that_is_due() {
    let mut world = world(ROOMY, &[0], &[slow(20)]);
    world.set(destination(0), |settings| settings.per_second = Some(50));
    world.run(SECONDS(1));
    insert(&mut world, 0, 0..10, true);
    world.jump(-86_400_000);
    insert(&mut world, 0, 10..300, true);
    world.run(SECONDS(10));
    check_settled(&mut world);
}

#[test]
fn a_clock_that_is_set_forward_is_noticed_within_a_second() {
    let mut world = world(ROOMY, &[0, 36_000], &[FAILS]);
    insert(&mut world, 0, 0..1, true);
    world.run(SECONDS(1));
    world.receivers.insert(destination(0), QUICK);
    world.jump(50_000_000);
    world.run(MILLIS(1_100));
    check_settled(&mut world);
}

#[test]
fn a_disabled_destination_gives_back_what_waits_and_goes_on_when_enabled() {
    let mut world = world(Concurrency { per_destination: 4, overall: 64 }, &[0], &[slow(50)]);
    insert(&mut world, 0, 0..20, true);
    world.set(destination(0), |settings| settings.enabled = false);
    world.run(SECONDS(1));
    assert_eq!((world.delivered.len(), world.scheduler.as_ref().unwrap().held()), (4, 0));
    world.set(destination(0), |settings| settings.enabled = true);
    world.run(SECONDS(1));
    check_settled(&mut world);
}

#[test]
fn stopping_gives_back_all_that_is_not_in_flight() {
    let mut world = world(Concurrency { per_destination: 4, overall: 64 }, &[0], &[slow(50)]);
    insert(&mut world, 0, 0..20, true);
    world.step(|scheduler, _| scheduler.stop());
    world.run(SECONDS(1));
    let scheduler = world.scheduler.as_ref().unwrap();
    assert_eq!((scheduler.held(), scheduler.next_wake(), world.delivered.len()), (0, None, 4));
    insert(&mut world, 0, 20..21, true);
    world.run(SECONDS(1));
    assert_eq!(world.delivered.len(), 4, "what comes later goes straight back");
    world.start();
    world.run(SECONDS(1));
    check_settled(&mut world);
}
