//! A copy of the database as it is at one moment, made while a server writes it.
//!
//! One read transaction copies every page, so the server's writer never waits for it; its log cannot begin anew meanwhile, and grows by
//! what is written.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::lock::{beside, hold};
use super::{SqliteStore, schema};
use crate::store::StoreError;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The database, or what was copied of it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy's file.
    #[error("the copy cannot be written: {0}")]
    Copy(io::Error),
}

impl SqliteStore {
    /// Copies the database at `from`, which a server may be writing, into the new file `to` (0600): every commit of before is in it.
    /// It is checked and synced before it has its name; until then it is `<to>.partial`, which a later try writes over. Answers its
    /// bytes.
    ///
    /// # Errors
    /// `from` is no database of this server or of a newer one; `to` exists, or cannot be written.
    pub fn back_up(from: &Path, to: &Path) -> Result<u64, BackupError> {
        let source = schema::open_source(from)?;
        refuse_existing(to)?;
        let partial = beside(to, ".partial");
        let in_use = || StoreError::Unusable(format!("{} is in use by another backup", partial.display()));
        let file = hold(&partial).map_err(BackupError::Copy)?.ok_or_else(in_use)?;
        // What a try that was broken off has left.
        file.set_len(0).map_err(BackupError::Copy)?;
        copy(&source, &partial)?;
        file.sync_all().map_err(BackupError::Copy)?;
        let bytes = file.metadata().map_err(BackupError::Copy)?.len();
        refuse_existing(to)?;
        fs::rename(&partial, to).map_err(BackupError::Copy)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        synced.map_err(BackupError::Copy)?;
        Ok(bytes)
    }
}

fn refuse_existing(to: &Path) -> Result<(), BackupError> {
    match to.symlink_metadata() {
        Ok(_) => Err(BackupError::Copy(io::ErrorKind::AlreadyExists.into())),
        Err(_) => Ok(()),
    }
}

