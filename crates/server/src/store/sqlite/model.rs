//! Operations that are committed together answer and leave what they would one after the other: random sequences of them, each run
//! in batches on one store and in batches of one on another.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{EventId, EventType, Moment};
use futures_util::future::{join_all, ready};
use futures_util::poll;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::faults::hold;
use super::{Pace, SqliteStore};
use crate::id::{DeliveryId, DestinationId, mint};
use crate::reason::Reason;
use crate::record::{
    Attempt, AttemptOutcome, AuditRow, DeliveryState, Destination, DestinationChange, DueDelivery, Exchange,
    FinishedAttempt, InboundLogRow, InboundStatus, Lead, SentRequest, Settings,
};
use crate::store::suite::sent::Sent;
use crate::store::suite::world::{DAY, HOUR, START, World, founding};
use crate::store::{
    Accept, Accepted, AdminStore, Decide, Decided, DeliveryFilter, DeliveryStore, Founding, IntakeStore,
    ResendFilter, Store, StoreError,
};

/// Sequences that are tried; others and more with `MODEL_FIRST` and `MODEL_SEEDS`.
const SEEDS: u64 = 12;
/// An attempt that took so long is refused by its table.
const REFUSED_MS: u32 = 666;
/// Batches of a sequence.
const BATCHES: usize = 12;

/// A delivery has an id of its own in each store.
type Name = (EventId, DestinationId);
type Names = HashMap<Name, DeliveryId>;

/// Random numbers that a seed makes again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { Some(&all[self.below(all.len())]) }
    }
}

#[derive(Clone)]
enum Which {
    One(Name),
    Matching(DeliveryFilter),
}

#[derive(Clone)]
enum Operation {
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
struct Answer(String);

/// What was answered, and what of it is claimed.
struct Answered {
    answer: Answer,
    due: Vec<DueDelivery>,
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
struct Side {
    store: Arc<SqliteStore>,
    names: Names,
    _folder: tempfile::TempDir,
}

impl Side {
    async fn open(worlds: &[Founding]) -> Self {
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
    async fn together(&self, operations: &[Operation]) -> Vec<Answered> {
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
    async fn limit(&self, pages: i64) {
        let set = move |tx: &mut super::job::Tx<'_>| {
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
                    tx.claim(mint(at), super::job::Place { seq: 1, created_at: at });
                    tx.sql.execute("INSERT INTO no_such_table VALUES (1)", []).map(drop)
                });
                told(failing.await, |()| word(String::new()))
            }
        }
    }

    /// All that the store holds, but for ids that it made; learns the names of its deliveries.
    async fn content(&mut self, is_jumbled: bool) -> BTreeMap<String, Vec<String>> {
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

type Rows = BTreeMap<String, Vec<String>>;
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
        let name = (super::rows::id(row, "event_id")?, super::rows::id(row, "destination")?);
        Ok((name, (super::rows::id(row, "id")?, row.get("seq")?, super::rows::moment(row, "created_at")?)))
    })?;
    let seen = seen.collect::<Result<_, _>>()?;
    Ok((content, seen))
}

/// How often something happened, lest nothing is tried.
#[derive(Debug, Default)]
struct Counts {
    stored: usize,
    refused: usize,
    /// Batches for which the disk had no room.
    full: usize,
}

/// Makes up operations.
struct Planner {
    random: Random,
    worlds: Vec<World>,
    destinations: Vec<Destination>,
    leads: Vec<Lead>,
    due: Vec<DueDelivery>,
    now: Moment,
    /// Finishes what is claimed, once each, and nothing else.
    is_orderly: bool,
    retains: bool,
    /// Emails of the present batch.
    emails: usize,
    /// Ids do not rise with the order of the operations.
    is_jumbled: bool,
}

impl Planner {
    fn tick(&mut self) -> Moment {
        let more = 1 + self.random.below(2_000) as u64;
        self.now = self.now.plus(Duration::from_millis(more));
        self.now
    }

    fn destination(&mut self) -> Destination {
        let at = self.tick();
        let world = self.random.below(self.worlds.len());
        let types = [EventType::ALL, &[EventType::LeadQualified], &[EventType::LeadReviewRequested]];
        Destination {
            id: mint(at),
            workspace_id: self.worlds[world].id(),
            url: format!("https://hooks{}.stacklane.co/agentflow", self.random.below(3)),
            event_types: types[self.random.below(3)].to_vec(),
            enabled: !self.random.once_in(8),
            paused: self.random.once_in(8),
            disabled_reason: None,
            created_at: at,
            failing_since: None,
            max_in_flight: None,
            per_second: None,
        }
    }

