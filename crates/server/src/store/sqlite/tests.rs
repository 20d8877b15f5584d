//! The store's suite over this backend.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentflow_events::{EventType, Id, Moment};
use async_trait::async_trait;
use rusqlite::{Connection, StatementStatus, params};
use tempfile::TempDir;

use super::{SqliteStore, queue};
use crate::directory::sha256;
use crate::record::{DeliveryState, Exchange, LeadState};
use crate::store::suite::Harness;
use crate::store::{
    DeliveryFilter, InboundLogFilter, LeadFilter, Page, PageRequest, Seen, SeenQuery, Step, Store, StoreError,
};

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
    let body = sha256(&[[0; 16].as_slice(), &sha256(b"{}")].concat());
    old.execute_batch(
        "INSERT INTO leads (seq, id, workspace, version, state, email_identity, email, name, fields, received_at)
         VALUES (7, zeroblob(16), zeroblob(16), 1, 2, 'ada@a.example', 'Ada@a.example', 'Ada', '{}', 1);",
    )
    .expect("a lead");
    old.execute(
        "INSERT INTO submissions VALUES (1, zeroblob(16), zeroblob(16), zeroblob(16), 1, x'7b7d', ?)",
        [body],
    )
    .expect("its body");
    old.execute("INSERT INTO bodies VALUES (?, zeroblob(16), 1)", [body]).expect("that its body is known");
    old.pragma_update(None, "application_id", 0x4167_466c).expect("its mark");
    old.pragma_update(None, "user_version", 1).expect("its version");
    drop(old);

    let store = open_in(folder.path());
    let (filter, page) = (InboundLogFilter::default(), PageRequest { cursor: None, limit: 10 });
    let workspace = Id::from_bytes([0; 16]);
    let log = store.inbound_log(workspace, &filter, page).await.expect("it can be read");
    assert_eq!(log.items.len(), 1);
    assert_eq!(log.items[0].finding, None);
    let delivery = store.delivery(workspace, Id::from_bytes([0; 16])).await;
    let attempts = delivery.expect("it can be read").expect("it is there").attempts;
    assert_eq!((attempts.len(), attempts[0].status), (1, Some(200)));
    assert_eq!(attempts[0].exchange, Exchange::default());
    let email = Some("ada@a.example".to_owned());
    let filter = LeadFilter { email: email.clone(), ..LeadFilter::default() };
    assert_eq!(store.leads(workspace, &filter, page).await.expect("it can be read").items.len(), 1);
    let query = SeenQuery {
        workspace_id: workspace,
        endpoint_id: Id::from_bytes([0; 16]),
        email_identity: email,
        body_digest: sha256(b"{}"),
        duplicate_window: Duration::from_secs(600),
        idempotency_key: None,
        now: Moment::from_unix_millis(2),
    };
    assert_eq!(store.seen(query).await.expect("it can be read"), Seen::Duplicate(Id::from_bytes([0; 16])));
    let hour = Duration::from_secs(3_600);
    let overview = store.overview(workspace, Moment::from_unix_millis(0), hour, 1).await;
    let expected = Step { leads: 1, approved: 1, delivered: 1, ..Step::default() };
    assert_eq!(overview.expect("it can be read").steps, [expected]);
    store.close().await;
}

