//! The embedded store: one SQLite file, one process.
//!
//! - One writer thread commits whatever waits as one transaction and answers after the sync (`synchronous=FULL`).
//! - Reads have connections of their own and never wait for the writer.
//! - Claims on deliveries are in memory: the process that holds the file's lock is the only one, and its end ends them.

mod accept;
mod admin;
mod attempts;
mod checkpoint;
mod commit;
mod log;
mod query;
mod queue;
mod readers;
mod rows;
mod schema;
mod store;
mod upkeep;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use self::checkpoint::{Checkpoints, Signals};
use self::log::LogBuffer;
use self::readers::Readers;
use self::writer::{Claims, Writer};
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
    /// Opens or creates the file, brings its schema up to date and takes its lock, `<path>.lock`.
    ///
    /// # Errors
    /// Another process holds the lock; the file cannot be opened, is no database of this server, or of a newer one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, |_| Ok(()))
    }

    /// As [`open`](Self::open), with a last touch to the writing connection; tests limit its pages.
    fn open_with(
        path: &Path,
        touch: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, StoreError> {
        let backend = |error: rusqlite::Error| StoreError::Backend(error.to_string());
        let threads =
            |error: std::io::Error| StoreError::Backend(format!("no thread for the store: {error}"));
        let lock = lock(path)?;
        let connection = schema::open_writer(path)?;
        touch(&connection).map_err(backend)?;

        let (fail, _) = watch::channel(None);
        let signals = Signals { restart: Arc::default(), fail: Arc::new(fail) };
        let checkpointer = schema::open_checkpointer(path).map_err(backend)?;
        let checkpoints = Checkpoints::start(checkpointer, signals.clone()).map_err(threads)?;

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

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = beside(path, ".lock");
    let failed = |error: &std::io::Error| StoreError::Backend(format!("{}: {error}", lock_path.display()));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Backend(format!(
            "{} is in use by another server; stop that one first, or use another data folder",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