    fn accept(&mut self) -> Operation {
        let mut at = self.tick();
        if self.is_jumbled {
            at = at.minus(Duration::from_millis(self.random.below(9_000) as u64));
        }
        let world = self.random.below(self.worlds.len());
        let email = format!("n{}@stacklane.co", self.random.below(self.emails));
        let spelled = if self.random.once_in(3) { email.to_uppercase() } else { email.clone() };
        let (message, company) =
            (self.random.below(3), if self.random.once_in(25) { "refused" } else { "Stacklane" });
        let mut sent = Sent::body(format!(
            r#"{{"name":"Jordan","email":"{spelled}","message":"No. {message}","company":"{company}"}}"#
        ));
        sent = sent.at(at).window([0, 10, HOUR, 10 * DAY][self.random.below(4)]);
        sent = match self.random.below(4) {
            0 => sent.approved(),
            1 => sent.rejected(),
            2 => sent.unscored(),
            _ => sent,
        };
        if self.random.once_in(3) {
            let key = format!("k-{}", self.random.below(4));
            sent = sent.key(&key);
        }
        let workspace = self.worlds[world].id();
        let same: Vec<Lead> = self
            .leads
            .iter()
            .filter(|lead| lead.workspace_id == workspace && lead.details.email.identity() == email)
            .cloned()
            .collect();
        let newest = match self.random.below(6) {
            0 => None,
            1 => self.random.of(&same).cloned(),
            _ => same.last().cloned(),
        };
        let mut accept = self.worlds[world].plan(&sent, newest.as_ref());
        if self.random.once_in(4) {
            accept.submission.endpoint_id = agentflow_events::Id::from_bytes([9; 16]);
        }
        // An id that another has already, unless that was deleted.
        if !self.retains
            && self.random.once_in(60)
            && let (Some(event), Some(other)) = (&mut accept.write.event, self.random.of(&self.due))
        {
            event.id = other.event_id;
        }
        self.leads.push(accept.write.lead.clone());
        Operation::Accept(Box::new(accept))
    }

    fn finish(&mut self) -> Option<Operation> {
        if self.due.is_empty() {
            return None;
        }
        let chosen = self.random.below(self.due.len());
        let due = if self.is_orderly { self.due.swap_remove(chosen) } else { self.due[chosen].clone() };
        let at = self.tick();
        let outcome = match self.random.below(12) {
            0 => AttemptOutcome::Dead,
            1 if self.random.once_in(3) => AttemptOutcome::Gone,
            2..=4 => AttemptOutcome::RetryAt(at.plus(Duration::from_secs(self.random.below(600) as u64))),
            _ => AttemptOutcome::Delivered,
        };
        let request = SentRequest {
            url: format!("https://hooks{}.stacklane.co/", self.random.below(4)).into(),
            agent: "agent".into(),
            signed: None,
        };
        let attempt = FinishedAttempt {
            delivery_id: due.id,
            workspace_id: due.workspace_id,
            destination_id: due.destination_id,
            attempt: Attempt {
                number: due.attempt_number,
                at,
                status: Some(200),
                duration_ms: if !self.is_orderly && self.random.once_in(30) { REFUSED_MS } else { 7 },
                error: None,
                response_head: None,
                exchange: Exchange { request: Some(request), ..Exchange::default() },
            },
            outcome,
            disable_after: Duration::from_secs(HOUR),
        };
        Some(Operation::Finish { name: (due.event_id, due.destination_id), attempt: Box::new(attempt) })
    }

    fn which(&mut self) -> Which {
        match self.random.of(&self.due).cloned() {
            Some(due) if !self.random.once_in(3) => Which::One((due.event_id, due.destination_id)),
            _ => {
                let destination = self.random.of(&self.destinations).map(|to| to.id);
                let state = [None, Some(DeliveryState::Pending), Some(DeliveryState::Delivered)];
                let state = state[self.random.below(3)];
                Which::Matching(DeliveryFilter { destination, state, ..DeliveryFilter::default() })
            }
        }
    }

