//! Holds a database against a history: everything acknowledged is there, nothing is there in part, nothing that nobody asked for.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::history::{Answer, Fact, History, Key};

/// A broken promise, in one line.
pub type Violation = String;

#[derive(Default)]
struct Found {
    workspaces: HashSet<Key>,
    destinations: HashMap<Key, String>,
    leads: HashMap<Key, (u64, u8)>,
    submissions: HashMap<Key, Vec<u8>>,
    events: HashMap<Key, Event>,
    /// By delivery and number: the response's status.
    attempts: HashMap<(Key, u32), Option<u16>>,
    /// State, and the number of the last attempt.
    deliveries: HashMap<Key, (u8, u32)>,
    idempotency_keys: HashSet<String>,
    audits: HashSet<Key>,
    log: HashSet<Key>,
}

struct Event {
    body: Vec<u8>,
    kind: String,
    deliveries: usize,
}

/// Audits the database that a power cut left when the record stood at `cut`; `usize::MAX`: now.
pub fn audit(database: &Path, history: &History, cut: usize) -> Vec<Violation> {
    match read(database) {
        Ok((found, mut violations)) => {
            found.hold_against(history, cut, &mut violations);
            violations
        }
        Err(error) => vec![format!("the database cannot be read: {error}")],
    }
}

