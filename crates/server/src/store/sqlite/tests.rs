//! The store's suite over this backend.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;

use super::SqliteStore;
use crate::record::Exchange;
use crate::store::suite::Harness;
use crate::store::{InboundLogFilter, PageRequest, Store};

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

/// A file as the first version of the server left it.
#[tokio::test]
async fn an_older_database_is_brought_up_to_date_and_knows_nothing_of_what_was_added_since() {
    let folder = TempDir::new().expect("a folder for the case");
    let path = folder.path().join("agentflow.db");
    let old = rusqlite::Connection::open(&path).expect("a new file");
    old.execute_batch(include_str!("0001.sql")).expect("the first schema");
    old.execute(
        "INSERT INTO inbound_log (id, workspace, at, status, reason, remote, body_bytes)
         VALUES (zeroblob(16), zeroblob(16), 1, 2, 'invalid_signature', '203.0.113.9', 2)",
        [],
    )
    .expect("a row");
    old.execute_batch(
        "INSERT INTO events VALUES (1, zeroblob(16), zeroblob(16), zeroblob(16), 'lead.qualified', 1, x'7b7d');
         INSERT INTO deliveries VALUES (1, zeroblob(16), zeroblob(16), 1, zeroblob(16), 1, NULL, 1, 1, 1);
         INSERT INTO attempts VALUES (1, 1, 5, 200, 7, NULL, 'thank you');",
    )
    .expect("an attempt");
    old.pragma_update(None, "application_id", 0x4167_466c).expect("its mark");
    old.pragma_update(None, "user_version", 1).expect("its version");
    drop(old);

    let store = open_in(folder.path());
    let (filter, page) = (InboundLogFilter::default(), PageRequest { cursor: None, limit: 10 });
    let workspace = agentflow_events::Id::from_bytes([0; 16]);
    let log = store.inbound_log(workspace, &filter, page).await.expect("it can be read");
    assert_eq!(log.items.len(), 1);
    assert_eq!(log.items[0].finding, None);
    let delivery = store.delivery(workspace, agentflow_events::Id::from_bytes([0; 16])).await;
    let attempts = delivery.expect("it can be read").expect("it is there").attempts;
    assert_eq!((attempts.len(), attempts[0].status), (1, Some(200)));
    assert_eq!(attempts[0].exchange, Exchange::default());
    store.close().await;
}

crate::store_suite!(InFolders::default());