/// Fills the file and reads it through.
fn copy(source: &Connection, partial: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| {
        if schema::is_full(&error) {
            return StoreError::DiskFull;
        }
        StoreError::Backend(format!("copying: {error}"))
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(partial, flags).map_err(failed)?;
    // What is broken off has no name yet, and the file is synced as a whole.
    target.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
    target.pragma_update(None, "journal_mode", "OFF").map_err(failed)?;
    // Never in pieces: each of them would begin anew where the server has written meanwhile.
    let step = Backup::new(source, &mut target).and_then(|backup| backup.step(-1)).map_err(failed)?;
    if step != StepResult::Done {
        return Err(StoreError::Backend(format!("copying: the database is {step:?}")));
    }
    // The copied header tells of a log beside the file.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    let checked: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if checked != "ok" {
        return Err(StoreError::Unusable(format!("the database is damaged: {checked}")));
    }
    target.close().map_err(|(_, error)| failed(error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use agentflow_events::{OperatorId, WorkspaceId};
    use rusqlite::Connection;

    use super::{BackupError, beside, hold};
    use crate::clock::Clock;
    use crate::id::mint;
    use crate::record::{Actor, AuditRow};
    use crate::store::sqlite::{Pace, SqliteStore};
    use crate::store::{AdminStore, Store, StoreError};

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
    }

    fn row(workspace_id: WorkspaceId, subject: usize) -> AuditRow {
        let now = Clock::system().now();
        let operator_id: OperatorId = mint(now);
        AuditRow::new(Actor { workspace_id, operator_id }, now, "write", subject)
    }

    async fn written(store: &SqliteStore, workspace: WorkspaceId, rows: usize) {
        for number in 0..rows {
            store.audit(row(workspace, number)).await.expect("writable");
        }
    }

    async fn rows_in(path: &Path, workspace: WorkspaceId) -> usize {
        let store = SqliteStore::open(path).expect("a copy opens");
        let rows = store.audit_rows(workspace, 1_000_000).await.expect("readable").len();
        store.close().await;
        rows
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_made_while_the_store_is_written_has_all_that_was_acknowledged_before() {
        let (folder, workspace) = (Folder::new(), mint(Clock::system().now()));
        let store = Arc::new(SqliteStore::open(&folder.file("a.db")).expect("a new store opens"));
        let (acknowledged, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (store, acknowledged, ends) =
                    (Arc::clone(&store), Arc::clone(&acknowledged), Arc::clone(&ends));
                tokio::spawn(async move {
                    while !ends.load(Ordering::Acquire) {
                        store.audit(row(workspace, 0)).await.expect("writable");
                        acknowledged.fetch_add(1, Ordering::AcqRel);
                    }
                })
            })
            .collect();
        for round in 0..5 {
            let (from, to) = (folder.file("a.db"), folder.file(&format!("{round}.db")));
            let before = acknowledged.load(Ordering::Acquire);
            let copied = to.clone();
            let bytes = tokio::task::spawn_blocking(move || SqliteStore::back_up(&from, &copied)).await;
            let bytes = bytes.expect("no task panics").expect("copied");
            let about = to.metadata().expect("it is there");
            assert_eq!((about.len(), about.permissions().mode() & 0o777), (bytes, 0o600));
            assert!(rows_in(&to, workspace).await >= before);
            assert!(!beside(&to, ".partial").exists());
        }
        ends.store(true, Ordering::Release);
        for writer in writers {
            writer.await.expect("no task panics");
        }
    }

    #[tokio::test]
    async fn what_a_killed_server_has_left_in_its_log_is_in_the_copy() {
        let (folder, workspace) = (Folder::new(), mint(Clock::system().now()));
        let store = SqliteStore::open(&folder.file("a.db")).expect("a new store opens");
        written(&store, workspace, 9).await;
        for suffix in ["", "-wal"] {
            let path = folder.file("a.db");
            let killed = beside(&folder.file("killed.db"), suffix);
            std::fs::copy(beside(&path, suffix), killed).expect("copied");
        }
        SqliteStore::back_up(&folder.file("killed.db"), &folder.file("copy.db")).expect("copied");
        assert_eq!(rows_in(&folder.file("copy.db"), workspace).await, 9);
    }

    #[tokio::test]
    async fn while_somebody_reads_for_long_commits_go_on_and_the_log_begins_anew_afterwards() {
        let (folder, workspace) = (Folder::new(), mint(Clock::system().now()));
        let path = folder.file("a.db");
        let pace = Pace { every: Duration::from_secs(3_600), waiting_min: 1, log_max: 8 };
        let store = SqliteStore::open_with(&path, pace, |_| Ok(())).expect("a new store opens");
        written(&store, workspace, 5).await;
        let reader = Connection::open(&path).expect("a second connection");
        reader.execute_batch("BEGIN; SELECT count(*) FROM audit;").expect("readable");
        for _ in 0..3 {
            store.tend_log();
            written(&store, workspace, 5).await;
        }
        let log = || {
            let read = |row: &rusqlite::Row<'_>| row.get::<_, u32>(1);
            reader.query_row("PRAGMA wal_checkpoint(NOOP)", [], read)
        };
        reader.execute_batch("COMMIT").expect("it read");
        let grown = log().expect("readable");
        store.tend_log();
        written(&store, workspace, 1).await;
        assert!(log().expect("readable") < grown, "begun anew");
        assert_eq!(store.audit_rows(workspace, 100).await.expect("readable").len(), 21);
    }

    #[tokio::test]
    async fn what_is_there_is_never_written_over_and_what_is_left_of_a_try_is() {
        let (folder, workspace) = (Folder::new(), mint(Clock::system().now()));
        let (from, to) = (folder.file("a.db"), folder.file("copy.db"));
        let store = SqliteStore::open(&from).expect("a new store opens");
        written(&store, workspace, 3).await;
        for there in [&from, &folder.0.path().to_owned()] {
            let refused = SqliteStore::back_up(&from, there);
            let Err(BackupError::Copy(fault)) = refused else { panic!("{refused:?}") };
            assert_eq!(fault.kind(), std::io::ErrorKind::AlreadyExists);
        }
        let partial = beside(&to, ".partial");
        std::fs::write(&partial, "half of something").expect("writable");
        let other = hold(&partial).expect("writable").expect("nobody has it");
        let refused = SqliteStore::back_up(&from, &to);
        assert!(
            matches!(&refused, Err(BackupError::Store(StoreError::Unusable(why))) if why.contains("another backup")),
            "{refused:?}"
        );
        drop(other);
        SqliteStore::back_up(&from, &to).expect("copied");
        assert_eq!(rows_in(&to, workspace).await, 3);
    }

    #[tokio::test]
    async fn what_is_no_database_of_the_server_or_damaged_is_not_copied() {
        let folder = Folder::new();
        let refused = |from: &Path| {
            let to = folder.file("copy.db");
            let refused = SqliteStore::back_up(from, &to);
            assert!(!to.exists());
            let Err(BackupError::Store(StoreError::Unusable(why))) = refused else { panic!("{refused:?}") };
            why
        };
        let other = folder.file("other.db");
        Connection::open(&other).and_then(|sql| sql.execute_batch("CREATE TABLE t (a)")).expect("writable");
        assert!(refused(&other).contains("another program"));
        std::fs::write(&other, "not a database, but some text of more than a hundred bytes ".repeat(9))
            .expect("writable");
        assert!(refused(&other).contains("not a database"));
        let from = folder.file("a.db");
        let store = SqliteStore::open(&from).expect("a new store opens");
        store.close().await;
        drop(store);
        let mut bytes = std::fs::read(&from).expect("readable");
        bytes[4_096..5 * 4_096].fill(0xa5);
        std::fs::write(&from, bytes).expect("writable");
        let why = refused(&from);
        assert!(why.contains("damaged") || why.contains("malformed"), "{why}");
    }
}
