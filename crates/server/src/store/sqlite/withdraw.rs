//! Deliveries that are not to be made any more: cancelled by people, or superseded by a decision.

use agentflow_events::{EventType, WorkspaceId};
use rusqlite::{OptionalExtension, params, params_from_iter};

use super::job::Tx;
use super::queue::{self, chosen};
use super::rows::{self, blob, to_json};
use crate::id::DeliveryId;
use crate::record::{AuditRow, DeliveryState, Lead, StateReason};
use crate::store::{Cancelled, ResendFilter};

/// Cancels pending deliveries; counts them.
pub(super) fn cancel(
    tx: &mut Tx<'_>,
    workspace: WorkspaceId,
    filter: &ResendFilter,
    audit: Option<&AuditRow>,
) -> rusqlite::Result<Cancelled> {
    let (conditions, mut values) = chosen(workspace, filter, DeliveryState::Pending);
    let which = format!(
        "SELECT deliveries.seq FROM deliveries JOIN events ON events.seq = deliveries.event
         WHERE {conditions} AND deliveries.state = 0"
    );
    let Some(audit) = audit else {
        let count = queue::count(tx.sql, &which, values)?;
        return Ok(Cancelled { count, claimed: Vec::new() });
    };
    tx.effects.hours.will_move(tx.sql, &which, &values, DeliveryState::Cancelled)?;
    values.insert(0, to_json(&StateReason::CancelledByOperator)?.into());
    let changed: Vec<DeliveryId> = tx
        .sql
        .prepare(&format!(
            "UPDATE deliveries SET state = 3, next_attempt_at = NULL, state_reason = ? WHERE seq IN ({which}) RETURNING id"
        ))?
        .query_map(params_from_iter(values), |row| rows::id(row, "id"))?
        .collect::<Result<_, _>>()?;
    queue::audit_changed(tx.sql, filter, changed.len(), audit)?;
    let count = changed.len() as u64;
    Ok(Cancelled { count, claimed: changed.into_iter().filter(|id| tx.is_claimed(id)).collect() })
}

/// Supersedes the pending deliveries of a decided lead's review request, where its workspace has it so set. An attempt that is
/// under way finishes: its delivery is marked, and superseded when that has failed.
pub(super) fn supersede(tx: &mut Tx<'_>, lead: &Lead) -> rusqlite::Result<()> {
    let pending: Vec<DeliveryId> = {
        let mut statement = tx.sql.prepare_cached(
            "SELECT deliveries.id AS id FROM events JOIN deliveries ON deliveries.event = events.seq
             WHERE events.lead = ? AND events.type = ? AND deliveries.state = 0",
        )?;
        let review = EventType::LeadReviewRequested.as_str();
        statement
            .query_map(params![blob(&lead.id), review], |row| rows::id(row, "id"))?
            .collect::<Result<_, _>>()?
    };
    if pending.is_empty() || !is_wanted(tx, lead)? {
        return Ok(());
    }
    let reason = to_json(&StateReason::LeadDecided)?;
    for id in pending {
        tx.sql
            .prepare_cached("UPDATE deliveries SET state_reason = ? WHERE id = ?")?
            .execute(params![reason, blob(&id)])?;
        if !tx.is_claimed(&id) {
            supersede_marked(tx, id)?;
        }
    }
    Ok(())
}

fn is_wanted(tx: &Tx<'_>, lead: &Lead) -> rusqlite::Result<bool> {
    let settings: Option<crate::record::Settings> = tx
        .sql
        .prepare_cached("SELECT settings FROM workspaces WHERE id = ?")?
        .query_row([blob(&lead.workspace_id)], |row| rows::json(row, "settings"))
        .optional()?;
    Ok(settings.is_some_and(|settings| settings.supersede_review_requests))
}

/// Supersedes what is marked so: at once, or when it is given back without an attempt.
pub(super) fn supersede_marked(tx: &mut Tx<'_>, id: DeliveryId) -> rusqlite::Result<()> {
    let which = "SELECT seq FROM deliveries WHERE id = ?";
    let id_value = [blob(&id).to_vec().into()];
    tx.effects.hours.will_move(tx.sql, which, &id_value, DeliveryState::Superseded)?;
    tx.sql
        .prepare_cached("UPDATE deliveries SET state = 4, next_attempt_at = NULL WHERE id = ?")?
        .execute([blob(&id)])
        .map(drop)
}
