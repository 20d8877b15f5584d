//! Real processes that ask one store for the same keys at the same time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agentflow_events::idempotency::{Begin, IdempotencyKey, IdempotencyStore};
use agentflow_events::{EventType, LeadId, Moment};

const LEASE: Duration = Duration::from_secs(60);
const START: Moment = Moment::from_unix_millis(1_731_573_972_345);
const ROUNDS: u32 = 2;
const KEYS: u8 = 100;
const PROCESSES: usize = 2;

/// What a child says before each round.
const READY: &str = "ready";

/// Where a child finds the store. Set in children alone.
const STORE: &str = "AGENTFLOW_RACE_STORE";

/// In a child: the store to race for.
pub(crate) fn store_of_child() -> Option<String> {
    env::var(STORE).ok()
}

/// A child's part: claims each key twice, afresh and, where nobody has committed it, once more after the lease.
///
/// Before each round it waits for the parent's word, so no child's clock is a lease ahead of another's.
pub(crate) async fn race(store: &impl IdempotencyStore) {
    for round in 0..ROUNDS {
        println!("{READY}");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        let now = START.plus(LEASE * round);
        for number in 0..KEYS {
            let key = IdempotencyKey {
                lead_id: LeadId::at(START, [number; 10]),
                event_type: EventType::LeadQualified,
            };
            if let Begin::Fresh(claim) = store.begin(key, now, LEASE).await.unwrap() {
                println!("won {round} {number} {}", claim.token);
                if number % 2 == 0 {
                    store.commit(key, claim.token, now).await.unwrap();
                }
            }
        }
    }
}

/// Has two processes run the test named `child` of this program against `store`, and looks at who won what.
#[track_caller]
pub(crate) fn check_processes(child: &str, store: &str) {
    let mut children: Vec<Child> = (0..PROCESSES)
        .map(|_| {
            Command::new(env::current_exe().unwrap())
                .args([child, "--exact", "--nocapture", "--test-threads=1"])
                .env(STORE, store)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut outputs: Vec<_> =
        children.iter_mut().map(|child| BufReader::new(child.stdout.take().unwrap()).lines()).collect();
    let mut won: HashMap<(u8, u8), Vec<u64>> = HashMap::new();
    let mut note = |line: &str| {
        if let Some(("", numbers)) = line.split_once("won ") {
            let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
            won.entry((numbers[0] as u8, numbers[1] as u8)).or_default().push(numbers[2]);
        }
    };
    for _ in 0..ROUNDS {
        for output in &mut outputs {
            let ready = output
                .by_ref()
                .map(Result::unwrap)
                .inspect(|line| note(line))
                .any(|line| line.ends_with(READY));
            assert!(ready, "a child failed");
        }
        for child in &mut children {
            child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        }
    }
    outputs.into_iter().flatten().for_each(|line| note(&line.unwrap()));
    for mut child in children {
        assert!(child.wait().unwrap().success(), "a child failed");
    }
    for number in 0..KEYS {
        let [first] = won[&(0, number)][..] else {
            panic!("key {number} was won by {:?}", won[&(0, number)])
        };
        let again = won.get(&(1, number)).cloned().unwrap_or_default();
        if number % 2 == 0 {
            assert!(again.is_empty(), "key {number} was committed, and won again by {again:?}");
        } else {
            let [second] = again[..] else { panic!("key {number} was taken over by {again:?}") };
            assert!(second > first, "key {number}: token {second} after {first}");
        }
    }
}
