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

use super::schema::is_full;

/// Pages in a log, 64 MiB, that has grown behind a writer that never pauses.
const LOG_MAX: u32 = 16_384;
/// Pages that the writer may have to move when it begins the log anew.
const LEFT_TO_WRITER: u32 = 512;
/// Tries to leave the writer no more than that.
const PASSES_MAX: usize = 5;
/// What is kept of the log's file when it begins anew.
pub(super) const LOG_BYTES_KEPT: u32 = 2 * LOG_MAX * 4_096;

/// When the log is moved.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often the log is looked at.
    pub every: Duration,
    /// Pages that wait in the log before they are moved: those that change often are then moved once, not each time.
    pub waiting_min: u32,
    /// Pages in a log that has grown too long: the writer itself begins it anew.
    pub log_max: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { every: Duration::from_millis(250), waiting_min: 4_096, log_max: LOG_MAX }
    }
}

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
    /// Taken to end the thread. What is sent is dropped once the log was looked at.
    running: Option<(SyncSender<SyncSender<()>>, JoinHandle<()>)>,
}

impl Checkpoints {
    pub(super) fn start(connection: Connection, pace: Pace, signals: Signals) -> std::io::Result<Self> {
        let (requests, inbox) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&connection, pace, &inbox, &signals))?;
        Ok(Self { running: Some((requests, thread)) })
    }

    /// Lets the thread look at the log now, and waits until it has.
    #[cfg(any(test, feature = "suite"))]
    pub(super) fn look(&self) {
        let (done, seen) = sync_channel(0);
        if let Some((requests, _)) = &self.running
            && requests.send(done).is_ok()
        {
            // Its end is the answer.
            let _ = seen.recv();
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some((requests, thread)) = self.running.take() {
            drop(requests);
            // One that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// Runs until the other end of `inbox` is dropped. A failed sync fails the store: nobody may believe that the log is in the
/// main file.
fn run(connection: &Connection, pace: Pace, inbox: &Receiver<SyncSender<()>>, signals: &Signals) {
    loop {
        let _asked = match inbox.recv_timeout(pace.every) {
            Ok(asked) => Some(asked),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match look(connection, pace) {
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
fn look(connection: &Connection, pace: Pace) -> Result<bool, String> {
    if checkpoint(connection, "NOOP")?.waiting() < pace.waiting_min {
        return Ok(false);
    }
    let mut log = checkpoint(connection, "PASSIVE")?;
    if log.pages < pace.log_max {
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
    Ok(log.pages >= pace.log_max)
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
            if is_full(&error)
                || matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                ) =>
        {
            Ok(Log::default())
        }
        Err(error) => Err(format!("the database could not be synced: {error}")),
    }
}
