//! One of the two stores of a trial: what it is asked, what it answers and what it holds, but for ids that it makes itself.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{EventId, Moment};
use futures_util::future::{join_all, ready};
use futures_util::poll;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::faults::hold;
use super::super::job::{Place, Tx};
use super::super::{Pace, SqliteStore, rows};
use crate::id::{DeliveryId, DestinationId, mint};
use crate::record::{
    AuditRow, Destination, DestinationChange, DueDelivery, FinishedAttempt, InboundLogRow, Settings,
};
use crate::store::suite::world::{DAY, START};
use crate::store::{
    Accept, Accepted, AdminStore, Decide, Decided, DeliveryFilter, DeliveryStore, Founding, IntakeStore,
    ResendFilter, Store, StoreError,
};

/// A delivery has an id of its own in each store.
pub(super) type Name = (EventId, DestinationId);
pub(super) type Names = HashMap<Name, DeliveryId>;

#[derive(Clone)]
pub(super) enum Which {
    One(Name),
    Matching(DeliveryFilter),
}

#[derive(Clone)]
pub(super) enum Operation {
    Accept(Box<Accept>),
    Decide(Box<Decide>),
    Claim {
        to: DestinationId,
        now: Moment,
        limit: usize,
        latest: bool,
    },
    Finish {
        name: Name,
        attempt: Box<FinishedAttempt>,
    },
    Cancel(Which, AuditRow),
    Resend(Which, Moment, AuditRow),
    Upkeep(Moment),
    Put(Box<Destination>, AuditRow),
    Change(DestinationId, DestinationChange, AuditRow),
    Delete(DestinationId, AuditRow),
    Set(Box<Settings>, AuditRow),
    Found(Box<Founding>),
    NextDue,
    MendDueTimes(Moment),
    Log(Box<InboundLogRow>),
    Audit(AuditRow),
    /// Fails after it has written and claimed something.
    Fail(Moment),
}

/// What a store answered, but for ids that it made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer(pub(super) String);

/// What was answered, and what of it is claimed.
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) due: Vec<DueDelivery>,
}