    fn operation(&mut self, seldom: bool) -> Operation {
        let at = self.tick();
        let world = self.random.below(self.worlds.len());
        let audit = self.worlds[world].audit("model", at);
        let known = self.random.of(&self.destinations).cloned();
        match self.random.below(if seldom { 100 } else { 80 }) {
            0..=44 => self.accept(),
            45..=79 => self.finish().unwrap_or(Operation::NextDue),
            80..=83 => {
                let Some(lead) = self.random.of(&self.leads).cloned() else { return self.accept() };
                let world = self.worlds.iter().find(|world| world.id() == lead.workspace_id);
                let decide = world.expect("it is one of them").judgement(&lead, self.random.once_in(2), at);
                self.leads.push(decide.write.lead.clone());
                Operation::Decide(Box::new(decide))
            }
            84..=88 => match known {
                Some(to) => Operation::Claim {
                    to: to.id,
                    now: at,
                    limit: 1 + self.random.below(9),
                    latest: self.random.once_in(2),
                },
                None => Operation::NextDue,
            },
            89 => Operation::Cancel(self.which(), audit),
            90 | 91 if self.is_jumbled => Operation::Audit(audit),
            90 => Operation::Resend(self.which(), at, audit),
            91 if self.retains => Operation::Upkeep(at),
            91 => Operation::MendDueTimes(at),
            92 => {
                let mut to = self.destination();
                match known {
                    Some(known) if self.random.once_in(2) => to = Destination { enabled: true, ..known },
                    _ => self.destinations.push(to.clone()),
                }
                Operation::Put(Box::new(to), audit)
            }
            93 => match known {
                Some(to) => {
                    let change = DestinationChange {
                        enabled: Some(!self.random.once_in(4)),
                        paused: Some(self.random.once_in(3)),
                        ..DestinationChange::default()
                    };
                    Operation::Change(to.id, change, audit)
                }
                None => Operation::Audit(audit),
            },
            94 => match known {
                Some(to) if self.random.once_in(4) => Operation::Delete(to.id, audit),
                _ => Operation::Audit(audit),
            },
            95 => {
                let wait = [0, 0, 30][self.random.below(3)];
                let settings = Settings {
                    retry_schedule_seconds: vec![wait, 5, 300],
                    duplicate_window_seconds: 600,
                    retention_days: self.retains.then_some(1),
                    supersede_review_requests: self.random.once_in(2),
                    ..Settings::default()
                };
                Operation::Set(Box::new(settings), audit)
            }
            96 => Operation::Found(Box::new(founding(Settings::default()))),
            97 => {
                let log = InboundLogRow {
                    id: mint(at),
                    workspace_id: audit.workspace_id,
                    at,
                    status: InboundStatus::Rejected(Reason::RateLimited),
                    remote_addr: [192, 0, 2, 7].into(),
                    body_bytes: 1,
                    lead_id: None,
                    finding: None,
                };
                Operation::Log(Box::new(log))
            }
            98 => Operation::Fail(at),
            _ => Operation::NextDue,
        }
    }
}

/// One sequence on both stores.
struct Trial {
    seed: u64,
    together: Side,
    alone: Side,
    planner: Planner,
    /// What both hold.
    content: Rows,
    counts: Counts,
}

impl Trial {
    async fn begin(seed: u64) -> Self {
        let mut random = Random(seed);
        let settings =
            Settings { retention_days: Some(1), duplicate_window_seconds: 600, ..Settings::default() };
        let foundings = [founding(settings), founding(Settings::default())];
        let mut together = Side::open(&foundings).await;
        let mut alone = Side::open(&foundings).await;
        let store = Arc::clone(&together.store) as Arc<dyn Store>;
        let world = |founding| World { store: Arc::clone(&store), founding };
        let worlds = foundings.into_iter().map(world).collect();
        let is_orderly = random.once_in(2);
        let is_jumbled = random.once_in(3);
        let retains = !is_jumbled && random.once_in(2);
        let (destinations, leads, due) = (Vec::new(), Vec::new(), Vec::new());
        let planner = Planner {
            random,
            worlds,
            destinations,
            leads,
            due,
            now: START,
            is_orderly,
            retains,
            emails: 6,
            is_jumbled,
        };
        let (content, _) = (together.content(is_jumbled).await, alone.content(is_jumbled).await);
        Self { seed, together, alone, planner, content, counts: Counts::default() }
    }

    /// Destinations that get what the first batch makes.
    fn destinations(&mut self) -> Vec<Operation> {
        let planner = &mut self.planner;
        let put = |world: usize| {
            let mut to = planner.destination();
            to.workspace_id = planner.worlds[world].id();
            (to.enabled, to.paused, to.event_types) = (true, false, EventType::ALL.to_vec());
            planner.destinations.push(to.clone());
            let audit = planner.worlds[world].audit("model", to.created_at);
            Operation::Put(Box::new(to), audit)
        };
        [0, 0, 1].map(put).into()
    }

    fn batch(&mut self) -> Vec<Operation> {
        let planner = &mut self.planner;
        let longest = [4, 20, 70][planner.random.below(3)];
        let length = 1 + planner.random.below(longest);
        let seldom = planner.random.once_in(2);
        planner.emails = [6, 40, 1_000][planner.random.below(3)];
        (0..length).map(|_| planner.operation(seldom)).collect()
    }

