//! The end of an attempt, inside the writer's transaction: what becomes of the delivery, and what it tells of the destination.

use std::sync::Arc;

use agentflow_events::Moment;
use rusqlite::{Connection, OptionalExtension, params};

use super::attempts::{self, NewAttempt};
use super::job::{Place, Tx};
use super::operational::tell;
use super::queue::{all_destinations, put_destination};
use super::rows::{self, blob, to_json};
use crate::id::DeliveryId;
use crate::record::{
    AttemptOutcome, DeliveryState, Destination, DisabledReason, FinishedAttempt, OperationKind, OperationRow,
};

/// Records an attempt. Answers what that told of the destination.
pub(super) fn attempt(
    tx: &mut Tx<'_>,
    finished: &Arc<FinishedAttempt>,
) -> rusqlite::Result<Option<OperationRow>> {
    let claimed = tx.claimed(&finished.delivery_id);
    tx.end_claim(finished.delivery_id);
    let delivered = match (&finished.outcome, claimed) {
        (AttemptOutcome::Delivered, Some(place)) if deliver(tx, finished, place)? => Some(place.seq),
        _ => None,
    };
    let seq = match delivered {
        Some(seq) => Some(seq),
        None => change(tx, finished)?,
    };
    // Deleted with its lead by the retention: nothing is left to record it for.
    let Some(seq) = seq else { return Ok(None) };
    let attempt = NewAttempt::of(tx, seq, finished)?;
    tx.effects.gathered.attempt(attempt);
    mark_destination(tx, finished)
}

/// For [`deliver`].
pub(super) const DELIVER: &str =
    "UPDATE deliveries SET attempts = ?1, next_attempt_at = NULL, state = 1, state_reason = NULL,
         step = iif(step < 0, 0, step + 1) WHERE seq = ?2 AND id = ?3 AND state = 0 AND attempts < ?1";

/// The end of nearly every delivery: pending and attempted with success, which needs no look at it before. False: it is no longer
/// pending, or an attempt with this number may be recorded already.
fn deliver(tx: &mut Tx<'_>, finished: &FinishedAttempt, place: Place) -> rusqlite::Result<bool> {
    let values = params![finished.attempt.number, place.seq, blob(&finished.delivery_id)];
    let changed = tx.deliver()?.execute(values)?;
    if changed > 0 {
        let states = [DeliveryState::Pending, DeliveryState::Delivered];
        tx.effects.hours.moved(finished.workspace_id, place.created_at, finished.destination_id, states);
    }
    Ok(changed > 0)
}

/// Makes of a delivery what follows from the attempt. Answers its number; none where it is gone.
fn change(tx: &mut Tx<'_>, finished: &FinishedAttempt) -> rusqlite::Result<Option<i64>> {
    let Some(attempted) = Attempted::find(tx.sql, finished.delivery_id)? else { return Ok(None) };
    let (state, next_attempt_at) = attempted.after(&finished.outcome);
    // A reason is one of not being delivered.
    let is_reason_gone = state == DeliveryState::Delivered;
    tx.sql
        .prepare_cached(
            "UPDATE deliveries SET attempts = max(attempts, ?), next_attempt_at = ?, state = ?,
                 state_reason = iif(?, NULL, state_reason), step = iif(step < 0, 0, step + 1) WHERE seq = ?",
        )?
        .execute(params![
            finished.attempt.number,
            next_attempt_at.map(Moment::unix_millis),
            rows::delivery_state_number(state),
            is_reason_gone,
            attempted.seq
        ])?;
    let (workspace, destination) = (finished.workspace_id, finished.destination_id);
    tx.effects.hours.moved(workspace, attempted.created_at, destination, [attempted.state, state]);
    attempts::forget(tx.sql, attempted.seq, finished.attempt.number)?;
    Ok(Some(attempted.seq))
}

/// A delivery whose attempt has ended, as it has become meanwhile.
struct Attempted {
    seq: i64,
    state: DeliveryState,
    created_at: Moment,
    next_attempt_at: Option<Moment>,
    /// A reason on a pending one: superseded while the attempt was under way.
    is_marked: bool,
    /// A negative step: sent again while the attempt was under way.
    is_sent_again: bool,
}

