//! The delivery queue, inside the writer's transaction.

use std::time::Duration;

use agentflow_events::{Moment, WorkspaceId};
use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::accept;
use super::job::{Place, Tx};
use super::query::{Conditions, delivery_conditions};
use super::rows::{self, blob, to_json};
use crate::id::{DeliveryId, DestinationId};
use crate::record::{AuditRow, DeliveryState, Destination, DestinationChange, DueDelivery, StateReason};
use crate::store::{DeliveryFilter, ResendFilter};

/// Rows looked at for each that may be claimed, where the most recent ones have to wait for earlier ones of their lead.
const LOOKED_AT_MAX: usize = 8;

/// Due deliveries of a destination. `earlier`: the last event of the same lead before it whose turn is not over. Its order of
/// looking is fixed, lead first: by the destination it would walk the whole backlog for every row.
const DUE: &str = "SELECT deliveries.seq AS seq, deliveries.id AS id, deliveries.workspace AS workspace,
         deliveries.created_at AS created_at, deliveries.next_attempt_at AS due_at,
         deliveries.state_reason AS state_reason, deliveries.attempts AS attempts, deliveries.step AS step,
         events.id AS event_id, events.type AS type, events.lead AS lead, events.body AS body,
         (SELECT before.id FROM events AS sooner
              CROSS JOIN deliveries AS before INDEXED BY deliveries_of_event ON before.event = sooner.seq
          WHERE sooner.lead = events.lead AND sooner.seq < events.seq
              AND before.destination = deliveries.destination AND before.state = 0
              AND (before.attempts = 0 OR before.next_attempt_at <= ?3)
          ORDER BY sooner.seq DESC LIMIT 1) AS earlier
     FROM deliveries JOIN events ON events.seq = deliveries.event
     WHERE deliveries.destination = ?1 AND deliveries.state = 0 AND deliveries.next_attempt_at <= ?2";
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MAX_SECONDS: u64 = 86_400;

/// What has been due longest first.
pub(super) fn longest() -> String {
    format!("{DUE} ORDER BY deliveries.next_attempt_at, deliveries.seq")
}

/// What came due most recently first.
pub(super) fn latest() -> String {
    format!("{DUE} ORDER BY deliveries.next_attempt_at DESC, deliveries.seq DESC")
}

/// Claims what is due at a destination, oldest due first.
pub(super) fn claim_due(
    tx: &mut Tx<'_>,
    destination: DestinationId,
    now: Moment,
    limit: usize,
) -> rusqlite::Result<Option<Vec<DueDelivery>>> {
    if !sends(tx, destination)? {
        return Ok(None);
    }
    let (mut due, mut superseded) = (Vec::new(), Vec::new());
    loop {
        let (claimed, mut waits) = (due.len(), false);
        let sql = tx.sql;
        let mut statement = sql.prepare_cached(&longest())?;
        // Retries do not hold up what follows them.
        let mut found = statement.query(params![blob(&destination), now.unix_millis(), i64::MIN])?;
        while due.len() < limit
            && let Some(row) = found.next()?
        {
            let earlier: Option<DeliveryId> = rows::id_or_null(row, "earlier")?;
            if earlier.is_some_and(|earlier| !tx.is_claimed(&earlier)) {
                waits = true;
                continue;
            }
            claim(tx, row, destination, &mut due, &mut superseded)?;
        }
        let gone = superseded.len();
        supersede(tx, &mut superseded)?;
        // What waits for one of these can follow now: a clock that was set back may have the later one due first.
        let moved = due.len() > claimed || gone > 0;
        if !waits || !moved || due.len() == limit {
            return Ok(Some(due));
        }
    }
}

/// Claims what came due most recently at a destination and overtakes nothing of its own lead.
pub(super) fn claim_latest(
    tx: &mut Tx<'_>,
    destination: DestinationId,
    now: Moment,
    limit: usize,
) -> rusqlite::Result<Option<Vec<DueDelivery>>> {
    if !sends(tx, destination)? {
        return Ok(None);
    }
    let (mut due, mut superseded) = (Vec::new(), Vec::new());
    let sql = tx.sql;
    let mut statement = sql.prepare_cached(&latest())?;
    let mut found = statement.query(params![blob(&destination), now.unix_millis(), now.unix_millis()])?;
    let mut looked_at = 0;
    while due.len() < limit
        && looked_at < limit.saturating_mul(LOOKED_AT_MAX)
        && let Some(row) = found.next()?
    {
        looked_at += 1;
        if rows::id_or_null::<crate::id::DeliveryKind>(row, "earlier")?.is_none() {
            claim(tx, row, destination, &mut due, &mut superseded)?;
        }
    }
    supersede(tx, &mut superseded)?;
    due.reverse();
    Ok(Some(due))
}

