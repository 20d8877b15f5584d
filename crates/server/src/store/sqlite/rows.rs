//! Records to columns and back.

use agentflow_events::{EventType, Id, IdKind, Moment};
use agentflow_lead::{Email, Fields, Submission, SubmittedAt};
use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Statement, ToSql, params};

use super::scored;
use crate::reason::Reason;
use crate::record::{
    Delivery, DeliveryState, Destination, EventRow, InboundLogRow, InboundStatus, Lead, LeadState,
};

/// An id as its column has it.
pub(super) fn blob<K: IdKind>(id: &Id<K>) -> &[u8] {
    id.as_bytes()
}

/// A column that does not hold what the schema says.
pub(super) fn bad(column: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        Type::Null,
        format!("`{column}` holds no usable value").into(),
    )
}

/// An id from its column.
pub(super) fn id<K: IdKind>(row: &Row<'_>, column: &str) -> rusqlite::Result<Id<K>> {
    let bytes = row.get_ref(column)?.as_blob().map_err(|_| bad(column))?;
    Ok(Id::from_bytes(bytes.try_into().map_err(|_| bad(column))?))
}

/// An id that may be null.
pub(super) fn id_or_null<K: IdKind>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Id<K>>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => id(row, column).map(Some),
    }
}

/// A moment from its column.
pub(super) fn moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Moment> {
    Ok(Moment::from_unix_millis(row.get(column)?))
}

/// A moment that may be null.
pub(super) fn moment_or_null(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Moment>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Moment::from_unix_millis))
}

/// JSON from its column.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str().map_err(|_| bad(column))?).map_err(|_| bad(column))
}

/// JSON that may be null.
pub(super) fn json_or_null<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => json(row, column).map(Some),
    }
}

/// JSON for a column. The records that are kept so have no map with other keys than text.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn status_number(status: InboundStatus) -> i64 {
    match status {
        InboundStatus::Received => 0,
        InboundStatus::Duplicate => 1,
        InboundStatus::Rejected(_) => 2,
    }
}

pub(super) fn state_number(state: LeadState) -> i64 {
    match state {
        LeadState::Received => 0,
        LeadState::InReview => 1,
        LeadState::Qualified => 2,
        LeadState::Rejected => 3,
    }
}

pub(super) fn delivery_state_number(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Pending => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::Dead => 2,
        DeliveryState::Cancelled => 3,
        DeliveryState::Superseded => 4,
    }
}

/// A delivery's state, from the column `state`.
pub(super) fn delivery_state(row: &Row<'_>) -> rusqlite::Result<DeliveryState> {
    let number: i64 = row.get("state")?;
    let mut all = DeliveryState::ALL.into_iter();
    all.find(|known| delivery_state_number(*known) == number).ok_or_else(|| bad("state"))
}

/// The columns of a lead, for [`lead`].
pub(super) const LEAD_COLUMNS: &str =
    "seq, id, leads.workspace AS workspace, version, state, email, name, company, message, source,
    submitted_at, fields, previous, scored, decision, received_at, scored_at";

/// A lead from a row of [`LEAD_COLUMNS`].
pub(super) fn lead(row: &Row<'_>) -> rusqlite::Result<Lead> {
    let submitted_at: Option<String> = row.get("submitted_at")?;
    let details = Submission {
        name: row.get("name")?,
        email: Email::parse(&row.get::<_, String>("email")?).map_err(|_| bad("email"))?,
        company: row.get("company")?,
        message: row.get("message")?,
        source: row.get("source")?,
        submitted_at: match submitted_at {
            Some(text) => Some(SubmittedAt::parse(&text).map_err(|_| bad("submitted_at"))?),
            None => None,
        },
        fields: Fields::from_json(&row.get::<_, String>("fields")?).map_err(|_| bad("fields"))?,
    };
    let state: i64 = row.get("state")?;
    Ok(Lead {
        id: id(row, "id")?,
        workspace_id: id(row, "workspace")?,
        version: row.get("version")?,
        state: LeadState::ALL
            .into_iter()
            .find(|known| state_number(*known) == state)
            .ok_or_else(|| bad("state"))?,
        details,
        previous_lead_id: id_or_null(row, "previous")?,
        scored: scored::from_column(row)?,
        decision: json_or_null(row, "decision")?,
        received_at: moment(row, "received_at")?,
        scored_at: moment_or_null(row, "scored_at")?,
    })
}

/// The columns of [`with_lead_values`].
pub(super) const LEAD_VALUES: &str =
    "version, state, email_identity, email, name, company, message, source, submitted_at, fields, previous, scored,
     decision, received_at, scored_at, decided_at, workspace, id";

/// Puts a lead in place of the one with its id.
pub(super) fn update_lead(sql: &Connection, lead: &Lead) -> rusqlite::Result<()> {
    let mut statement = sql.prepare_cached(
        "UPDATE leads SET version = ?, state = ?, email_identity = ?, email = ?, name = ?, company = ?, message = ?,
             source = ?, submitted_at = ?, fields = ?, previous = ?, scored = ?, decision = ?, received_at = ?,
             scored_at = ?, decided_at = ? WHERE workspace = ? AND id = ?",
    )?;
    with_lead_values(lead, |values| statement.execute(values).map(|_| ()))
}

