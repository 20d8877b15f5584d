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
const KEYS: u8 = 100;
const PROCESSES: usize = 2;

/// Where a child finds the store. Set in children alone.
const STORE: &str = "AGENTFLOW_RACE_STORE";

/// In a child: the store to race for.
pub(crate) fn store_of_child() -> Option<String> {
    env::var(STORE).ok()
}

/// A child's part: claims each key twice, afresh and, where nobody has committed it, once more after the lease.
pub(crate) async fn race(store: &impl IdempotencyStore) {
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    for (round, now) in [START, START.plus(LEASE)].into_iter().enumerate() {
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
    for output in &mut outputs {
        assert!(output.any(|line| line.unwrap().ends_with("ready")), "a child did not start");
    }
    for child in &mut children {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    let mut won: HashMap<(u8, u8), Vec<u64>> = HashMap::new();
    for line in outputs.into_iter().flatten() {
        let line = line.unwrap();
        if let Some(("", numbers)) = line.split_once("won ") {
            let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
            won.entry((numbers[0] as u8, numbers[1] as u8)).or_default().push(numbers[2]);
        }
    }
    for mut child in children {
        assert!(child.wait().unwrap().success(), "a child failed");
    }
    for number in 0..KEYS {
        let [first] = won[&(0, number)][..] else {
            panic!("key {number} was won by {:?}", won[&(0, number)])
        };
        let again = won.get(&(1, number)).cloned().unwrap_or_default();
        if number % 2 == 0 {
            // Committed by its winner, unless the other's second round came in between.
            assert!(again.len() <= 1, "key {number} was won again by {again:?}");
        } else {
            let [second] = again[..] else { panic!("key {number} was taken over by {again:?}") };
            assert!(second > first, "key {number}: token {second} after {first}");
        }
    }
}
