//! A copy of the database as it is at one moment, made while a server writes it.
//!
//! One read transaction copies every page, so the server's writer never waits for it; its log cannot begin anew meanwhile, and grows by
//! what is written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::lock::{hold, is_at};
use super::{SqliteStore, schema};
use crate::files::{beside, sync_folder};
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
    /// It is checked and synced before it has its name; until then it is `<to>.partial`, which goes where the copy fails, and which a
    /// later try removes where this one was killed. Answers its bytes.
    ///
    /// # Errors
    /// `from` is no database of this server, empty, or of a newer one; `to` or the log of a database of that name exists, or `to`
    /// cannot be written.
    pub fn back_up(from: &Path, to: &Path) -> Result<u64, BackupError> {
        let source = schema::open_source(from)?;
        let partial = beside(to, ".partial");
        refuse_existing(to)?;
        if is_same(from, &partial) {
            return Err(in_the_way());
        }
        let file = begin(&partial)?;
        let done = copy(&source, &partial).and_then(|()| finish(&file, &partial, to));
        if done.is_err() {
            // The first fault is the one to tell.
            let _ = fs::remove_file(&partial);
        }
        done
    }
}

/// A log beside the copy would be taken for the copy's own.
fn refuse_existing(to: &Path) -> Result<(), BackupError> {
    let names = ["", "-wal", "-journal"].map(|suffix| beside(to, suffix));
    if names.iter().any(|name| name.symlink_metadata().is_ok()) { Err(in_the_way()) } else { Ok(()) }
}

fn in_the_way() -> BackupError {
    BackupError::Copy(io::ErrorKind::AlreadyExists.into())
}

fn is_same(left: &Path, right: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|about| (about.dev(), about.ino())).ok();
    identity(left).is_some_and(|left| Some(left) == identity(right))
}

/// Makes the file that is to be filled, and locks it. What a killed backup has left under its name is removed, never written to.
fn begin(partial: &Path) -> Result<File, BackupError> {
    let in_use = || StoreError::Unusable(format!("{} is in use by another backup", partial.display()));
    loop {
        match OpenOptions::new().create_new(true).write(true).mode(0o600).open(partial) {
            Ok(file) => {
                file.try_lock().map_err(|_| in_use())?;
                // Another backup may have taken it for one that was left.
                if is_at(&file, partial).map_err(BackupError::Copy)? {
                    return Ok(file);
                }
            }
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
                let about = partial.symlink_metadata();
                if about.is_ok_and(|about| !about.is_file()) {
                    return Err(in_the_way());
                }
                let left = hold(partial).map_err(BackupError::Copy)?;
                let _held = left.ok_or_else(in_use)?;
                fs::remove_file(partial).map_err(BackupError::Copy)?;
            }
            Err(fault) => return Err(BackupError::Copy(fault)),
        }
    }
}

/// Fills the file and reads it through.
fn copy(source: &Connection, partial: &Path) -> Result<(), BackupError> {
    let failed = |error: rusqlite::Error| {
        if schema::is_full(&error) {
            return BackupError::Copy(io::ErrorKind::StorageFull.into());
        }
        StoreError::Backend(format!("copying: {error}")).into()
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(partial, flags).map_err(failed)?;
    // What is broken off has no name yet, and the file is synced as a whole.
    target.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
    target.pragma_update(None, "journal_mode", "OFF").map_err(failed)?;
    // Never in pieces: each of them would begin anew where the server has written meanwhile.
    let step = Backup::new(source, &mut target).and_then(|backup| backup.step(-1)).map_err(failed)?;
    if step != StepResult::Done {
        return Err(StoreError::Backend(format!("copying: the database is {step:?}")).into());
    }
    // The copied header tells of a log beside the file.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    let checked: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if checked != "ok" {
        return Err(StoreError::Unusable(format!("the database is damaged: {checked}")).into());
    }
    target.close().map_err(|(_, error)| failed(error))
}

/// Gives the copy its name, for good.
fn finish(file: &File, partial: &Path, to: &Path) -> Result<u64, BackupError> {
    let finished = || {
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        fs::rename(partial, to)?;
        sync_folder(to)?;
        Ok(bytes)
    };
    refuse_existing(to)?;
    finished().map_err(BackupError::Copy)
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
        std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o666)).expect("ours");
        SqliteStore::back_up(&from, &to).expect("copied");
        let mode = to.metadata().expect("it is there").permissions().mode();
        assert_eq!((mode & 0o777, partial.exists()), (0o600, false));
        assert_eq!(rows_in(&to, workspace).await, 3);
    }

    #[tokio::test]
    async fn nothing_else_is_written_to_or_taken_for_a_part_of_the_copy() {
        let (folder, workspace) = (Folder::new(), mint(Clock::system().now()));
        let (from, to) = (folder.file("a.partial"), folder.file("a"));
        let store = SqliteStore::open(&from).expect("a new store opens");
        written(&store, workspace, 3).await;
        store.close().await;
        drop(store);
        let refused = |to: &Path| matches!(SqliteStore::back_up(&from, to), Err(BackupError::Copy(_)));
        assert!(refused(&to), "the source has the name of what is to be filled");

        let (to, victim) = (folder.file("copy.db"), folder.file("victim"));
        std::fs::write(&victim, "mine").expect("writable");
        std::os::unix::fs::symlink(&victim, beside(&to, ".partial")).expect("writable");
        assert!(refused(&to));
        assert_eq!(std::fs::read(&victim).expect("readable"), b"mine");

        let to = folder.file("again.db");
        std::fs::write(beside(&to, "-wal"), "of another database").expect("writable");
        assert!(refused(&to));
        assert!(!to.exists());
        assert_eq!(rows_in(&from, workspace).await, 3);
    }

    #[tokio::test]
    async fn what_is_no_database_of_the_server_or_damaged_is_not_copied() {
        let folder = Folder::new();
        let refused = |from: &Path| {
            let to = folder.file("copy.db");
            let refused = SqliteStore::back_up(from, &to);
            assert!(!to.exists() && !beside(&to, ".partial").exists());
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
        std::fs::write(&from, "").expect("writable");
        assert!(refused(&from).contains("empty"));
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