/// After the rows were read: what is read is not changed.
fn supersede(tx: &mut Tx<'_>, marked: &mut Vec<DeliveryId>) -> rusqlite::Result<()> {
    marked.drain(..).try_for_each(|id| super::withdraw::supersede_marked(tx, id))
}

/// Claims a row of [`DUE`], unless it is claimed.
fn claim(
    tx: &mut Tx<'_>,
    row: &Row<'_>,
    destination: DestinationId,
    due: &mut Vec<DueDelivery>,
    superseded: &mut Vec<DeliveryId>,
) -> rusqlite::Result<()> {
    let id: DeliveryId = rows::id(row, "id")?;
    if tx.is_claimed(&id) {
        return Ok(());
    }
    if rows::json_or_null::<StateReason>(row, "state_reason")?.is_some() {
        // Marked while it was claimed, and given back without an attempt.
        superseded.push(id);
        return Ok(());
    }
    tx.claim(id, Place { seq: row.get("seq")?, created_at: rows::moment(row, "created_at")? });
    due.push(DueDelivery {
        id,
        workspace_id: rows::id(row, "workspace")?,
        destination_id: destination,
        event_id: rows::id(row, "event_id")?,
        event_type: rows::event_type(row, "type")?,
        lead_id: rows::id(row, "lead")?,
        body: Bytes::from(row.get::<_, Vec<u8>>("body")?),
        attempt_number: row.get::<_, u32>("attempts")? + 1,
        schedule_step: u32::try_from(row.get::<_, i64>("step")?).unwrap_or(0),
        due_at: rows::moment(row, "due_at")?,
    });
    Ok(())
}

fn sends(tx: &mut Tx<'_>, destination: DestinationId) -> rusqlite::Result<bool> {
    Ok(all_destinations(tx)?.iter().any(|known| known.id == destination && known.sends()))
}

pub(super) fn all_destinations<'a>(tx: &'a mut Tx<'_>) -> rusqlite::Result<&'a mut Vec<Destination>> {
    if tx.cache.destinations.is_none() {
        tx.cache.destinations = Some(rows::destinations(tx.sql)?);
    }
    Ok(tx.cache.destinations.get_or_insert_default())
}

/// When the next unclaimed delivery of each destination is due.
pub(super) fn next_due(tx: &mut Tx<'_>) -> rusqlite::Result<Vec<(DestinationId, Moment)>> {
    let all: Vec<DestinationId> = all_destinations(tx)?.iter().map(|known| known.id).collect();
    let mut next = Vec::new();
    let mut statement = tx.sql.prepare_cached(&longest())?;
    for destination in all {
        let mut found = statement.query(params![blob(&destination), i64::MAX, i64::MIN])?;
        while let Some(row) = found.next()? {
            // What follows an earlier one of its lead has its turn when that one has.
            let earlier: Option<DeliveryId> = rows::id_or_null(row, "earlier")?;
            let waits = earlier.is_some_and(|earlier| !tx.is_claimed(&earlier));
            if !waits && !tx.is_claimed(&rows::id(row, "id")?) {
                next.push((destination, rows::moment(row, "due_at")?));
                break;
            }
        }
    }
    Ok(next)
}

/// Makes due now what no schedule can have put so far ahead. Answers how many.
pub(super) fn mend_due_times(sql: &Connection, now: Moment) -> rusqlite::Result<u64> {
    let mut mended = 0;
    for workspace in super::admin::workspaces(sql)? {
        let longest = workspace.settings.retry_schedule_seconds.iter().copied().max().unwrap_or(0);
        // What a receiver may ask for is longer than the default schedule's waits; jitter lengthens both.
        let longest = Duration::from_secs(u64::from(longest).max(RETRY_AFTER_MAX_SECONDS));
        mended += sql.execute(
            "UPDATE deliveries SET next_attempt_at = ?1
             WHERE state = 0 AND workspace = ?2 AND next_attempt_at > ?3 AND destination IN (SELECT id FROM destinations)",
            params![now.unix_millis(), blob(&workspace.id), now.plus(longest).plus(longest / 2).unix_millis()],
        )?;
    }
    Ok(mended as u64)
}