/// A lead, a log row and a delivery each at the beginning and at the end; the numbers between them stand for a hundred thousand.
#[tokio::test]
async fn a_search_that_has_looked_far_enough_goes_on_with_the_next_page() {
    let folder = TempDir::new().expect("a folder for the case");
    open_in(folder.path()).close().await;
    let sql = rusqlite::Connection::open(folder.path().join("agentflow.db")).expect("the file");
    for (seq, id, name, state, kind) in
        [(1, [1_u8; 16], "Ada", 2, "lead.qualified"), (100_000, [2; 16], "Ben", 3, "lead.rejected")]
    {
        let workspace = [0_u8; 16];
        sql.execute(
            "INSERT INTO leads (seq, id, workspace, version, state, email_identity, email, name, source, fields, received_at)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?5, ?6, ?6, '{}', 1)",
            params![seq, id, workspace, state, format!("{name}@stacklane.co"), name],
        )
        .expect("a lead");
        sql.execute(
            "INSERT INTO known (workspace, email_identity, entry) VALUES (?, ?, ?)",
            params![workspace, format!("{name}@stacklane.co"), seq],
        )
        .expect("its email");
        sql.execute(
            "INSERT INTO inbound_log (seq, id, workspace, at, status, remote, body_bytes) VALUES (?, ?, ?, 1, ?, '::1', 1)",
            params![seq, id, workspace, state - 2],
        )
        .expect("a row");
        sql.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?2, ?, 1, x'7b7d')",
            params![seq, id, workspace, kind],
        )
        .expect("an event");
        sql.execute(
            "INSERT INTO deliveries (seq, id, workspace, event, destination, state, attempts, step, created_at)
             VALUES (?1, ?2, ?3, ?1, ?2, ?4, 0, 0, 1)",
            params![seq, id, workspace, state + 1],
        )
        .expect("a delivery");
    }
    drop(sql);

    let store = open_in(folder.path());
    let workspace = Id::from_bytes([0; 16]);
    let any = LeadFilter::default;
    for filter in [
        LeadFilter { text: Some("ada".to_owned()), ..any() },
        LeadFilter { source: Some("Ada".to_owned()), ..any() },
        LeadFilter { state: Some(LeadState::Qualified), ..any() },
    ] {
        finds_one_far_back(async |page| store.leads(workspace, &filter, page).await).await;
    }
    let filter = InboundLogFilter { status: Some("received".to_owned()), ..InboundLogFilter::default() };
    finds_one_far_back(async |page| store.inbound_log(workspace, &filter, page).await).await;
    let any = DeliveryFilter::default;
    for filter in [
        DeliveryFilter { state: Some(DeliveryState::Cancelled), ..any() },
        DeliveryFilter { destination: Some(Id::from_bytes([1; 16])), ..any() },
        DeliveryFilter { event_type: Some(EventType::LeadQualified), ..any() },
    ] {
        finds_one_far_back(async |page| store.deliveries(workspace, &filter, page).await).await;
    }

    // What an index leads to is there at once, and so is a list of everything.
    let filter = LeadFilter { email: Some("Ada@stacklane.co".to_owned()), ..LeadFilter::default() };
    let page = store.leads(workspace, &filter, NEWEST).await.expect("it can be read");
    assert_eq!((page.items.len(), page.next_cursor), (1, None));
    let page = store.leads(workspace, &LeadFilter::default(), NEWEST).await.expect("it can be read");
    assert_eq!((page.items.len(), page.next_cursor), (2, None));
    store.close().await;
}

const NEWEST: PageRequest = PageRequest { cursor: None, limit: 10 };

async fn finds_one_far_back<T>(read: impl AsyncFn(PageRequest) -> Result<Page<T>, StoreError>) {
    let (mut found, mut pages, mut request) = (0, 0, NEWEST);
    loop {
        let page = read(request).await.expect("it can be read");
        assert!(page.items.is_empty() || page.next_cursor.is_none(), "it is the last one");
        (found, pages, request.cursor) = (found + page.items.len(), pages + 1, page.next_cursor);
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (1, 10));
    let read = &read;
    let whole = Page::full(NEWEST, |page| read(page)).await.expect("it can be read");
    assert_eq!((whole.items.len(), whole.next_cursor), (1, None));
}

/// The names of the leads on every page.
async fn pages(store: &dyn Store, filter: &LeadFilter) -> Vec<Vec<String>> {
    let (mut pages, mut request) = (Vec::new(), NEWEST);
    loop {
        let page = store.leads(Id::from_bytes([0; 16]), filter, request).await.expect("it can be read");
        pages.push(page.items.into_iter().map(|lead| lead.details.name).collect());
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            return pages;
        }
    }
}

