//! Operations that are committed together answer and leave what they would one after the other: random sequences of them, each run
//! in batches on one store and in batches of one on another.

mod planner;
mod side;

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::EventType;

use self::planner::{Planner, REFUSED_MS};
use self::side::{Answered, Operation, Rows, Side};
use crate::random::Random;
use crate::record::Settings;
use crate::store::suite::world::{DAY, HOUR, START, World, founding};
use crate::store::{DeliveryStore, Store};

/// Sequences that are tried; others and more with `MODEL_FIRST` and `MODEL_SEEDS`.
const SEEDS: u64 = 12;
/// Batches of a sequence.
const BATCHES: usize = 12;

/// How often something happened, lest nothing is tried.
#[derive(Debug, Default)]
struct Counts {
    stored: usize,
    refused: usize,
    /// Batches for which the disk had no room.
    full: usize,
}

/// One sequence on both stores.
struct Trial {
    seed: u64,
    together: Side,
    alone: Side,
    planner: Planner,
    /// What both hold.
    content: Rows,
    counts: Counts,
}

impl Trial {
    async fn begin(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let settings =
            Settings { retention_days: Some(1), duplicate_window_seconds: 600, ..Settings::default() };
        let foundings = [founding(settings), founding(Settings::default())];
        let mut together = Side::open(&foundings).await;
        let mut alone = Side::open(&foundings).await;
        let store = Arc::clone(&together.store) as Arc<dyn Store>;
        let world = |founding| World { store: Arc::clone(&store), founding };
        let worlds = foundings.into_iter().map(world).collect();
        let is_orderly = random.once_in(2);
        let is_jumbled = random.once_in(3);
        let retains = !is_jumbled && random.once_in(2);
        let (destinations, leads, due) = (Vec::new(), Vec::new(), Vec::new());
        let planner = Planner {
            random,
            worlds,
            destinations,
            leads,
            due,
            now: START,
            is_orderly,
            retains,
            emails: 6,
            is_jumbled,
        };
        let (content, _) = (together.content(is_jumbled).await, alone.content(is_jumbled).await);
        Self { seed, together, alone, planner, content, counts: Counts::default() }
    }

    /// Destinations that get what the first batch makes.
    fn destinations(&mut self) -> Vec<Operation> {
        let planner = &mut self.planner;
        let put = |world: usize| {
            let mut to = planner.destination();
            to.workspace_id = planner.worlds[world].id();
            (to.enabled, to.paused, to.event_types) = (true, false, EventType::ALL.to_vec());
            planner.destinations.push(to.clone());
            let audit = planner.worlds[world].audit("model", to.created_at);
            Operation::Put(Box::new(to), audit)
        };
        [0, 0, 1].map(put).into()
    }

    fn batch(&mut self) -> Vec<Operation> {
        let planner = &mut self.planner;
        let longest = [4, 20, 70][planner.random.place(3)];
        let length = 1 + planner.random.place(longest);
        let seldom = planner.random.once_in(2);
        planner.emails = [6, 40, 1_000][planner.random.place(3)];
        (0..length).map(|_| planner.operation(seldom)).collect()
    }

    /// Runs a batch while hardly a page may be added. Answers whether there was room all the same; otherwise all was refused and
    /// nothing changed.
    async fn run_without_room(&mut self, batch: usize, operations: &[Operation]) -> bool {
        // Rows of the log that find no room are dropped.
        let written: Vec<Operation> =
            operations.iter().filter(|one| !matches!(one, Operation::Log(_))).cloned().collect();
        let room = self.planner.random.place(3) as i64;
        self.together.limit(room).await;
        let answers = self.together.together(&written).await;
        self.together.limit(100_000).await;
        if answers.iter().all(|one| one.answer.0 != "DiskFull") {
            self.compare(batch, &written, answers).await;
            return true;
        }
        self.counts.full += 1;
        for (place, one) in answers.iter().enumerate() {
            assert_eq!(one.answer.0, "DiskFull", "seed {}, batch {batch}, operation {place}", self.seed);
        }
        let content = self.together.content(self.planner.is_jumbled).await;
        same(self.seed, batch, &content, &self.content);
        false
    }

