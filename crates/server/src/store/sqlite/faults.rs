//! What only a file can do: run full, be locked, be somebody else's, fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use agentflow_events::{Moment, WorkspaceId};
use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Pace, SqliteStore};
use crate::id::mint;
use crate::record::AuditRow;
use crate::store::{AdminStore, Store, StoreError};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("agentflow.db")
    }
}

fn now() -> Moment {
    Moment::from_unix_millis(1_770_000_000_000)
}

fn audit(workspace_id: WorkspaceId, action: &str, subject_bytes: usize) -> AuditRow {
    AuditRow {
        id: mint(now()),
        workspace_id,
        at: now(),
        operator_id: mint(now()),
        action: action.to_owned(),
        subject: "s".repeat(subject_bytes),
        changes: Vec::new(),
    }
}

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(StoreError::Unusable(sentence)) => sentence,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{} must not open", path.display()),
    }
}

/// Keeps the writer busy until the sender is dropped, so that what comes meanwhile is one batch.
pub(super) async fn hold(
    store: &Arc<SqliteStore>,
) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (gate, opened) = channel::<()>();
    let (begun, running) = tokio::sync::oneshot::channel();
    let store = Arc::clone(store);
    let mut begun = Some(begun);
    let held = tokio::spawn(async move {
        let busy = store.writer.write(move |_| {
            if let Some(begun) = begun.take() {
                let _ = begun.send(());
            }
            let _ = opened.recv();
            Ok(())
        });
        busy.await.expect("an operation that does nothing succeeds");
    });
    running.await.expect("the writer begins it");
    (gate, held)
}

#[tokio::test]
async fn a_full_disk_refuses_the_write_alone_and_goes_on_once_there_is_room() {
    let folder = Folder::new();
    let limit = |connection: &Connection| {
        let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        connection.pragma_update(None, "max_page_count", pages + 8)
    };
    let store = SqliteStore::open_with(&folder.path(), Pace::default(), limit).expect("a new store opens");
    let workspace = mint(now());
    store.audit(audit(workspace, "small", 10)).await.expect("there is room");
    let answer = store.audit(audit(workspace, "large", 1_000_000)).await;
    assert!(matches!(answer, Err(StoreError::DiskFull)), "{answer:?}");
    assert_eq!(store.audit_rows(workspace, 10).await.expect("readable").len(), 1);
    store.audit(audit(workspace, "small again", 10)).await.expect("a small one still fits");

    let room = |tx: &mut super::job::Tx<'_>| tx.sql.pragma_update(None, "max_page_count", 100_000);
    store.writer.write(room).await.expect("the limit is raised");
    store.audit(audit(workspace, "large", 1_000_000)).await.expect("there is room now");
    store.close().await;

    let store = SqliteStore::open(&folder.path()).expect("a closed store opens again");
    let actions: Vec<_> =
        store.audit_rows(workspace, 10).await.expect("readable").into_iter().map(|row| row.action).collect();
    assert_eq!(actions, ["large", "small again", "small"]);
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.path()).expect("a new store opens");
    let sentence = refusal(&folder.path());
    assert!(sentence.contains("in use by another server"), "{sentence}");
    store.check_writable().await.expect("the first one goes on");
    store.close().await;
    SqliteStore::open(&folder.path()).expect("the lock is free");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_second_server_is_refused_though_the_lock_file_was_deleted() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.path()).expect("a new store opens");
    std::fs::remove_file(crate::files::beside(&folder.path(), ".lock")).expect("the lock file is there");
    let sentence = refusal(&folder.path());
    assert!(sentence.contains("in use by another server"), "{sentence}");
    store.check_writable().await.expect("the first one goes on");
    store.close().await;
    SqliteStore::open(&folder.path()).expect("the lock is free");
}

#[test]
fn the_caller_names_the_path_of_a_database_that_does_not_open_once() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).expect("a folder in its place");
    let sentence = refusal(&folder.path());
    assert!(!sentence.contains("agentflow.db"), "{sentence}");
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let foreign = Connection::open(folder.path()).expect("a database");
    foreign
        .execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')")
        .expect("writable");
    drop(foreign);
    let before = std::fs::read(folder.path()).expect("readable");
    let sentence = refusal(&folder.path());
    assert!(sentence.contains("another program"), "{sentence}");
    assert!(before == std::fs::read(folder.path()).expect("readable"), "the file was changed");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let folder = Folder::new();
    SqliteStore::open(&folder.path()).expect("a new store opens").close().await;
    Connection::open(folder.path())
        .and_then(|newer| newer.pragma_update(None, "user_version", 1_000))
        .expect("the version is set");
    let sentence = refusal(&folder.path());
    assert!(sentence.contains("newer version"), "{sentence}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.path(), "a shopping list\n".repeat(400)).expect("writable");
    let sentence = refusal(&folder.path());
    assert!(sentence.contains("cannot be used as the database"), "{sentence}");
}