/// A lead's values, in the order of [`LEAD_VALUES`].
pub(super) fn with_lead_values(
    lead: &Lead,
    then: impl FnOnce(&[&dyn ToSql]) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let details = &lead.details;
    then(params![
        lead.version,
        state_number(lead.state),
        details.email.identity(),
        details.email.as_sent(),
        details.name,
        details.company,
        details.message,
        details.source,
        details.submitted_at.as_ref().map(SubmittedAt::as_sent),
        details.fields.to_json(),
        lead.previous_lead_id.as_ref().map(blob),
        lead.scored.as_ref().map(scored::to_json).transpose()?,
        lead.decision.as_ref().map(to_json).transpose()?,
        lead.received_at.unix_millis(),
        lead.scored_at.map(Moment::unix_millis),
        lead.decision.as_ref().map(|decision| decision.decided_at.unix_millis()),
        blob(&lead.workspace_id),
        blob(&lead.id),
    ])
}

/// An event type from its name.
pub(super) fn event_type(row: &Row<'_>, column: &str) -> rusqlite::Result<EventType> {
    let name = row.get_ref(column)?.as_str().map_err(|_| bad(column))?;
    name.parse().map_err(|_| bad(column))
}

/// The columns of an event, for [`event`].
pub(super) const EVENT_COLUMNS: &str = "seq, id, workspace, lead, type, at, body";

/// An event from a row of [`EVENT_COLUMNS`].
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        id: id(row, "id")?,
        workspace_id: id(row, "workspace")?,
        lead_id: id(row, "lead")?,
        event_type: event_type(row, "type")?,
        at: moment(row, "at")?,
        body: Bytes::from(row.get::<_, Vec<u8>>("body")?),
    })
}

/// A log row.
pub(super) fn log_row(row: &Row<'_>) -> rusqlite::Result<InboundLogRow> {
    let status = match row.get::<_, i64>("status")? {
        0 => InboundStatus::Received,
        1 => InboundStatus::Duplicate,
        _ => {
            let code: String = row.get("reason")?;
            InboundStatus::Rejected(Reason::from_code(&code).ok_or_else(|| bad("reason"))?)
        }
    };
    Ok(InboundLogRow {
        id: id(row, "id")?,
        workspace_id: id(row, "workspace")?,
        at: moment(row, "at")?,
        status,
        remote_addr: row.get::<_, String>("remote")?.parse().map_err(|_| bad("remote"))?,
        body_bytes: row.get("body_bytes")?,
        lead_id: id_or_null(row, "lead")?,
        finding: json_or_null(row, "finding")?,
    })
}

/// A destination.
pub(super) fn destination(row: &Row<'_>) -> rusqlite::Result<Destination> {
    Ok(Destination {
        id: id(row, "id")?,
        workspace_id: id(row, "workspace")?,
        url: row.get("url")?,
        event_types: json(row, "event_types")?,
        enabled: row.get("enabled")?,
        paused: row.get("paused")?,
        disabled_reason: json_or_null(row, "disabled_reason")?,
        created_at: moment(row, "created_at")?,
        failing_since: moment_or_null(row, "failing_since")?,
        max_in_flight: row.get("max_in_flight")?,
        per_second: row.get("per_second")?,
    })
}

/// Every destination, oldest first.
pub(super) fn destinations(sql: &Connection) -> rusqlite::Result<Vec<Destination>> {
    sql.prepare_cached("SELECT * FROM destinations ORDER BY id")?.query_map([], destination)?.collect()
}

/// The columns of a delivery, for [`delivery`].
pub(super) const DELIVERY_COLUMNS: &str = "deliveries.seq AS seq, deliveries.id AS id, deliveries.workspace AS workspace,
    events.id AS event_id, events.type AS type, events.lead AS lead, deliveries.destination AS destination,
    deliveries.state AS state, deliveries.state_reason AS state_reason, deliveries.next_attempt_at AS next_attempt_at, deliveries.created_at AS created_at
    FROM deliveries JOIN events ON events.seq = deliveries.event";

/// A delivery without attempts, from a row of [`DELIVERY_COLUMNS`].
pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: id(row, "id")?,
        workspace_id: id(row, "workspace")?,
        event_id: id(row, "event_id")?,
        event_type: event_type(row, "type")?,
        lead_id: id(row, "lead")?,
        destination_id: id(row, "destination")?,
        state: delivery_state(row)?,
        state_reason: json_or_null(row, "state_reason")?,
        next_attempt_at: moment_or_null(row, "next_attempt_at")?,
        created_at: moment(row, "created_at")?,
        attempts: Vec::new(),
    })
}

/// The newest lead with an email, as far as a write has to know it.
pub(super) struct Newest {
    pub(super) seq: i64,
    pub(super) id: [u8; 16],
    pub(super) version: u64,
    pub(super) is_open: bool,
}

/// For [`newest_lead`].
pub(super) const NEWEST_LEAD: &str = "SELECT seq, id, version, state IN (0, 1) FROM leads WHERE seq = (
    SELECT entry FROM known WHERE workspace = ? AND email_identity = ? AND entry < x'' ORDER BY entry DESC LIMIT 1)";

/// The newest lead with an email.
pub(super) fn newest_lead(
    statement: &mut Statement<'_>,
    workspace: &[u8],
    identity: &str,
) -> rusqlite::Result<Option<Newest>> {
    statement
        .query_row(params![workspace, identity], |row| {
            Ok(Newest { seq: row.get(0)?, id: row.get(1)?, version: row.get(2)?, is_open: row.get(3)? })
        })
        .optional()
}
