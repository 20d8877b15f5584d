//! Moves the write-ahead log into the main file, on a thread and connection of its own, so that no commit waits for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

/// How often the log's size is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Smaller logs are left alone: pages that change often are then moved once, not each time.
const WAL_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// A log that has grown this far behind a writer that never pauses: the writer itself begins it anew.
const WAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// To what a log that begins anew is cut, so that its size tells how much is in it.
pub(super) const WAL_BYTES_KEPT: u64 = 4 * 1024 * 1024;

/// What the checkpoint thread and the writer tell each other.
#[derive(Clone)]
pub(super) struct Signals {
    /// The writer shall begin the log anew before its next batch.
    pub(super) restart: Arc<AtomicBool>,
    /// Why the store has failed.
    pub(super) fail: Arc<watch::Sender<Option<String>>>,
}

/// Runs until the other end of `stop` is dropped. A failed sync fails the store: nobody may believe that the log is in the
/// main file.
pub(super) fn run(connection: &Connection, wal: &Path, stop: &Receiver<()>, signals: &Signals) {
    while stop.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let bytes = std::fs::metadata(wal).map_or(0, |found| found.len());
        if bytes < WAL_BYTES_MIN {
            continue;
        }
        if let Err(reason) = checkpoint(connection, "PASSIVE") {
            let _ = signals.fail.send(Some(reason));
            return;
        }
        if bytes > WAL_BYTES_MAX {
            signals.restart.store(true, Ordering::Release);
        }
    }
}

/// One checkpoint; a busy database is no failure.
///
/// # Errors
/// Why the store cannot be trusted any more.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> Result<(), String> {
    let done = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
    match done {
        Err(error)
            if !matches!(
                error.sqlite_error_code(),
                // A full disk leaves the log as it is: nothing is lost, and commits will say so themselves.
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
            ) =>
        {
            Err(format!("the database could not be synced: {error}"))
        }
        _ => Ok(()),
    }
}