/// Makes the commit fail of each transaction that writes an audit row `fault`.
fn fail_commits(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE fault_parent (id INTEGER PRIMARY KEY);
         CREATE TABLE fault_child (parent REFERENCES fault_parent (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TEMP TRIGGER fault AFTER INSERT ON main.audit WHEN new.action = 'fault'
             BEGIN INSERT INTO fault_child VALUES (7); END;",
    )
}

#[tokio::test]
async fn a_failing_commit_stops_the_store_for_good() {
    let folder = Folder::new();
    let store =
        SqliteStore::open_with(&folder.path(), Pace::default(), fail_commits).expect("a new store opens");
    let workspace = mint(now());
    store.audit(audit(workspace, "before", 1)).await.expect("writable");
    let answer = store.audit(audit(workspace, "fault", 1)).await;
    assert!(matches!(answer, Err(StoreError::Stopped(_))), "{answer:?}");
    let reason = store.failed().await;
    assert!(reason.contains("could not be written"), "{reason}");
    for answer in [store.audit(audit(workspace, "after", 1)).await, store.check_writable().await] {
        assert!(matches!(answer, Err(StoreError::Stopped(why)) if why == reason));
    }
    let read = store.audit_rows(workspace, 10).await;
    assert!(matches!(read, Err(StoreError::Stopped(why)) if why == reason), "it refuses to be read, too");
    store.close().await;

    let store = SqliteStore::open(&folder.path()).expect("a failed store opens again");
    let rows = store.audit_rows(workspace, 10).await.expect("readable");
    assert_eq!(rows.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(), ["before"]);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_any_more_stops() {
    let folder = Folder::new();
    let read_only = |connection: &Connection| connection.pragma_update(None, "query_only", true);
    let store =
        SqliteStore::open_with(&folder.path(), Pace::default(), read_only).expect("a new store opens");
    assert!(matches!(store.check_writable().await, Err(StoreError::Stopped(_))));
    assert!(store.failed().await.contains("could not be written"));
}

#[tokio::test]
async fn a_writer_that_dies_stops_the_store() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.path()).expect("a new store opens");
    let answer: Result<(), _> = store.writer.write(|_| panic!("on purpose")).await;
    assert!(matches!(answer, Err(StoreError::Stopped(_))), "{answer:?}");
    assert!(store.failed().await.contains("writer"));
    assert!(matches!(store.check_writable().await, Err(StoreError::Stopped(_))));
    store.close().await;
}

#[tokio::test]
async fn another_program_that_locks_the_file_is_not_a_full_disk() {
    let folder = Folder::new();
    let impatient = |connection: &Connection| connection.busy_timeout(Duration::ZERO);
    let store =
        SqliteStore::open_with(&folder.path(), Pace::default(), impatient).expect("a new store opens");
    let other = Connection::open(folder.path()).expect("a second connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock is free");
    let answer = store.check_writable().await;
    assert!(matches!(answer, Err(StoreError::Overloaded)), "{answer:?}");
    other.execute_batch("ROLLBACK").expect("nothing was written");
    store.check_writable().await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_together_is_all_on_the_disk() {
    let folder = Folder::new();
    let store = Arc::new(SqliteStore::open(&folder.path()).expect("a new store opens"));
    let workspace = mint(now());
    let writes = (0..600).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.audit(audit(workspace, "write", 1)).await })
    });
    for answer in join_all(writes).await {
        answer.expect("no task panics").expect("writable");
    }
    // As a crash would leave it: the write-ahead log is not moved into the file.
    let copy = Folder::new();
    for suffix in ["", "-wal"] {
        std::fs::copy(
            crate::files::beside(&folder.path(), suffix),
            crate::files::beside(&copy.path(), suffix),
        )
        .expect("copied");
    }
    let copied = SqliteStore::open(&copy.path()).expect("a copy opens");
    assert_eq!(copied.audit_rows(workspace, 1_000).await.expect("readable").len(), 600);
}

#[tokio::test]
async fn a_bad_write_in_a_batch_fails_alone() {
    let folder = Folder::new();
    let store = Arc::new(SqliteStore::open(&folder.path()).expect("a new store opens"));
    let workspace = mint(now());
    let (gate, held) = hold(&store).await;
    let bad = store.writer.write(|tx| {
        tx.sql.execute("INSERT INTO upkeep (task, seq) VALUES ('half', 1)", [])?;
        tx.claim(mint(now()), super::job::Place { seq: 1, created_at: now() });
        tx.sql.execute("INSERT INTO no_such_table VALUES (1)", []).map(|_| ())
    });
    let writes = join_all((0..5).map(|_| store.audit(audit(workspace, "write", 1))));
    let last = store.audit(audit(workspace, "last", 1));
    let release = async {
        drop(gate);
        held.await.expect("no task panics");
    };
    let (writes, bad, last, ()) = futures_util::future::join4(writes, bad, last, release).await;
    assert!(writes.into_iter().chain([last]).all(|answer| answer.is_ok()));
    assert!(matches!(bad, Err(StoreError::Backend(ref why)) if why.contains("no_such_table")), "{bad:?}");
    assert_eq!(store.audit_rows(workspace, 10).await.expect("readable").len(), 6);
    assert!(store.claims.lock().is_empty());
    let halves = store
        .readers
        .read(|sql| sql.query_row("SELECT count(*) FROM upkeep", [], |row| row.get::<_, i64>(0)));
    assert_eq!(halves.await.expect("readable"), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_further_writes_and_then_goes_on() {
    let folder = Folder::new();
    let store = Arc::new(SqliteStore::open(&folder.path()).expect("a new store opens"));
    let workspace = mint(now());
    let (gate, held) = hold(&store).await;
    let writes = join_all((0..5_000).map(|_| store.audit(audit(workspace, "write", 1))));
    let release = async {
        drop(gate);
        held.await.expect("no task panics");
    };
    let (answers, ()) = futures_util::future::join(writes, release).await;
    let refused = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Overloaded))).count();
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(stored + refused, 5_000);
    assert!(refused > 0);
    assert_eq!(store.audit_rows(workspace, 5_000).await.expect("readable").len(), stored);
    store.check_writable().await.expect("it goes on");
}
