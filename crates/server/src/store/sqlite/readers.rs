//! A few reading connections, each used by one task at a time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{Semaphore, watch};

use super::schema;
use crate::store::StoreError;

/// Reads that run at the same time.
const READERS: usize = 4;

pub(super) struct Readers {
    path: PathBuf,
    /// Why the store has failed: it refuses everything then.
    failed: watch::Receiver<Option<String>>,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: &Path, failed: watch::Receiver<Option<String>>) -> Self {
        Self { path: path.to_owned(), failed, turns: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Runs `read` on a connection, on a thread that may wait.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Stopped("it is closed".to_owned());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(closed)?;
        if let Some(reason) = self.failed.borrow().clone() {
            return Err(StoreError::Stopped(reason));
        }
        let (path, idle, turns) = (self.path.clone(), Arc::clone(&self.idle), Arc::clone(&self.turns));
        let work = move || {
            let _turn = turn;
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match waiting {
                Some(connection) => connection,
                None => schema::open_reader(&path)?,
            };
            // One transaction: every statement of a read sees the same commit.
            let snapshot = connection.unchecked_transaction()?;
            let read = read(&snapshot)?;
            drop(snapshot);
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            // Closed meanwhile: the file is no longer this store's to hold.
            if !turns.is_closed() {
                idle.push(connection);
            }
            Ok(read)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(read) => read.map_err(|error: rusqlite::Error| StoreError::Backend(error.to_string())),
            Err(error) => Err(StoreError::Backend(error.to_string())),
        }
    }

    /// Lets no further read begin.
    pub(super) fn close(&self) {
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
