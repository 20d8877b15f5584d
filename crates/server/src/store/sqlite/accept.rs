//! Accepting a request and deciding a lead, inside the writer's transaction.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::LeadId;
use rusqlite::{Connection, OptionalExtension, params};

use super::gathered::{IsClaimed, body_entry};
use super::job::Tx;
use super::rows::{self, blob, to_json};
use crate::id::{DeliveryId, DestinationId, mint};
use crate::record::{AuditRow, DueDelivery, EventRow, InboundStatus};
use crate::store::{Accept, Accepted, Basis, Decide, Decided, LeadWrite, Seen, SeenQuery};

/// Looks for an earlier acceptance: body first, then key.
pub(super) fn seen(sql: &Connection, query: &SeenQuery) -> rusqlite::Result<Seen> {
    // A moment that far ahead was set by a clock that was wrong; without an end it would count for years.
    let window =
        |length: Duration| (query.now.minus(length).unix_millis(), query.now.plus(length).unix_millis());
    if let Some(email) = &query.email_identity {
        let (after, upto) = window(query.duplicate_window);
        let entry = body_entry(blob(&query.endpoint_id), &query.body_digest);
        let body = sql
            .prepare_cached(
                "SELECT lead FROM known WHERE workspace = ? AND email_identity = ? AND entry = ? AND at > ? AND at <= ?",
            )?
            .query_row(params![blob(&query.workspace_id), email, entry, after, upto], |row| rows::id(row, "lead"))
            .optional()?;
        if let Some(lead) = body {
            return Ok(Seen::Duplicate(lead));
        }
    }
    let Some(name) = &query.idempotency_key else { return Ok(Seen::No) };
    let (after, upto) = window(Accept::IDEMPOTENCY_KEY_KEPT);
    let known: Option<([u8; 32], LeadId)> = sql
        .prepare_cached(
            "SELECT digest, lead FROM idempotency_keys WHERE workspace = ? AND key = ? AND at > ? AND at <= ?",
        )?
        .query_row(params![blob(&query.workspace_id), name, after, upto], |row| {
            Ok((row.get("digest")?, rows::id(row, "lead")?))
        })
        .optional()?;
    Ok(match known {
        None => Seen::No,
        Some((digest, lead)) if digest == query.body_digest => Seen::Duplicate(lead),
        Some(_) => Seen::KeyReused,
    })
}

/// Commits an accepted request.
pub(super) fn accept(tx: &mut Tx<'_>, accept: &Arc<Accept>) -> rusqlite::Result<Accepted> {
    let (submission, lead) = (&accept.submission, &accept.write.lead);
    let email = lead.details.email.identity();
    if tx.effects.gathered.knows(lead.workspace_id, email) {
        tx.write_gathered()?;
    }
    let newest = rows::newest_lead(tx.newest_lead()?, blob(&lead.workspace_id), email)?;
    let query = SeenQuery {
        workspace_id: lead.workspace_id,
        endpoint_id: submission.endpoint_id,
        // Every body came with a lead.
        email_identity: newest.as_ref().map(|_| email.to_owned()),
        body_digest: accept.body_digest,
        duplicate_window: accept.duplicate_window,
        idempotency_key: accept.idempotency_key.clone(),
        now: submission.at,
    };
    match seen(tx.sql, &query)? {
        Seen::No => {}
        Seen::KeyReused => return Ok(Accepted::KeyReused),
        Seen::Duplicate(lead) => {
            let mut log = accept.log.clone();
            log.status = InboundStatus::Duplicate;
            log.lead_id = Some(lead);
            tx.effects.gathered.log(log);
            return Ok(Accepted::Duplicate(lead));
        }
    }

    let joins = newest.as_ref().is_some_and(|newest| newest.id == *lead.id.as_bytes());
    let holds = match (accept.write.basis, &newest) {
        (Basis::NoLead, None) => true,
        // Whatever the plan is: while the newest lead is open nothing but its own change is written, so there is one at most.
        (Basis::Newest(id, version), Some(newest)) => {
            *id.as_bytes() == newest.id && version == newest.version && (joins || !newest.is_open)
        }
        _ => false,
    };
    if !holds {
        let found = newest.map(|newest| lead_at(tx.sql, newest.seq)).transpose()?.map(Box::new);
        return Ok(Accepted::Rebase(found));
    }

    if joins {
        rows::update_lead(tx.sql, lead)?;
    } else {
        tx.effects.hours.arrived(lead.workspace_id, lead.received_at);
    }
    if newest.is_some() {
        forget_body(tx.sql, accept)?;
    }
    tx.effects.gathered.request(accept, !joins);
    remember_key(tx.sql, accept)?;
    let deliveries = announce(tx, &accept.write)?;
    Ok(Accepted::Stored(deliveries))
}

fn lead_at(sql: &Connection, seq: i64) -> rusqlite::Result<crate::record::Lead> {
    sql.prepare_cached(&format!("SELECT {} FROM leads WHERE seq = ?", rows::LEAD_COLUMNS))?
        .query_row([seq], rows::lead)
}

/// Makes way for the request's body: where it is known all the same, it is past the window.
fn forget_body(sql: &Connection, accept: &Accept) -> rusqlite::Result<()> {
    let lead = &accept.write.lead;
    let entry = body_entry(blob(&accept.submission.endpoint_id), &accept.body_digest);
    sql.prepare_cached("DELETE FROM known WHERE workspace = ? AND email_identity = ? AND entry = ?")?
        .execute(params![blob(&lead.workspace_id), lead.details.email.identity(), entry])
        .map(|_| ())
}