impl Attempted {
    fn find(sql: &Connection, id: DeliveryId) -> rusqlite::Result<Option<Self>> {
        sql.prepare_cached(
            "SELECT seq, state, created_at, next_attempt_at, state_reason IS NOT NULL AS is_marked, step < 0 AS is_sent_again
             FROM deliveries WHERE id = ?",
        )?
        .query_row([blob(&id)], |row| {
            Ok(Self {
                seq: row.get("seq")?,
                state: rows::delivery_state(row)?,
                created_at: rows::moment(row, "created_at")?,
                next_attempt_at: rows::moment_or_null(row, "next_attempt_at")?,
                is_marked: row.get("is_marked")?,
                is_sent_again: row.get("is_sent_again")?,
            })
        })
        .optional()
    }

    /// What becomes of it, and when it is tried again.
    fn after(&self, outcome: &AttemptOutcome) -> (DeliveryState, Option<Moment>) {
        match outcome {
            // Cancelled meanwhile: the attempt is kept, the state stays.
            _ if self.state != DeliveryState::Pending => (self.state, self.next_attempt_at),
            AttemptOutcome::Delivered => (DeliveryState::Delivered, None),
            // The failure is its last.
            _ if self.is_marked => (DeliveryState::Superseded, None),
            // The new schedule stands.
            _ if self.is_sent_again => (DeliveryState::Pending, self.next_attempt_at),
            AttemptOutcome::RetryAt(at) => (DeliveryState::Pending, Some(*at)),
            AttemptOutcome::Dead | AttemptOutcome::Gone => (DeliveryState::Dead, None),
        }
    }
}

/// Keeps how long a destination has been failing, and disables it where that, or a 410, says so.
fn mark_destination(tx: &mut Tx<'_>, finished: &FinishedAttempt) -> rusqlite::Result<Option<OperationRow>> {
    let at = finished.attempt.at;
    let Some(known) = all_destinations(tx)?.iter_mut().find(|known| known.id == finished.destination_id)
    else {
        return Ok(None);
    };
    if finished.outcome == AttemptOutcome::Delivered && known.failing_since.is_none() {
        return Ok(None);
    }
    let before = known.clone();
    match finished.outcome {
        AttemptOutcome::Delivered => known.failing_since = None,
        AttemptOutcome::RetryAt(_) | AttemptOutcome::Dead | AttemptOutcome::Gone => {
            let since = *known.failing_since.get_or_insert(at);
            let reason = if finished.outcome == AttemptOutcome::Gone {
                Some(DisabledReason::Gone)
            } else if at.since(since) >= finished.disable_after {
                Some(DisabledReason::Failing)
            } else {
                None
            };
            if known.enabled && reason.is_some() {
                known.enabled = false;
                known.disabled_reason = reason;
            }
        }
    }
    let changed = known.clone();
    if changed != before {
        put_destination(tx.sql, &changed)?;
    }
    if before.enabled && !changed.enabled {
        let message = match changed.disabled_reason {
            Some(DisabledReason::Gone) => {
                "The destination answered 410 and was disabled. Mend or delete it; a test event that is delivered enables it again."
            }
            _ => {
                "Every attempt of 120 hours failed, and the destination was disabled. A test event that is delivered enables it again."
            }
        };
        return tell(tx.sql, &changed, at, OperationKind::DestinationDisabled, message).map(Some);
    }
    warn_of_failing(tx, &changed, finished)
}

/// Warns once, at half of the time.
fn warn_of_failing(
    tx: &Tx<'_>,
    to: &Destination,
    finished: &FinishedAttempt,
) -> rusqlite::Result<Option<OperationRow>> {
    let (Some(since), true) = (to.failing_since, to.enabled) else { return Ok(None) };
    let at = finished.attempt.at;
    if at.since(since) < finished.disable_after / 2 || is_warned(tx, to, since)? {
        return Ok(None);
    }
    let (hours, all) = (at.since(since).as_secs() / 3_600, finished.disable_after.as_secs() / 3_600);
    let message =
        format!("Every attempt of {hours} hours failed; after {all} hours the destination will be disabled.");
    tell(tx.sql, to, at, OperationKind::DestinationFailing, &message).map(Some)
}

fn is_warned(tx: &Tx<'_>, to: &Destination, since: Moment) -> rusqlite::Result<bool> {
    tx.sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM operational_log
             WHERE workspace = ? AND destination = ? AND kind = ? AND at >= ?)",
        )?
        .query_row(
            params![
                blob(&to.workspace_id),
                blob(&to.id),
                to_json(&OperationKind::DestinationFailing)?,
                since.unix_millis()
            ],
            |row| row.get(0),
        )
}
