//! One seed, one life: everything that may go wrong, in an order that nobody planned, and what must hold all the same.

use std::time::Duration;

use super::bug::Bug;
use super::ledger::Violation;
use super::receiver::{QUICK, Receiver};
use super::store::{destination, lead};
use super::world::World;
use crate::deliver::scheduler::Concurrency;
use crate::id::{DeliveryId, DestinationId};
use crate::random::Random;

const SCHEDULES: [&[u32]; 6] = [&[0], &[0, 1, 5], &[0, 5, 60], &[0, 0, 0, 30], &[2, 5], &[1, 0, 600]];

const DAY_MILLIS: i64 = 86_400_000;

/// Rounds in which everything must be over once all is well again, and the seconds that each of them takes at most.
const ROUNDS: u64 = 60;
const ROUND_SECONDS: u64 = 900;

/// Lives one life. Answers how many deliveries there were, or what did not hold.
pub(super) fn live(seed: u64, bug: Bug) -> Result<usize, Violation> {
    let mut random = Random::new(seed ^ 0x5eed);
    let receivers: Vec<Receiver> = (0..1 + random.below(4)).map(|_| Receiver::any(&mut random)).collect();
    let concurrency =
        Concurrency { per_destination: 1 + random.below(6) as usize, overall: 1 + random.below(12) as usize };
    let schedule = random.one_of(&SCHEDULES);
    let mut world = World::new(seed, bug, concurrency, schedule, &receivers);
    world.store_millis = random.one_of(&[1, 5, 40, 400]);
    let mut leads = 0;
    // What an earlier process left behind.
    for _ in 0..random.below(12) {
        leads += 1;
        commit(&mut world, &mut random, &mut leads, false);
    }
    for _ in 0..10 + random.below(25) {
        step(&mut world, &mut random, &mut leads);
        if let Some(violation) = world.ledger.violation {
            return Err(violation);
        }
    }
    recover(&mut world, &mut random);
    match world.ledger.violation {
        Some(violation) => Err(violation),
        None => Ok(world.store.rows.len()),
    }
}

/// An event of a new lead, or the next one of a lead that has some.
fn commit(world: &mut World, random: &mut Random, leads: &mut u64, told: bool) {
    let of = if *leads == 0 || random.percent(60) {
        *leads += 1;
        *leads
    } else {
        1 + random.below(*leads)
    };
    let to: Vec<DestinationId> = world.receivers.keys().copied().collect();
    world.commit(lead(of), &to, told);
}

fn step(world: &mut World, random: &mut Random, leads: &mut u64) {
    let to = destination(random.below(world.receivers.len() as u64) as u8);
    match random.below(40) {
        0..12 => {
            for _ in 0..1 + random.below(8) {
                // Nobody commits while the process is down.
                if world.scheduler.is_some() {
                    commit(world, random, leads, true);
                }
            }
        }
        12..24 => {
            let millis = random.one_of(&[3, 50, 900, 7_000, 40_000, 700_000]);
            world.run(Duration::from_millis(random.below(millis)));
        }
        24..26 => {
            let most = random.one_of(&[500, 20_000, 3_600_000, 6 * DAY_MILLIS as u64]);
            let millis = random.below(most) as i64;
            world.jump(if random.percent(50) { millis } else { -millis });
        }
        26..28 => {
            world.crash();
            world.time += Duration::from_millis(random.below(5_000));
            world.start();
        }
        28 => {
            world.stop();
            world.start();
        }
        29..31 => {
            let enabled = random.percent(50);
            world.store.enable(to, enabled);
            world.wake();
        }
        31 => {
            if random.percent(30) {
                world.delete(to);
            }
        }
        32..34 => {
            let rows: Vec<DeliveryId> = world.store.rows.keys().copied().collect();
            if !rows.is_empty() {
                world.resend(random.one_of(&rows));
            }
        }
        34..36 => world.store_refuses = random.percent(50),
        36..38 => {
            let in_flight = random.one_of(&[None, Some(1), Some(3)]);
            let rate = random.one_of(&[None, None, Some(1), Some(5), Some(200)]);
            world.set(to, |settings| (settings.max_in_flight, settings.per_second) = (in_flight, rate));
        }
        _ => {
            let other = Receiver::any(random);
            world.receivers.insert(to, other);
        }
    }
}

/// Everything is mended but some of the receivers; then time goes by.
fn recover(world: &mut World, random: &mut Random) {
    world.store_refuses = false;
    for receiver in world.receivers.values_mut() {
        receiver.gone = false;
        if random.percent(70) {
            *receiver = QUICK;
        }
    }
    let all: Vec<DestinationId> = world.receivers.keys().copied().collect();
    for round in 0..ROUNDS {
        for to in &all {
            world.store.enable(*to, true);
        }
        world.wake();
        world.run(Duration::from_secs((10 << (2 * round.min(4))).min(ROUND_SECONDS)));
        if world.is_quiet() || world.ledger.violation.is_some() {
            break;
        }
        // A clock that was set back makes waits longer; it is set right now.
        if round >= 4 {
            world.jump(DAY_MILLIS);
        }
    }
    world.settled();
}