    /// Runs one by one what was answered together, and compares.
    async fn compare(&mut self, batch: usize, operations: &[Operation], answers: Vec<Answered>) {
        let (seed, is_jumbled) = (self.seed, self.planner.is_jumbled);
        for (place, (operation, one)) in operations.iter().zip(&answers).enumerate() {
            let alone = self.alone.together(std::slice::from_ref(operation)).await;
            for other in alone {
                assert_eq!(one.answer, other.answer, "seed {seed}, batch {batch}, operation {place}");
                self.planner.due.extend(other.due);
            }
            self.counts.refused += usize::from(one.answer.0 == "refused");
            self.counts.stored += usize::from(one.answer.0.starts_with("stored"));
            if let Operation::Finish { attempt, .. } = operation
                && attempt.attempt.duration_ms != REFUSED_MS
            {
                assert_ne!(one.answer.0, "refused", "seed {seed}, batch {batch}, operation {place}");
            }
        }
        self.content = self.together.content(is_jumbled).await;
        same(seed, batch, &self.content, &self.alone.content(is_jumbled).await);
        if !self.planner.retains {
            sums(&self.together).await;
        }
    }

    /// Gives back the claim on a delivery.
    async fn release_one(&mut self) {
        let planner = &mut self.planner;
        let chosen = planner.random.place(planner.due.len());
        let due = planner.due.swap_remove(chosen);
        for side in [&self.together, &self.alone] {
            let id = side.names.get(&(due.event_id, due.destination_id));
            side.store.release(&id.copied().into_iter().collect::<Vec<_>>());
        }
        self.content = self.together.content(self.planner.is_jumbled).await;
    }

    async fn run(mut self) -> Counts {
        for batch in 0..BATCHES {
            let mut operations = if batch == 0 { self.destinations() } else { Vec::new() };
            operations.extend(self.batch());
            if self.planner.random.once_in(4) && self.run_without_room(batch, &operations).await {
                continue;
            }
            let answers = self.together.together(&operations).await;
            self.compare(batch, &operations, answers).await;
            if self.planner.random.once_in(3) && !self.planner.due.is_empty() {
                self.release_one().await;
            }
            let pause = [0, 60, 3 * HOUR, 3 * DAY][self.planner.random.place(4)];
            self.planner.now = self.planner.now.plus(Duration::from_secs(pause));
        }
        self.counts
    }
}

/// The sums are those of the rows, as long as none was deleted.
async fn sums(side: &Side) {
    let wrong = side.store.readers.read(|sql| {
        sql.query_row(
            "SELECT count(*) FROM (
                 SELECT * FROM (SELECT workspace, created_at / 3600000 AS hour, destination, sum(state = 0) AS pending,
                     sum(state = 1) AS delivered, sum(state = 2) AS dead FROM deliveries GROUP BY 1, 2, 3)
                 EXCEPT SELECT workspace, hour, destination, pending, delivered, dead FROM delivery_hours)",
            [],
            |row| row.get::<_, i64>(0),
        )
    });
    assert_eq!(wrong.await.expect("readable"), 0, "the sums are those of the rows");
}

fn same(seed: u64, batch: usize, one: &Rows, other: &Rows) {
    for (table, rows) in one {
        for (place, row) in rows.iter().enumerate() {
            assert_eq!(Some(row), other[table].get(place), "seed {seed}, batch {batch}, {table}");
        }
        assert_eq!(rows.len(), other[table].len(), "seed {seed}, batch {batch}, {table}");
    }
}

#[tokio::test]
async fn what_is_committed_together_is_as_if_one_after_the_other() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let first = number("MODEL_FIRST", 0);
    let mut all = Counts::default();
    for seed in first..first + number("MODEL_SEEDS", SEEDS) {
        let Counts { stored, refused, full } = Trial::begin(seed).await.run().await;
        all = Counts { stored: all.stored + stored, refused: all.refused + refused, full: all.full + full };
    }
    assert!(all.stored > 0 && all.refused > 0 && all.full > 0, "{all:?}");
}