/// The request's key, if it has one. A row that is still here is past its time.
fn remember_key(sql: &Connection, accept: &Accept) -> rusqlite::Result<()> {
    let Some(name) = &accept.idempotency_key else { return Ok(()) };
    let (lead, at) = (&accept.write.lead, accept.submission.at.unix_millis());
    sql.prepare_cached(
        "INSERT OR REPLACE INTO idempotency_keys (workspace, key, digest, lead, at) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute(params![blob(&lead.workspace_id), name, accept.body_digest, blob(&lead.id), at])?;
    Ok(())
}

/// Commits an operator's decision.
pub(super) fn decide(tx: &mut Tx<'_>, decide: &Decide) -> rusqlite::Result<Decided> {
    let lead = &decide.write.lead;
    let version: Option<u64> = tx
        .sql
        .prepare_cached("SELECT version FROM leads WHERE workspace = ? AND id = ?")?
        .query_row(params![blob(&lead.workspace_id), blob(&lead.id)], |row| row.get(0))
        .optional()?;
    let Some(version) = version else { return Ok(Decided::NotFound) };
    if decide.write.basis != Basis::Newest(lead.id, version) {
        return Ok(Decided::Changed);
    }
    rows::update_lead(tx.sql, lead)?;
    audit(tx.sql, &decide.audit)?;
    super::withdraw::supersede(tx, lead)?;
    Ok(Decided::Stored(announce(tx, &decide.write)?))
}

/// Writes an audit row.
pub(super) fn audit(sql: &Connection, row: &AuditRow) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO audit (id, workspace, at, operator, action, subject, changes) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        blob(&row.id),
        blob(&row.workspace_id),
        row.at.unix_millis(),
        blob(&row.operator_id),
        row.action,
        row.subject,
        (!row.changes.is_empty()).then(|| to_json(&row.changes)).transpose()?,
    ])?;
    Ok(())
}

/// Writes the event, and a delivery for each destination that wants it. Those due at once are claimed.
fn announce(tx: &mut Tx<'_>, write: &LeadWrite) -> rusqlite::Result<Vec<DueDelivery>> {
    let Some(event) = &write.event else { return Ok(Vec::new()) };
    tx.effects.hours.announced(event.workspace_id, event.at, event.event_type);
    let deliveries = deliveries(tx, write, event)?;
    let claimed =
        deliveries.iter().filter(|(_, is_claimed)| *is_claimed).map(|(delivery, _)| delivery.clone());
    let claimed = claimed.collect();
    tx.effects.gathered.event(event, deliveries);
    Ok(claimed)
}

/// A delivery for each destination that wants the event.
fn deliveries(
    tx: &mut Tx<'_>,
    write: &LeadWrite,
    event: &EventRow,
) -> rusqlite::Result<Vec<(DueDelivery, IsClaimed)>> {
    if tx.cache.destinations.is_none() {
        tx.cache.destinations = Some(rows::destinations(tx.sql)?);
    }
    let wanted: Vec<_> = tx
        .cache
        .destinations
        .iter()
        .flatten()
        .filter(|to| {
            to.workspace_id == event.workspace_id && to.enabled && to.event_types.contains(&event.event_type)
        })
        .map(|to| (to.id, to.sends()))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let held_up = held_up(tx, write, event)?;
    let wait = first_wait_seconds(tx, event)?;
    let due_at = event.at.plus(std::time::Duration::from_secs(wait.into()));
    let mut made = Vec::with_capacity(wanted.len());
    for (destination_id, sends) in wanted {
        tx.effects.hours.made(event.workspace_id, event.at, destination_id);
        let delivery = DueDelivery {
            id: mint(event.at),
            workspace_id: event.workspace_id,
            destination_id,
            event_id: event.id,
            event_type: event.event_type,
            lead_id: event.lead_id,
            body: event.body.clone(),
            attempt_number: 1,
            schedule_step: 0,
            due_at,
        };
        made.push((delivery, wait == 0 && sends && !held_up.contains(&destination_id)));
    }
    Ok(made)
}

/// Destinations where an earlier event of the lead waits, neither claimed nor attempted: the new one must not overtake it.
fn held_up(tx: &mut Tx<'_>, write: &LeadWrite, event: &EventRow) -> rusqlite::Result<Vec<DestinationId>> {
    if matches!(write.basis, Basis::NoLead) {
        return Ok(Vec::new());
    }
    let waiting: Vec<(DeliveryId, DestinationId)> = tx
        .sql
        .prepare_cached(
            "SELECT deliveries.id AS id, deliveries.destination AS destination
             FROM events JOIN deliveries ON deliveries.event = events.seq
             WHERE events.lead = ? AND deliveries.state = 0 AND deliveries.attempts = 0",
        )?
        .query_map([blob(&event.lead_id)], |row| Ok((rows::id(row, "id")?, rows::id(row, "destination")?)))?
        .collect::<Result<_, _>>()?;
    Ok(waiting.into_iter().filter(|(id, _)| !tx.is_claimed(id)).map(|(_, destination)| destination).collect())
}

/// The wait before the first attempt, from the workspace's settings.
fn first_wait_seconds(tx: &mut Tx<'_>, event: &EventRow) -> rusqlite::Result<u32> {
    if let Some(wait) = tx.cache.first_wait_seconds.get(&event.workspace_id) {
        return Ok(*wait);
    }
    let settings: Option<crate::record::Settings> = tx
        .sql
        .prepare_cached("SELECT settings FROM workspaces WHERE id = ?")?
        .query_row([blob(&event.workspace_id)], |row| rows::json(row, "settings"))
        .optional()?;
    let wait = settings.and_then(|settings| settings.retry_schedule_seconds.first().copied()).unwrap_or(0);
    tx.cache.first_wait_seconds.insert(event.workspace_id, wait);
    Ok(wait)
}