    /// Runs a batch while hardly a page may be added. Answers whether there was room all the same; otherwise all was refused and
    /// nothing changed.
    async fn run_without_room(&mut self, batch: usize, operations: &[Operation]) -> bool {
        // Rows of the log that find no room are dropped.
        let written: Vec<Operation> =
            operations.iter().filter(|one| !matches!(one, Operation::Log(_))).cloned().collect();
        let room = self.planner.random.below(3) as i64;
        self.together.limit(room).await;
        let answers = self.together.together(&written).await;
        self.together.limit(100_000).await;
        if answers.iter().all(|one| one.answer.0 != "DiskFull") {
            self.compare(batch, &written, answers).await;
            return true;
        }
        self.counts.full += 1;
        for (place, one) in answers.iter().enumerate() {
            assert_eq!(one.answer.0, "DiskFull", "seed {}, batch {batch}, operation {place}", self.seed);
        }
        let content = self.together.content(self.planner.is_jumbled).await;
        same(self.seed, batch, &content, &self.content);
        false
    }

    /// Runs one by one what was answered together, and compares.
    async fn compare(&mut self, batch: usize, operations: &[Operation], answers: Vec<Answered>) {
        let (seed, is_jumbled) = (self.seed, self.planner.is_jumbled);
        for (place, (operation, one)) in operations.iter().zip(&answers).enumerate() {
            let alone = self.alone.together(std::slice::from_ref(operation)).await;
            for other in alone {
                assert_eq!(one.answer, other.answer, "seed {seed}, batch {batch}, operation {place}");
                self.planner.due.extend(other.due);
            }
            self.counts.refused += usize::from(one.answer.0 == "refused");
            self.counts.stored += usize::from(one.answer.0.starts_with("stored"));
            if let Operation::Finish { attempt, .. } = operation
                && attempt.attempt.duration_ms != REFUSED_MS
            {
                assert_ne!(one.answer.0, "refused", "seed {seed}, batch {batch}, operation {place}");
            }
        }
        self.content = self.together.content(is_jumbled).await;
        same(seed, batch, &self.content, &self.alone.content(is_jumbled).await);
        if !self.planner.retains {
            sums(&self.together).await;
        }
    }

    /// Gives back the claim on a delivery.
    async fn release_one(&mut self) {
        let planner = &mut self.planner;
        let chosen = planner.random.below(planner.due.len());
        let due = planner.due.swap_remove(chosen);
        for side in [&self.together, &self.alone] {
            let id = side.names.get(&(due.event_id, due.destination_id));
            side.store.release(&id.copied().into_iter().collect::<Vec<_>>());
        }
        self.content = self.together.content(self.planner.is_jumbled).await;
    }

    async fn run(mut self) -> Counts {
        for batch in 0..BATCHES {
            let mut operations = if batch == 0 { self.destinations() } else { Vec::new() };
            operations.extend(self.batch());
            if self.planner.random.once_in(4) && self.run_without_room(batch, &operations).await {
                continue;
            }
            let answers = self.together.together(&operations).await;
            self.compare(batch, &operations, answers).await;
            if self.planner.random.once_in(3) && !self.planner.due.is_empty() {
                self.release_one().await;
            }
            let pause = [0, 60, 3 * HOUR, 3 * DAY][self.planner.random.below(4)];
            self.planner.now = self.planner.now.plus(Duration::from_secs(pause));
        }
        self.counts
    }
}

/// The sums are those of the rows, as long as none was deleted.
async fn sums(side: &Side) {
    let wrong = side.store.readers.read(|sql| {
        sql.query_row(
            "SELECT count(*) FROM (
                 SELECT * FROM (SELECT workspace, created_at / 3600000 AS hour, destination, sum(state = 0) AS pending,
                     sum(state = 1) AS delivered, sum(state = 2) AS dead FROM deliveries GROUP BY 1, 2, 3)
                 EXCEPT SELECT workspace, hour, destination, pending, delivered, dead FROM delivery_hours)",
            [],
            |row| row.get::<_, i64>(0),
        )
    });
    assert_eq!(wrong.await.expect("readable"), 0, "the sums are those of the rows");
}

fn same(seed: u64, batch: usize, one: &Rows, other: &Rows) {
    for (table, rows) in one {
        for (place, row) in rows.iter().enumerate() {
            assert_eq!(Some(row), other[table].get(place), "seed {seed}, batch {batch}, {table}");
        }
        assert_eq!(rows.len(), other[table].len(), "seed {seed}, batch {batch}, {table}");
    }
}

#[tokio::test]
async fn what_is_committed_together_is_as_if_one_after_the_other() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let first = number("MODEL_FIRST", 0);
    let mut all = Counts::default();
    for seed in first..first + number("MODEL_SEEDS", SEEDS) {
        let Counts { stored, refused, full } = Trial::begin(seed).await.run().await;
        all = Counts { stored: all.stored + stored, refused: all.refused + refused, full: all.full + full };
    }
    assert!(all.stored > 0 && all.refused > 0 && all.full > 0, "{all:?}");
}
