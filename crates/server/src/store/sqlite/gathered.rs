//! Rows that a batch's operations insert, gathered by table and written together.
//!
//! SQL does not see them before that. An operation that [gathers](super::job::Job::gathers) asks here first whether what it is about
//! to read may be among them; before and after any other operation everything is written.

use std::hash::BuildHasher;
use std::sync::Arc;

use agentflow_events::{LeadId, WorkspaceId};
use foldhash::{HashMap, HashSet};
use rusqlite::{Connection, params};

use super::attempts::{ATTEMPTS, NewAttempt};
use super::insert::Insert;
use super::job::Place;
use super::rows::{self, blob};
use crate::directory::sha256;
use crate::id::DeliveryId;
use crate::record::{DueDelivery, EventRow, InboundLogRow};
use crate::store::Accept;

static LEADS: Insert = Insert::new("leads", rows::LEAD_VALUES);
static KNOWN_LEADS: Insert = Insert::new("known", "workspace, email_identity, entry");
static KNOWN_BODIES: Insert = Insert::new("known", "workspace, email_identity, entry, lead, at");
static SUBMISSIONS: Insert = Insert::new("submissions", "id, lead, endpoint, at, body, digest");
static INBOUND_LOG: Insert = Insert::new("inbound_log", super::log::COLUMNS);
static EVENTS: Insert = Insert::new("events", "id, workspace, lead, type, at, body");
static DELIVERIES: Insert = Insert::new(
    "deliveries",
    "id, workspace, event, destination, state = 0, next_attempt_at, attempts = 0, step = 0, created_at",
);

/// A request that is accepted.
#[derive(Clone)]
struct Request {
    accept: Arc<Accept>,
    /// Whether its lead is new.
    opens: bool,
}

/// An event, and its deliveries.
#[derive(Clone)]
struct Announced {
    event: EventRow,
    deliveries: Vec<(DueDelivery, IsClaimed)>,
}

/// Whether this process holds a delivery from its beginning.
pub(super) type IsClaimed = bool;

/// What waits to be written.
#[derive(Clone, Default)]
pub(super) struct Gathered {
    requests: Vec<Request>,
    /// Digests of the requests' emails.
    emails: HashSet<u64>,
    log: Vec<InboundLogRow>,
    announced: Vec<Announced>,
    attempts: Vec<NewAttempt>,
}

impl Gathered {
    /// Whether a lead with this email, or a body that came with it, is among what was gathered. Seldom says so though there is none.
    pub(super) fn knows(&self, workspace: WorkspaceId, email_identity: &str) -> bool {
        self.emails.contains(&self.email_digest(workspace, email_identity))
    }

    fn email_digest(&self, workspace: WorkspaceId, email_identity: &str) -> u64 {
        self.emails.hasher().hash_one((workspace, email_identity))
    }

    /// A request. `opens`: its lead is new; one that it joins is changed already.
    pub(super) fn request(&mut self, accept: &Arc<Accept>, opens: bool) {
        let lead = &accept.write.lead;
        self.emails.insert(self.email_digest(lead.workspace_id, lead.details.email.identity()));
        self.requests.push(Request { accept: Arc::clone(accept), opens });
        self.log.push(accept.log.clone());
    }

    /// A row of the inbound log.
    pub(super) fn log(&mut self, row: InboundLogRow) {
        self.log.push(row);
    }

    /// An event, and its deliveries.
    pub(super) fn event(&mut self, event: &EventRow, deliveries: Vec<(DueDelivery, IsClaimed)>) {
        self.announced.push(Announced { event: event.clone(), deliveries });
    }

    /// An attempt that was not recorded before.
    pub(super) fn attempt(&mut self, attempt: NewAttempt) {
        self.attempts.push(attempt);
    }

    /// Writes what was gathered. `claimed` learns where the deliveries are that this process holds.
    pub(super) fn write(
        &mut self,
        sql: &Connection,
        claimed: &mut HashMap<DeliveryId, Option<Place>>,
    ) -> rusqlite::Result<()> {
        let Self { mut requests, emails: _, log, mut announced, attempts } = std::mem::take(self);
        // Ids rise with time, and an index of them that grows at its end touches fewer pages. Two events of one lead, or two
        // submissions, are never among what is written together, so theirs keep their order.
        requests.sort_by_key(|request| *request.accept.write.lead.id.as_bytes());
        announced.sort_by_key(|announced| *announced.event.id.as_bytes());
        write_requests(sql, &requests)?;
        INBOUND_LOG.run(sql, log.iter(), |values, row| {
            super::log::with_values(row, |columns| values.bind(columns))
        })?;
        write_announced(sql, &announced, claimed)?;
        ATTEMPTS.run(sql, attempts.iter(), |values, attempt| attempt.bind(values))
    }
}

