//! A few reading connections, each used by one task at a time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema;
use crate::store::StoreError;

/// Reads that run at the same time.
const READERS: usize = 4;

pub(super) struct Readers {
    path: PathBuf,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), turns: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Runs `read` on a connection, on a thread that may wait.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Stopped("it is closed".to_owned());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(closed)?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let work = move || {
            let _turn = turn;
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match waiting {
                Some(connection) => connection,
                None => schema::open_reader(&path)?,
            };
            let read = read(&connection)?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
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
