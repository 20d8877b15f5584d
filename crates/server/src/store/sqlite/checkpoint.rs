//! Moves the write-ahead log into the main file, on a thread and connection of its own, so that no commit waits for it.
//!
//! The log's file keeps its size: a log that begins anew is written over the old one, which costs half of what it does to
//! write and sync a file that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Pages that wait in the log before they are moved: those that change often are then moved once, not each time.
const WAITING_MIN: u32 = 4_096;
/// Pages in a log, 64 MiB, that has grown behind a writer that never pauses: the writer itself begins it anew.
const LOG_MAX: u32 = 16_384;
/// Pages that the writer may have to move when it begins the log anew.
const LEFT_TO_WRITER: u32 = 512;
/// Tries to leave the writer no more than that.
const PASSES_MAX: usize = 5;
/// What is kept of the log's file when it begins anew.
pub(super) const LOG_BYTES_KEPT: u32 = 2 * LOG_MAX * 4_096;

/// What the checkpoint thread and the writer tell each other.
#[derive(Clone)]
pub(super) struct Signals {
    /// The writer shall begin the log anew before its next batch.
    pub(super) restart: Arc<AtomicBool>,
    /// Why the store has failed.
    pub(super) fail: Arc<watch::Sender<Option<String>>>,
}

/// Pages in the log, and how many of them have been moved.
#[derive(Clone, Copy, Default)]
pub(super) struct Log {
    pages: u32,
    moved: u32,
}

impl Log {
    fn waiting(self) -> u32 {
        self.pages.saturating_sub(self.moved)
    }
}

/// The thread; its drop waits for it, so that the file is free for whoever opens it next.
pub(super) struct Checkpoints {
    /// Taken to end the thread.
    running: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Checkpoints {
    pub(super) fn start(connection: Connection, signals: Signals) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&connection, &stopped, &signals))?;
        Ok(Self { running: Some((stop, thread)) })
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // One that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// Runs until the other end of `stop` is dropped. A failed sync fails the store: nobody may believe that the log is in the
/// main file.
fn run(connection: &Connection, stop: &Receiver<()>, signals: &Signals) {
    while stop.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        match look(connection) {
            Ok(restart) => {
                if restart {
                    signals.restart.store(true, Ordering::Release);
                }
            }
            Err(reason) => {
                let _ = signals.fail.send(Some(reason));
                return;
            }
        }
    }
}

/// Moves what waits, if it is worth it. Answers whether the log has to begin anew.
fn look(connection: &Connection) -> Result<bool, String> {
    if checkpoint(connection, "NOOP")?.waiting() < WAITING_MIN {
        return Ok(false);
    }
    let mut log = checkpoint(connection, "PASSIVE")?;
    if log.pages < LOG_MAX {
        return Ok(false);
    }
    // A pass does not move what is written meanwhile; the next one is shorter.
    for _ in 1..PASSES_MAX {
        if checkpoint(connection, "NOOP")?.waiting() <= LEFT_TO_WRITER {
            break;
        }
        log = checkpoint(connection, "PASSIVE")?;
    }
    // Moved to its end, it begins anew by itself.
    Ok(log.pages >= LOG_MAX)
}

/// One checkpoint; a busy database is no failure.
///
/// # Errors
/// Why the store cannot be trusted any more.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> Result<Log, String> {
    let done = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        // -1: there is no log.
        let pages = |column| row.get::<_, i64>(column).map(|pages| u32::try_from(pages).unwrap_or(0));
        Ok(Log { pages: pages(1)?, moved: pages(2)? })
    });
    match done {
        Ok(log) => Ok(log),
        // A full disk leaves the log as it is: nothing is lost, and commits will say so themselves.
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
            ) =>
        {
            Ok(Log::default())
        }
        Err(error) => Err(format!("the database could not be synced: {error}")),
    }
}