fn write_requests(sql: &Connection, requests: &[Request]) -> rusqlite::Result<()> {
    let opened: Vec<_> =
        requests.iter().filter(|request| request.opens).map(|request| &request.accept.write.lead).collect();
    LEADS.run(sql, opened.iter(), |values, lead| {
        rows::with_lead_values(lead, |columns| values.bind(columns))
    })?;
    KNOWN_LEADS.run(sql, numbered(sql, &opened), |values, (seq, lead)| {
        values.bind(params![blob(&lead.workspace_id), lead.details.email.identity(), seq])
    })?;
    let submitted: Vec<_> = requests.iter().map(|request| Submitted::of(&request.accept)).collect();
    KNOWN_BODIES.run(sql, submitted.iter(), |values, Submitted { accept, entry, at, lead }| {
        let Accept { write, .. } = accept;
        let email = write.lead.details.email.identity();
        values.bind(params![blob(&write.lead.workspace_id), email, entry, blob(lead), at])
    })?;
    SUBMISSIONS.run(sql, submitted.iter(), |values, Submitted { accept, entry, at, lead }| {
        let submission = &accept.submission;
        let (id, endpoint, body) = (blob(&submission.id), blob(&submission.endpoint_id), &*submission.body);
        values.bind(params![id, blob(lead), endpoint, at, body, entry])
    })
}

fn write_announced(
    sql: &Connection,
    announced: &[Announced],
    claimed: &mut HashMap<DeliveryId, Option<Place>>,
) -> rusqlite::Result<()> {
    EVENTS.run(sql, announced.iter(), |values, Announced { event, .. }| {
        values.bind(params![
            blob(&event.id),
            blob(&event.workspace_id),
            blob(&event.lead_id),
            event.event_type.as_str(),
            event.at.unix_millis(),
            &*event.body
        ])
    })?;
    let deliveries: Vec<_> = numbered(sql, announced)
        .flat_map(|(event_seq, Announced { event, deliveries })| {
            deliveries.iter().map(move |(delivery, is_claimed)| (event_seq, event.at, delivery, *is_claimed))
        })
        .collect();
    DELIVERIES.run(sql, deliveries.iter(), |values, (event_seq, created_at, delivery, _)| {
        values.bind(params![
            blob(&delivery.id),
            blob(&delivery.workspace_id),
            event_seq,
            blob(&delivery.destination_id),
            delivery.due_at.unix_millis(),
            created_at.unix_millis()
        ])
    })?;
    for (seq, (_, created_at, delivery, is_claimed)) in numbered(sql, &deliveries) {
        if *is_claimed {
            claimed.insert(delivery.id, Some(Place { seq, created_at: *created_at }));
        }
    }
    Ok(())
}

/// The rows that were just inserted, each with its number: SQLite gives each one more than the last.
fn numbered<'r, R>(sql: &Connection, rows: &'r [R]) -> impl ExactSizeIterator<Item = (i64, &'r R)> {
    let end = sql.last_insert_rowid() + 1;
    rows.iter().enumerate().map(move |(place, row)| (end - (rows.len() - place) as i64, row))
}

/// What is kept of a request beside its lead.
struct Submitted<'a> {
    accept: &'a Accept,
    entry: [u8; 32],
    at: i64,
    lead: LeadId,
}

impl<'a> Submitted<'a> {
    fn of(accept: &'a Accept) -> Self {
        let entry = body_entry(blob(&accept.submission.endpoint_id), &accept.body_digest);
        Self { accept, entry, at: accept.submission.at.unix_millis(), lead: accept.write.lead.id }
    }
}

/// A body is unique at its endpoint, so the endpoint is part of the digest.
pub(super) fn body_entry(endpoint: &[u8], digest: &[u8; 32]) -> [u8; 32] {
    sha256(&[endpoint, digest.as_slice()].concat())
}
