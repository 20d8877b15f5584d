//! The store in SQLite against the suite, threads and processes.

#![cfg_attr(feature = "sqlite", expect(clippy::unwrap_used, reason = "a test fails by panicking"))]
#![cfg(feature = "sqlite")]

#[path = "support/racers.rs"]
mod racers;

use std::time::Duration;

use agentflow_events::idempotency::{Begin, Claim, ClaimError, IdempotencyKey, IdempotencyStore};
use agentflow_events::{Moment, suite};
use agentflow_receiver::stores::sqlite::SqliteStore;
use tempfile::TempDir;

const LEASE: Duration = Duration::from_secs(60);
const NOW: Moment = Moment::from_unix_millis(1_731_573_972_345);

fn key() -> IdempotencyKey {
    "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f:lead.qualified".parse().unwrap()
}

async fn fresh(store: &SqliteStore, now: Moment) -> Claim {
    match store.begin(key(), now, LEASE).await.unwrap() {
        Begin::Fresh(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn keeps_the_protocol() {
    let folder = TempDir::new().unwrap();
    let number = std::cell::Cell::new(0);
    let report = suite::run(async || {
        number.set(number.get() + 1);
        SqliteStore::open(folder.path().join(format!("{}.db", number.get()))).await.unwrap()
    })
    .await;
    report.assert_sound();
}

#[test]
fn keeps_the_protocol_under_real_threads() {
    let folder = TempDir::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(SqliteStore::open(folder.path().join("events.db"))).unwrap();
    suite::race_on_threads(&store, 4, |race| runtime.handle().block_on(race)).assert_sound();
}

#[tokio::test]
async fn races_in_a_child() {
    if let Some(path) = racers::store_of_child() {
        racers::race(&SqliteStore::open(path).await.unwrap()).await;
    }
}

#[test]
fn keeps_the_protocol_between_processes() {
    let folder = TempDir::new().unwrap();
    racers::check_processes("races_in_a_child", folder.path().join("events.db").to_str().unwrap());
}

#[tokio::test]
async fn remembers_across_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let claim = fresh(&store, NOW).await;
    store.commit(key(), claim.token, NOW).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.begin(key(), NOW, LEASE).await.unwrap(), Begin::Done);
}

#[tokio::test]
async fn commits_with_the_work_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let old = fresh(&store, NOW).await;

    let mut mine = rusqlite::Connection::open(&path).unwrap();
    mine.execute_batch("CREATE TABLE customers (email TEXT)").unwrap();
    let transaction = mine.transaction().unwrap();
    transaction.execute("INSERT INTO customers VALUES ('one')", []).unwrap();
    SqliteStore::commit_in(&transaction, key(), old.token, NOW).unwrap();
    drop(transaction);
    let later = NOW.plus(LEASE);
    let new = fresh(&store, later).await;

    let transaction = mine.transaction().unwrap();
    let refused = SqliteStore::commit_in(&transaction, key(), old.token, later);
    assert!(matches!(refused, Err(ClaimError::NotHeld)));
    transaction.execute("INSERT INTO customers VALUES ('two')", []).unwrap();
    SqliteStore::commit_in(&transaction, key(), new.token, later).unwrap();
    transaction.commit().unwrap();
    assert_eq!(store.begin(key(), later, LEASE).await.unwrap(), Begin::Done);
    store.commit(key(), new.token, later).await.expect("the handler's own commit finds it done");
    let customers: String =
        mine.query_row("SELECT group_concat(email) FROM customers", [], |row| row.get(0)).unwrap();
    assert_eq!(customers, "two");
}

#[tokio::test]
async fn purges_in_batches_between_which_others_work() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let mine = rusqlite::Connection::open(&path).unwrap();
    mine.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1501)
         INSERT INTO agentflow_idempotency SELECT 'old' || i, i, 1000, 1000 FROM n",
    )
    .unwrap();
    let (purged, claim) = tokio::join!(store.purge(NOW), fresh(&store, NOW));
    assert_eq!(purged.unwrap(), 1501);
    store.commit(key(), claim.token, NOW).await.unwrap();
}

#[tokio::test]
async fn says_what_is_wrong_with_a_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    std::fs::write(&path, "certainly no database, but a text").unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(error.to_string().contains("file is not a database"), "{error}");
    assert!(SqliteStore::open(folder.path().join("missing/events.db")).await.is_err());
    let error = SqliteStore::open(":memory:").await.unwrap_err();
    assert!(error.to_string().contains("use a file on a local disk"), "{error}");
}

#[test]
fn is_opened_by_many_at_once() {
    let folder = TempDir::new().unwrap();
    for number in 0..20 {
        let path = folder.path().join(format!("{number}.db"));
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    start.wait();
                    runtime.block_on(SqliteStore::open(&path)).unwrap();
                });
            }
        });
    }
}

#[test]
fn waits_for_a_lock_without_holding_up_others_threads() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = std::sync::Arc::new(SqliteStore::open(&path).await.unwrap());
        let mine = rusqlite::Connection::open(&path).unwrap();
        mine.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move { store.begin(key(), NOW, LEASE).await.unwrap() })
            })
            .collect();
        // With one thread for each that waits, this would not run before the lock is given back.
        tokio::task::spawn_blocking(move || mine.execute_batch("COMMIT").unwrap()).await.unwrap();
        let mut fresh = 0;
        for one in waiting {
            fresh += usize::from(matches!(one.await.unwrap(), Begin::Fresh(_)));
        }
        assert_eq!(fresh, 1);
    });
}