fn short(due: &[DueDelivery]) -> String {
    let one = |due: &DueDelivery| {
        format!(
            "{} {} {} {:?} {} {} {} {} {}",
            due.event_id,
            due.destination_id,
            due.workspace_id,
            due.event_type,
            due.lead_id,
            due.body.len(),
            due.attempt_number,
            due.schedule_step,
            due.due_at.unix_millis()
        )
    };
    due.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn told<T>(result: Result<T, StoreError>, tell: impl FnOnce(T) -> (String, Vec<DueDelivery>)) -> Answered {
    match result.map(tell) {
        Ok((answer, due)) => Answered { answer: Answer(answer), due },
        Err(StoreError::Backend(_)) => Answered { answer: Answer("refused".to_owned()), due: Vec::new() },
        Err(error) => Answered { answer: Answer(format!("{error:?}")), due: Vec::new() },
    }
}

/// One of the two stores.
pub(super) struct Side {
    pub(super) store: Arc<SqliteStore>,
    pub(super) names: Names,
    _folder: tempfile::TempDir,
}

impl Side {
    pub(super) async fn open(worlds: &[Founding]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let touch = |connection: &Connection| {
            connection.pragma_update(None, "synchronous", "OFF")?;
            // Rows that a table refuses only when they are written.
            connection.execute_batch(
                "CREATE TEMP TABLE seen (seq INTEGER PRIMARY KEY, what);
                 CREATE TEMP TRIGGER leads_refused BEFORE INSERT ON main.leads WHEN new.company = 'refused'
                     BEGIN SELECT RAISE(ABORT, 'refused'); END;
                 CREATE TEMP TRIGGER leads_seen AFTER INSERT ON main.leads
                     BEGIN INSERT INTO seen (what) VALUES (new.id), (new.email); END;
                 CREATE TEMP TRIGGER deliveries_seen AFTER INSERT ON main.deliveries
                     BEGIN INSERT INTO seen (what) VALUES (new.id); END;
                 CREATE TEMP TRIGGER attempts_refused BEFORE INSERT ON main.attempts WHEN new.duration_ms = 666
                     BEGIN SELECT RAISE(FAIL, 'refused'); END;",
            )
        };
        let store = SqliteStore::open_with(&folder.path().join("agentflow.db"), Pace::default(), touch);
        let store = Arc::new(store.expect("a new store opens"));
        for world in worlds {
            store.found(world.clone()).await.expect("writable");
        }
        Self { store, names: Names::new(), _folder: folder }
    }

    /// Runs operations in one batch.
    pub(super) async fn together(&self, operations: &[Operation]) -> Vec<Answered> {
        let (gate, held) = hold(&self.store).await;
        let mut answers = Vec::new();
        for operation in operations {
            let mut answer: Pin<Box<dyn Future<Output = Answered>>> = Box::pin(self.run(operation.clone()));
            // Whatever is polled first is sent first.
            answers.push(match poll!(&mut answer) {
                std::task::Poll::Ready(answer) => Box::pin(ready(answer)),
                std::task::Poll::Pending => answer,
            });
        }
        drop(gate);
        held.await.expect("no task panics");
        join_all(answers).await
    }

    /// Lets the file have so many pages more.
    pub(super) async fn limit(&self, pages: i64) {
        let set = move |tx: &mut Tx<'_>| {
            let used: i64 = tx.sql.pragma_query_value(None, "page_count", |row| row.get(0))?;
            tx.sql.pragma_update(None, "max_page_count", used + pages)
        };
        self.store.writer.write(set).await.expect("the limit is set");
    }

    /// The delivery's id here; one that nothing has where it is gone.
    fn id(&self, name: &Name) -> DeliveryId {
        self.names.get(name).copied().unwrap_or_else(|| mint(START))
    }

    fn filter(&self, which: Which) -> ResendFilter {
        match which {
            Which::One(name) => ResendFilter::One(self.id(&name)),
            Which::Matching(filter) => ResendFilter::Matching(filter),
        }
    }

    async fn run(&self, operation: Operation) -> Answered {
        let store = &self.store;
        let word = |word: String| (word, Vec::new());
        match operation {
            Operation::Accept(accept) => told(store.accept(*accept).await, |accepted| match accepted {
                Accepted::Stored(due) => (format!("stored {}", short(&due)), due),
                Accepted::Rebase(found) => {
                    word(format!("rebase {:?}", found.map(|lead| (lead.id, lead.version, lead.state))))
                }
                other => word(format!("{other:?}")),
            }),
            Operation::Decide(decide) => told(store.decide(*decide).await, |decided| match decided {
                Decided::Stored(due) => (format!("stored {}", short(&due)), due),
                other => word(format!("{other:?}")),
            }),
            Operation::Claim { to, now, limit, latest } => {
                let claimed = if latest {
                    store.claim_latest(to, now, limit).await
                } else {
                    store.claim_due(to, now, limit).await
                };
                told(claimed, |due| match due {
                    Some(due) => (format!("claimed {}", short(&due)), due),
                    None => word("rests".to_owned()),
                })
            }
            Operation::Finish { name, mut attempt } => {
                attempt.delivery_id = self.id(&name);
                told(store.finish_attempt(Arc::new(*attempt)).await, |disabled| word(disabled.to_string()))
            }
            Operation::Cancel(which, audit) => {
                let filter = self.filter(which);
                let cancelled = store.cancel(audit.workspace_id, filter, Some(audit)).await;
                told(cancelled, |done| word(format!("{} {}", done.count, done.claimed.len())))
            }
            Operation::Resend(which, now, audit) => {
                let filter = self.filter(which);
                let sent = store.resend(audit.workspace_id, filter, now, Some(audit)).await;
                told(sent, |count| word(count.to_string()))
            }
            Operation::Upkeep(now) => {
                told(store.upkeep(now, Duration::from_secs(DAY)).await, |more| word(more.to_string()))
            }
            Operation::Put(to, audit) => {
                told(store.put_destination(*to, audit).await, |()| word(String::new()))
            }
            Operation::Change(to, change, audit) => {
                told(store.change_destination(to, change, audit).await, |to| word(format!("{to:?}")))
            }
            Operation::Delete(to, audit) => {
                told(store.delete_destination(to, audit).await, |deleted| word(deleted.to_string()))
            }
            Operation::Set(settings, audit) => {
                told(store.put_settings(*settings, audit).await, |()| word(String::new()))
            }
            Operation::Found(founding) => told(store.found(*founding).await, |()| word(String::new())),
            Operation::NextDue => told(store.next_due().await, |due| word(format!("{due:?}"))),
            Operation::MendDueTimes(now) => {
                told(store.mend_due_times(now).await, |mended| word(mended.to_string()))
            }
            Operation::Log(row) => {
                store.log(*row);
                told(Ok(()), |()| word(String::new()))
            }
            Operation::Audit(row) => told(store.audit(row).await, |()| word(String::new())),
            Operation::Fail(at) => {
                let failing = store.writer.write(move |tx| {
                    tx.sql.execute("INSERT OR REPLACE INTO upkeep (task, seq) VALUES ('half', 1)", [])?;
                    tx.claim(mint(at), Place { seq: 1, created_at: at });
                    tx.sql.execute("INSERT INTO no_such_table VALUES (1)", []).map(drop)
                });
                told(failing.await, |()| word(String::new()))
            }
        }
    }

    /// All that the store holds, but for ids that it made; learns the names of its deliveries.
    pub(super) async fn content(&mut self, is_jumbled: bool) -> BTreeMap<String, Vec<String>> {
        self.store.check_writable().await.expect("writable");
        let (content, names) =
            self.store.readers.read(move |sql| content(sql, is_jumbled)).await.expect("readable");
        let mut content = content;
        let claimed = self.store.claims.lock().clone();
        let mut claims = Vec::new();
        for (id, place) in &claimed {
            let held = names.iter().find(|(_, known)| known.0 == *id);
            if let Some((name, (_, seq, created_at))) = held {
                assert_eq!((place.seq, place.created_at), (*seq, *created_at), "a claim knows its row");
                claims.push(format!("{name:?}"));
            } else {
                claims.push("gone".to_owned());
            }
        }
        claims.sort();
        content.insert("claims".to_owned(), claims);
        self.names = names.into_iter().map(|(name, (id, ..))| (name, id)).collect();
        content
    }
}