/// As many bodies as leads beside them, which no page shows.
#[tokio::test]
async fn the_leads_of_an_email_come_page_by_page_from_either_end() {
    let folder = TempDir::new().expect("a folder for the case");
    open_in(folder.path()).close().await;
    let sql = rusqlite::Connection::open(folder.path().join("agentflow.db")).expect("the file");
    sql.execute_batch(
        "WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 50)
         INSERT INTO leads (seq, id, workspace, version, state, email_identity, email, name, fields, received_at)
         SELECT seq, randomblob(16), zeroblob(16), 1, 2, iif(seq % 2, 'ada@a.example', 'ben@a.example'),
             'ada@a.example', seq, '{}', 1 FROM n;
         INSERT INTO known (workspace, email_identity, entry) SELECT workspace, email_identity, seq FROM leads;
         INSERT INTO known SELECT workspace, email_identity, randomblob(32), id, 1 FROM leads;",
    )
    .expect("leads");
    drop(sql);

    let store = open_in(folder.path());
    for oldest_first in [false, true] {
        let email = Some("ada@a.example".to_owned());
        let filter = LeadFilter { email, oldest_first, ..LeadFilter::default() };
        let names: Vec<_> = pages(&*store, &filter).await.into_iter().flatten().collect();
        let mut expected: Vec<_> = (1..=50).step_by(2).map(|seq: u32| seq.to_string()).collect();
        if !oldest_first {
            expected.reverse();
        }
        assert_eq!(names, expected, "oldest first: {oldest_first}");
    }
    store.close().await;
}

/// 4,500 leads in review; the text is in the first and in the last of them.
#[tokio::test]
async fn a_search_of_the_queue_goes_on_from_both_ends() {
    let folder = TempDir::new().expect("a folder for the case");
    open_in(folder.path()).close().await;
    let sql = rusqlite::Connection::open(folder.path().join("agentflow.db")).expect("the file");
    sql.execute_batch(
        "WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 4500)
         INSERT INTO leads (seq, id, workspace, version, state, email_identity, email, name, fields, received_at)
         SELECT seq, randomblob(16), zeroblob(16), 1, 1, seq || '@a.example', seq || '@a.example',
             iif(seq IN (1, 4500), 'Ada', 'Ben'), '{}', 1 FROM n",
    )
    .expect("a queue");
    drop(sql);

    let store = open_in(folder.path());
    for oldest_first in [false, true] {
        let filter = LeadFilter {
            state: Some(LeadState::InReview),
            text: Some("ada".to_owned()),
            oldest_first,
            ..LeadFilter::default()
        };
        let found: Vec<_> = pages(&*store, &filter).await.iter().map(Vec::len).collect();
        assert_eq!(found, [1, 0, 1], "oldest first: {oldest_first}");
    }
    store.close().await;
}

const ONE: [u8; 16] = [1; 16];

/// A backlog of one destination: leads with two events each, all due.
fn backlog(folder: &TempDir, leads: u32) -> Connection {
    let sql = super::schema::open_writer(&folder.path().join("agentflow.db")).expect("a database");
    sql.execute_batch("BEGIN").expect("a transaction");
    for event in 1..=leads * 2 {
        let (lead, kind) = (event.div_ceil(2), event % 2);
        sql.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, 1, x'7b7d')")
            .and_then(|mut event_row| {
                let id = format!("{event:016}");
                event_row.execute(params![event, id.as_bytes(), ONE, format!("{lead:016}").as_bytes(), kind])
            })
            .expect("an event");
        sql.prepare_cached(
            "INSERT INTO deliveries (id, workspace, event, destination, state, next_attempt_at, attempts, step, created_at)
             VALUES (?1, ?2, ?3, ?2, 0, ?3, 0, 0, 1)",
        )
        .and_then(|mut row| row.execute(params![format!("{event:016}").as_bytes(), ONE, event]))
        .expect("a delivery");
    }
    sql.execute_batch("COMMIT").expect("they are in");
    sql
}

/// Steps of SQLite's machine until the first 64 rows were read.
fn steps(sql: &Connection, statement: &str, retries_before: i64) -> i32 {
    let mut statement = sql.prepare(statement).expect("a statement");
    let mut rows = statement.query(params![ONE, i64::MAX, retries_before]).expect("it runs");
    for _ in 0..64 {
        rows.next().expect("it reads").expect("a row");
    }
    drop(rows);
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn a_claim_costs_the_same_however_long_the_backlog_is() {
    let folders = [TempDir::new().expect("a folder"), TempDir::new().expect("a folder")];
    let (short, long) = (backlog(&folders[0], 50), backlog(&folders[1], 1_000));
    for (statement, retries_before) in [(queue::longest(), i64::MIN), (queue::latest(), i64::MAX)] {
        let (few, many) =
            (steps(&short, &statement, retries_before), steps(&long, &statement, retries_before));
        assert!(many <= few + 64, "{few} steps of a short backlog, {many} of a long one: {statement}");
    }
}

crate::store_suite!(InFolders::default());
