//! The embedded store: one SQLite file, one process.
//!
//! - One writer thread commits whatever waits as one transaction and answers after the sync (`synchronous=FULL`).
//! - Reads have connections of their own and never wait for the writer.
//! - Claims on deliveries are in memory: the process that holds the file's lock is the only one, and its end ends them.

mod accept;
mod accounts;
mod admin;
mod attempts;
mod backup;
mod checkpoint;
mod commit;
mod factors;
mod finish;
mod gathered;
mod hours;
mod insert;
mod job;
mod lock;
mod log;
mod needle;
mod operational;
mod overview;
mod query;
mod queue;
mod readers;
mod rows;
mod schema;
mod scored;
mod secrets;
mod session;
mod store;
mod upkeep;
mod withdraw;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

pub use self::backup::BackupError;
pub use self::checkpoint::Pace;
use self::checkpoint::{Checkpoints, Signals};
use self::job::Claims;
use self::lock::Lock;
use self::log::LogBuffer;
use self::readers::Readers;
use self::writer::Writer;
use super::StoreError;

/// A store in one SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    claims: Claims,
    log: Arc<LogBuffer>,
    /// Dropped with the store: the checkpoint thread ends.
    checkpoints: Mutex<Option<Checkpoints>>,
}

impl SqliteStore {
    /// Opens or creates the file, brings its schema up to date and takes its locks: of `<path>.lock`, and on Linux of the
    /// file itself, which holds where somebody deletes the former.
    ///
    /// # Errors
    /// Another process holds the lock; the file cannot be opened, is no database of this server, or of a newer one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::start(path, Pace::default(), |_| Ok(()))
    }

    /// As [`open`](Self::open), at another pace and with a last touch to the writing connection: for trials of what the
    /// store bears.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(any(test, feature = "suite"))]
    pub fn open_with(
        path: &Path,
        pace: Pace,
        touch: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, StoreError> {
        Self::start(path, pace, touch)
    }

    /// Looks now whether the log is worth moving, and returns when it was moved: for trials.
    #[cfg(any(test, feature = "suite"))]
    pub fn tend_log(&self) {
        if let Some(checkpoints) = &*self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner) {
            checkpoints.look();
        }
    }

    fn start(
        path: &Path,
        pace: Pace,
        touch: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, StoreError> {
        let backend = |error: rusqlite::Error| StoreError::Backend(error.to_string());
        let threads =
            |error: std::io::Error| StoreError::Backend(format!("no thread for the store: {error}"));
        let lock = Lock::take(path)?;
        let connection = schema::open_writer(path)?;
        touch(&connection).map_err(backend)?;

        let (fail, _) = watch::channel(None);
        let signals = Signals { restart: Arc::default(), fail: Arc::new(fail) };
        let checkpointer = schema::open_checkpointer(path).map_err(backend)?;
        let checkpoints = Checkpoints::start(checkpointer, pace, signals.clone()).map_err(threads)?;

        let failed = signals.fail.subscribe();
        let (claims, log) = (Claims::default(), Arc::new(LogBuffer::default()));
        let writer =
            Writer::start(connection, lock, claims.clone(), Arc::clone(&log), signals).map_err(threads)?;
        Ok(Self {
            writer,
            readers: Readers::new(path, failed),
            claims,
            log,
            checkpoints: Mutex::new(Some(checkpoints)),
        })
    }

    async fn close_all(&self) {
        let checkpoints = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It may be in the midst of one.
        tokio::task::spawn_blocking(move || drop(checkpoints)).await.ok();
        self.readers.close();
        self.writer.close().await;
    }
}

#[cfg(test)]
mod batches;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