/// What the tables hold, but for ids that stores make and for the numbers of rows.
const TABLES: [(&str, &str); 16] = [
    (
        "leads",
        "SELECT id, workspace, version, state, email_identity, email, name, company, message, fields, previous, scored, decision,
             received_at, scored_at, decided_at FROM leads ORDER BY id",
    ),
    (
        "known",
        "SELECT known.workspace, known.email_identity, coalesce(leads.id, entry), lead, at
         FROM known LEFT JOIN leads ON leads.seq = entry ORDER BY 1, 2, 3",
    ),
    (
        "submissions",
        "SELECT id, lead, endpoint, at, body, digest, (SELECT count(*) FROM submissions AS sooner
             WHERE sooner.lead = submissions.lead AND sooner.seq < submissions.seq) FROM submissions ORDER BY id",
    ),
    ("idempotency_keys", "SELECT * FROM idempotency_keys"),
    (
        "inbound_log",
        "SELECT id, workspace, at, status, reason, remote, body_bytes, lead, finding FROM inbound_log ORDER BY id",
    ),
    ("events", "SELECT id, workspace, lead, type, at, body FROM events ORDER BY id"),
    ("destinations", "SELECT * FROM destinations ORDER BY id"),
    (
        "deliveries",
        "SELECT events.id, destination, deliveries.workspace, state, next_attempt_at, attempts, step, created_at, state_reason
         FROM deliveries LEFT JOIN events ON events.seq = event ORDER BY 1, 2",
    ),
    (
        "attempts",
        "SELECT events.id, destination, number, attempts.at, status, duration_ms, url, agent FROM attempts
         LEFT JOIN attempt_targets ON attempt_targets.id = target LEFT JOIN deliveries ON deliveries.seq = delivery
         LEFT JOIN events ON events.seq = event ORDER BY 1, 2, 3",
    ),
    ("audit", "SELECT * FROM audit ORDER BY seq"),
    (
        "operational_log",
        "SELECT seq, workspace, at, kind, destination, message FROM operational_log ORDER BY seq",
    ),
    ("lead_hours", "SELECT * FROM lead_hours"),
    ("delivery_hours", "SELECT * FROM delivery_hours"),
    ("workspaces", "SELECT * FROM workspaces"),
    // How far the walk over submissions has come follows their order, in which those that join older leads come first.
    ("upkeep", "SELECT * FROM upkeep WHERE task NOT LIKE 'bodies:%'"),
    ("orphans", "SELECT * FROM attempts WHERE delivery NOT IN (SELECT seq FROM deliveries)"),
];

/// In which order rows came, which is that of the operations where their ids rise with it.
const ORDERED: [(&str, &str); 3] = [
    ("order of leads", "SELECT seq, id FROM leads ORDER BY seq"),
    ("order of events", "SELECT seq, id FROM events ORDER BY seq"),
    ("order of deliveries", "SELECT seq, event, destination FROM deliveries ORDER BY seq"),
];

pub(super) type Rows = BTreeMap<String, Vec<String>>;
type Seen = HashMap<Name, (DeliveryId, i64, Moment)>;

fn content(sql: &Connection, is_jumbled: bool) -> rusqlite::Result<(Rows, Seen)> {
    let mut content = Rows::new();
    let ordered = if is_jumbled { &[][..] } else { &ORDERED };
    for (table, select) in TABLES.iter().chain(ordered) {
        let mut statement = sql.prepare(select)?;
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>()
        };
        let rows = statement.query_map([], row)?.map(|row| row.map(|row| format!("{row:?}")));
        content.insert((*table).to_owned(), rows.collect::<Result<_, _>>()?);
    }
    let mut statement = sql.prepare(
        "SELECT events.id AS event_id, destination, deliveries.id AS id, deliveries.seq AS seq, created_at
         FROM deliveries JOIN events ON events.seq = deliveries.event",
    )?;
    let seen = statement.query_map([], |row| {
        let name = (rows::id(row, "event_id")?, rows::id(row, "destination")?);
        Ok((name, (rows::id(row, "id")?, row.get("seq")?, rows::moment(row, "created_at")?)))
    })?;
    let seen = seen.collect::<Result<_, _>>()?;
    Ok((content, seen))
}