/// Changes a destination of the audit row's workspace as it stands.
pub(super) fn change_destination(
    tx: &mut Tx<'_>,
    id: DestinationId,
    change: &DestinationChange,
    audit: &AuditRow,
) -> rusqlite::Result<Option<Destination>> {
    let mut all = all_destinations(tx)?.iter_mut();
    let Some(known) = all.find(|known| known.id == id && known.workspace_id == audit.workspace_id) else {
        return Ok(None);
    };
    let before = known.clone();
    change.clone().apply(known);
    let changed = known.clone();
    put_destination(tx.sql, &changed)?;
    super::operational::tell_change(tx.sql, &before, &changed, audit.at)?;
    accept::audit(tx.sql, audit)?;
    Ok(Some(changed))
}

/// Inserts a destination or puts it in place.
pub(super) fn put_destination(sql: &Connection, to: &Destination) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT OR REPLACE INTO destinations
             (id, workspace, url, event_types, enabled, paused, disabled_reason, created_at, failing_since,
              max_in_flight, per_second)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        blob(&to.id),
        blob(&to.workspace_id),
        to.url,
        to_json(&to.event_types)?,
        to.enabled,
        to.paused,
        to.disabled_reason.as_ref().map(to_json).transpose()?,
        to.created_at.unix_millis(),
        to.failing_since.map(Moment::unix_millis),
        to.max_in_flight,
        to.per_second,
    ])?;
    Ok(())
}

/// Makes deliveries due at once, with the schedule begun anew; counts them.
pub(super) fn resend(
    tx: &mut Tx<'_>,
    workspace: WorkspaceId,
    filter: &ResendFilter,
    now: Moment,
    audit: Option<&AuditRow>,
) -> rusqlite::Result<u64> {
    let (conditions, mut values) = chosen(workspace, filter, DeliveryState::Dead);
    let which = format!(
        "SELECT deliveries.seq FROM deliveries JOIN events ON events.seq = deliveries.event
         WHERE {conditions} AND deliveries.destination IN (SELECT id FROM destinations)"
    );
    let Some(audit) = audit else {
        return count(tx.sql, &which, values);
    };
    tx.effects.hours.will_move(tx.sql, &which, &values, DeliveryState::Pending)?;
    values.insert(0, now.unix_millis().into());
    let changed: Vec<DeliveryId> = tx
        .sql
        .prepare(&format!(
            "UPDATE deliveries SET state = 0, state_reason = NULL, step = 0, next_attempt_at = ? WHERE seq IN ({which}) RETURNING id"
        ))?
        .query_map(params_from_iter(values), |row| rows::id(row, "id"))?
        .collect::<Result<_, _>>()?;
    for id in changed.iter().filter(|id| tx.is_claimed(id)) {
        tx.sql.prepare_cached("UPDATE deliveries SET step = -1 WHERE id = ?")?.execute([blob(id)])?;
    }
    audit_changed(tx.sql, filter, changed.len(), audit)?;
    Ok(changed.len() as u64)
}

/// Which deliveries are meant, of a filter without a state those in `state`.
pub(super) fn chosen(workspace: WorkspaceId, filter: &ResendFilter, state: DeliveryState) -> Conditions {
    match filter {
        ResendFilter::One(id) => {
            let conditions = "deliveries.workspace = ? AND deliveries.id = ?".to_owned();
            (conditions, vec![blob(&workspace).to_vec().into(), blob(id).to_vec().into()])
        }
        ResendFilter::Matching(filter) => {
            let state = filter.state.or(Some(state));
            delivery_conditions(workspace, &DeliveryFilter { state, ..filter.clone() })
        }
    }
}

/// How many rows a selection has.
pub(super) fn count(sql: &Connection, which: &str, values: Vec<Value>) -> rusqlite::Result<u64> {
    sql.query_row(&format!("SELECT count(*) FROM ({which})"), params_from_iter(values), |row| row.get(0))
}

/// Tells who changed deliveries, unless there were none; of a filter, how many.
pub(super) fn audit_changed(
    sql: &Connection,
    filter: &ResendFilter,
    changed: usize,
    audit: &AuditRow,
) -> rusqlite::Result<()> {
    if changed == 0 {
        return Ok(());
    }
    let mut audit = audit.clone();
    if let ResendFilter::Matching(_) = filter {
        audit.subject = changed.to_string();
    }
    accept::audit(sql, &audit)
}