fn read(database: &Path) -> rusqlite::Result<(Found, Vec<Violation>)> {
    let sql = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    sql.busy_timeout(std::time::Duration::from_secs(5))?;
    let mut violations = Vec::new();
    let verdict: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if verdict != "ok" {
        violations.push(format!("integrity_check: {verdict}"));
    }
    let mut found = Found {
        workspaces: keys(&sql, "SELECT id FROM workspaces")?,
        audits: keys(&sql, "SELECT id FROM audit")?,
        log: keys(&sql, "SELECT id FROM inbound_log WHERE status <> 2")?,
        ..Found::default()
    };
    each(&sql, "SELECT id, event_types FROM destinations", |row| {
        found.destinations.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    each(&sql, "SELECT id, version, state FROM leads", |row| {
        found.leads.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
        Ok(())
    })?;
    each(&sql, "SELECT id, body FROM submissions", |row| {
        found.submissions.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    let events =
        "SELECT id, body, type, (SELECT count(*) FROM deliveries WHERE event = events.seq) FROM events";
    each(&sql, events, |row| {
        let event = Event { body: row.get(1)?, kind: row.get(2)?, deliveries: row.get(3)? };
        found.events.insert(row.get(0)?, event);
        Ok(())
    })?;
    let attempts =
        "SELECT deliveries.id, number, status FROM attempts JOIN deliveries ON deliveries.seq = delivery";
    each(&sql, attempts, |row| {
        found.attempts.insert((row.get(0)?, row.get(1)?), row.get(2)?);
        Ok(())
    })?;
    each(&sql, "SELECT id, state, attempts FROM deliveries", |row| {
        found.deliveries.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
        Ok(())
    })?;
    each(&sql, "SELECT key FROM idempotency_keys", |row| {
        found.idempotency_keys.insert(row.get(0)?);
        Ok(())
    })?;
    let orphans = "SELECT (SELECT count(*) FROM deliveries WHERE event NOT IN (SELECT seq FROM events))
        + (SELECT count(*) FROM attempts WHERE delivery NOT IN (SELECT seq FROM deliveries))
        + (SELECT count(*) FROM submissions WHERE lead NOT IN (SELECT id FROM leads))
        + abs((SELECT count(*) FROM known WHERE lead IS NOT NULL) - (SELECT count(*) FROM submissions))
        + abs((SELECT count(*) FROM known WHERE lead IS NULL) - (SELECT count(*) FROM leads))
        + (SELECT count(*) FROM events WHERE lead NOT IN (SELECT id FROM leads))";
    let orphans: i64 = sql.query_row(orphans, [], |row| row.get(0))?;
    if orphans != 0 {
        violations.push(format!("{orphans} rows belong to none that is there"));
    }
    for (sum, rows) in [
        ("arrived) FROM lead_hours", "leads"),
        ("approved) FROM lead_hours", "events WHERE type = 'lead.qualified'"),
        ("rejected) FROM lead_hours", "events WHERE type = 'lead.rejected'"),
        ("pending) FROM delivery_hours", "deliveries WHERE state = 0"),
        ("delivered) FROM delivery_hours", "deliveries WHERE state = 1"),
        ("dead) FROM delivery_hours", "deliveries WHERE state = 2"),
    ] {
        let sums = format!("SELECT coalesce((SELECT sum({sum}), 0), (SELECT count(*) FROM {rows})");
        let (sum, number): (i64, i64) = sql.query_row(&sums, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if sum != number {
            violations.push(format!("{number} {rows}, but the hours' sums are {sum}"));
        }
    }
    Ok((found, violations))
}

fn keys(sql: &Connection, select: &str) -> rusqlite::Result<HashSet<Key>> {
    sql.prepare(select)?.query_map([], |row| row.get(0))?.collect()
}

fn each(
    sql: &Connection,
    select: &str,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = sql.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

impl Found {
    fn hold_against(&self, history: &History, cut: usize, violations: &mut Vec<Violation>) {
        let mut asked_for = 0;
        for operation in &history.operations {
            let there = operation.facts.iter().filter(|fact| self.has(fact)).count();
            let all = operation.facts.len();
            asked_for += operation.facts.iter().filter(|fact| self.has(fact) && counts(fact)).count();
            let name = operation.name;
            match operation.answer {
                Answer::Done(place) if place <= cut && there < all => {
                    violations.push(format!("{name} was acknowledged and {there} of {all} facts are there"));
                }
                Answer::Refused if there > 0 => {
                    violations.push(format!("{name} was refused and {there} of {all} facts are there"));
                }
                _ if there != 0 && there != all => {
                    violations.push(format!("{name} is there in part: {there} of {all} facts"));
                }
                _ if there > 0 && operation.asked > cut => {
                    violations.push(format!("{name} is there before it was asked for"));
                }
                _ => {}
            }
            for fact in &operation.facts {
                violations.extend(self.contradiction(fact).map(|what| format!("{name}: {what}")));
            }
        }
        let stored = self.submissions.len() + self.events.len() + self.attempts.len() + self.audits.len();
        if stored != asked_for {
            violations.push(format!("{stored} rows are there and {asked_for} of them were asked for"));
        }
        let leads: HashSet<Key> =
            history.operations.iter().flat_map(|it| &it.facts).filter_map(lead).collect();
        if let Some(stranger) = self.leads.keys().find(|id| !leads.contains(*id)) {
            violations.push(format!("the lead {stranger:x?} was never asked for"));
        }
    }

    fn has(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Workspace(id) => self.workspaces.contains(id),
            Fact::Destination(id) => self.destinations.contains_key(id),
            Fact::Lead { id, version, .. } => self.leads.get(id).is_some_and(|(found, _)| found >= version),
            Fact::Submission { id, .. } => self.submissions.contains_key(id),
            Fact::Event { id, .. } => self.events.contains_key(id),
            Fact::Attempt { delivery, number, .. } => self.attempts.contains_key(&(*delivery, *number)),
            Fact::IdempotencyKey(key) => self.idempotency_keys.contains(key),
            Fact::Audit(id) => self.audits.contains(id),
            Fact::Log(id) => self.log.contains(id),
        }
    }

    /// What is there, but not as it was asked for.
    fn contradiction(&self, fact: &Fact) -> Option<Violation> {
        match fact {
            Fact::Lead { id, version, state } => {
                let (found, found_state) = self.leads.get(id)?;
                (found == version && found_state != state)
                    .then(|| format!("the lead is in state {found_state}, not {state}"))
            }
            Fact::Submission { id, body } => {
                (self.submissions.get(id)? != body).then(|| "the submission has another body".to_owned())
            }
            Fact::Event { id, body } => {
                let event = self.events.get(id)?;
                let subscribed =
                    self.destinations.values().filter(|types| types.contains(&event.kind)).count();
                if event.body != *body {
                    return Some("the event has another body".to_owned());
                }
                (event.deliveries != subscribed)
                    .then(|| format!("{} deliveries for {subscribed} destinations", event.deliveries))
            }
            Fact::Attempt { delivery, number, status, state } => {
                if self.attempts.get(&(*delivery, *number))? != status {
                    return Some("the attempt has another status".to_owned());
                }
                let (found, last) = self.deliveries.get(delivery)?;
                (last == number && found != state)
                    .then(|| format!("the delivery is in state {found}, not {state}"))
            }
            _ => None,
        }
    }
}

/// Whether the fact is a row of its own among those that are counted.
fn counts(fact: &Fact) -> bool {
    matches!(fact, Fact::Submission { .. } | Fact::Event { .. } | Fact::Attempt { .. } | Fact::Audit(_))
}

fn lead(fact: &Fact) -> Option<Key> {
    if let Fact::Lead { id, .. } = fact { Some(*id) } else { None }
}
