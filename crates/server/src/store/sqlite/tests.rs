//! The store's suite over this backend.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;

use super::SqliteStore;
use crate::store::Store;
use crate::store::suite::Harness;

/// Each store in a folder of its own, which goes with the case.
#[derive(Default)]
struct InFolders(Mutex<Vec<TempDir>>);

fn open_in(folder: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(&folder.join("agentflow.db")).expect("a store opens in a folder of its own"))
}

#[async_trait]
impl Harness for InFolders {
    async fn open(&self) -> Arc<dyn Store> {
        let folder = TempDir::new().expect("a folder for the case");
        let store = open_in(folder.path());
        self.0.lock().expect("no case panics while it holds the lock").push(folder);
        store
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        store.close().await;
        drop(store);
        let folders = self.0.lock().expect("no case panics while it holds the lock");
        open_in(folders.last().expect("a store was opened before").path())
    }
}

crate::store_suite!(InFolders::default());
