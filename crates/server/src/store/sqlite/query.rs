//! Reading, on connections of its own.

use agentflow_events::{LeadId, WorkspaceId};
use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::rows::{self, blob, delivery_state_number, state_number};
use super::{admin, attempts};
use crate::id::DeliveryId;
use crate::record::{AuditRow, Delivery, InboundLogRow, Lead, LeadState, StoredSubmission};
use crate::store::{
    AuditFilter, Cursor, DeliveryFilter, InboundLogFilter, LeadFilter, Page, PageRequest, Submissions,
};

/// Conditions joined by AND, and their values.
pub(super) type Conditions = (String, Vec<Value>);

struct Where(Vec<String>, Vec<Value>);

impl Where {
    fn in_workspace(column: &str, workspace: WorkspaceId) -> Self {
        Self(vec![format!("{column} = ?")], vec![blob(&workspace).to_vec().into()])
    }

    fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.push(condition.to_owned());
            self.1.push(value.into());
        }
    }

    fn finish(self) -> Conditions {
        (self.0.join(" AND "), self.1)
    }
}

fn page<T>(
    sql: &Connection,
    select: &str,
    seq: &str,
    conditions: Conditions,
    request: PageRequest,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Page<T>> {
    page_from(sql, select, (seq, Walk::NewestFirst), conditions, request, read)
}

/// Which end a list begins at.
#[derive(Clone, Copy)]
enum Walk {
    NewestFirst,
    OldestFirst,
}

fn page_from<T>(
    sql: &Connection,
    select: &str,
    (seq, walk): (&str, Walk),
    (mut conditions, mut values): Conditions,
    request: PageRequest,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Page<T>> {
    let (beyond, direction) = match walk {
        Walk::NewestFirst => ("<", "DESC"),
        Walk::OldestFirst => (">", "ASC"),
    };
    if let Some(Cursor(last)) = request.cursor {
        conditions.push_str(&format!(" AND {seq} {beyond} ?"));
        values.push(last.into());
    }
    let limit = request.limit.clamp(1, 100);
    // One more than asked for tells whether another page follows.
    let query = format!("SELECT {select} WHERE {conditions} ORDER BY {seq} {direction} LIMIT {}", limit + 1);
    let mut statement = sql.prepare_cached(&query)?;
    let mut found = statement.query(params_from_iter(values))?;
    let (mut items, mut last, mut more) = (Vec::new(), 0, false);
    while let Some(row) = found.next()? {
        if items.len() == limit {
            more = true;
            break;
        }
        last = row.get("seq")?;
        items.push(read(row)?);
    }
    Ok(Page { items, next_cursor: more.then_some(Cursor(last)) })
}

pub(super) fn leads(
    sql: &Connection,
    workspace: WorkspaceId,
    filter: &LeadFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<Lead>> {
    let open = filter.state.is_some_and(LeadState::is_open);
    // The plus keeps the index by email out of it, which would have the whole workspace sorted for one page.
    let column = if open || filter.email.is_some() { "workspace" } else { "+workspace" };
    let mut conditions = Where::in_workspace(column, workspace);
    if let Some(state) = filter.state {
        // Written out, since the index of open leads is used only where the query names them.
        let of_open = if open { "state IN (0, 1) AND " } else { "" };
        conditions.0.push(format!("{of_open}state = {}", state_number(state)));
    }
    conditions.and("email_identity = ?", filter.email.clone());
    conditions.and("source = ?", filter.source.clone());
    if let Some(text) = &filter.text {
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let pattern = format!("%{escaped}%");
        let columns = ["name", "email", "company", "message"];
        conditions
            .0
            .push(format!("({})", columns.map(|column| format!("{column} LIKE ? ESCAPE '\\'")).join(" OR ")));
        conditions.1.extend(columns.map(|_| Value::from(pattern.clone())));
    }
    let walk = if filter.oldest_first { Walk::OldestFirst } else { Walk::NewestFirst };
    let select = format!("{} FROM leads", rows::LEAD_COLUMNS);
    page_from(sql, &select, ("seq", walk), conditions.finish(), request, rows::lead)
}

pub(super) fn count_leads(
    sql: &Connection,
    workspace: WorkspaceId,
    state: LeadState,
    at_most: u32,
) -> rusqlite::Result<u32> {
    let of_open = if state.is_open() { "state IN (0, 1) AND " } else { "" };
    let query = format!(
        "SELECT count(*) FROM (SELECT 1 FROM leads WHERE workspace = ? AND {of_open}state = {} LIMIT ?)",
        state_number(state)
    );
    sql.prepare_cached(&query)?.query_row(params![blob(&workspace), at_most], |row| row.get(0))
}

/// A lead's newest submissions, back to where their bodies come to `bytes_max`.
pub(super) fn submissions(
    sql: &Connection,
    workspace: WorkspaceId,
    id: LeadId,
    bytes_max: usize,
) -> rusqlite::Result<Submissions> {
    let of_lead = params![blob(&workspace), blob(&id)];
    const OF_LEAD: &str = "FROM submissions JOIN leads ON leads.id = submissions.lead
         WHERE leads.workspace = ? AND leads.id = ?";
    let count =
        sql.prepare_cached(&format!("SELECT count(*) {OF_LEAD}"))?.query_row(of_lead, |row| row.get(0))?;
    let mut statement =
        sql.prepare_cached(&format!("SELECT submissions.* {OF_LEAD} ORDER BY submissions.seq DESC"))?;
    let mut found = statement.query(of_lead)?;
    let (mut newest, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let body = row.get_ref("body")?.as_blob().map_err(|_| rows::bad("body"))?;
        bytes += body.len();
        if bytes > bytes_max && !newest.is_empty() {
            break;
        }
        newest.push(StoredSubmission {
            id: rows::id(row, "id")?,
            endpoint_id: rows::id(row, "endpoint")?,
            at: rows::moment(row, "at")?,
            body: Bytes::copy_from_slice(body),
        });
    }
    newest.reverse();
    Ok(Submissions { count, newest })
}

pub(super) fn inbound_log(
    sql: &Connection,
    workspace: WorkspaceId,
    filter: &InboundLogFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<InboundLogRow>> {
    let mut conditions = Where::in_workspace("workspace", workspace);
    match filter.status.as_deref() {
        None => {}
        Some("received") => conditions.0.push("status = 0".to_owned()),
        Some("duplicate") => conditions.0.push("status = 1".to_owned()),
        Some(_) => conditions.0.push("status = 2".to_owned()),
    }
    if filter.reason.is_some() {
        conditions.0.push("status = 2".to_owned());
    }
    conditions.and("reason = ?", filter.reason.map(|reason| reason.code().to_owned()));
    page(sql, "* FROM inbound_log", "seq", conditions.finish(), request, rows::log_row)
}

/// A page of a table whose rows have a workspace and nothing to be filtered by.
pub(super) fn of_workspace<T>(
    sql: &Connection,
    table: &str,
    workspace: WorkspaceId,
    request: PageRequest,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Page<T>> {
    let conditions = Where::in_workspace("workspace", workspace).finish();
    page(sql, &format!("* FROM {table}"), "seq", conditions, request, read)
}

pub(super) fn audit_log(
    sql: &Connection,
    workspace: WorkspaceId,
    filter: &AuditFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<AuditRow>> {
    let mut conditions = Where::in_workspace("workspace", workspace);
    conditions.and("operator = ?", filter.operator.map(|id| id.as_bytes().to_vec()));
    conditions.and("action = ?", filter.action.clone());
    page(sql, "* FROM audit", "seq", conditions.finish(), request, admin::audit_row)
}

pub(super) fn events(
    sql: &Connection,
    workspace: WorkspaceId,
    request: PageRequest,
) -> rusqlite::Result<Page<crate::record::EventRow>> {
    let conditions = Where::in_workspace("workspace", workspace).finish();
    page(sql, &format!("{} FROM events", rows::EVENT_COLUMNS), "seq", conditions, request, rows::event)
}

pub(super) fn delivery_conditions(workspace: WorkspaceId, filter: &DeliveryFilter) -> Conditions {
    let mut conditions = Where::in_workspace("deliveries.workspace", workspace);
    if let Some(state) = filter.state {
        conditions.0.push(format!("deliveries.state = {}", delivery_state_number(state)));
    }
    conditions.and("+deliveries.destination = ?", filter.destination.map(|id| id.as_bytes().to_vec()));
    conditions.and("events.id = ?", filter.event.map(|id| id.as_bytes().to_vec()));
    conditions.and("events.type = ?", filter.event_type.map(|kind| kind.as_str().to_owned()));
    conditions.finish()
}

pub(super) fn deliveries(
    sql: &Connection,
    workspace: WorkspaceId,
    filter: &DeliveryFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<Delivery>> {
    let conditions = delivery_conditions(workspace, filter);
    page(sql, rows::DELIVERY_COLUMNS, "deliveries.seq", conditions, request, |row| {
        let mut delivery = rows::delivery(row)?;
        delivery.attempts.extend(attempts::last_of(sql, row.get("seq")?)?);
        Ok(delivery)
    })
}

pub(super) fn delivery(
    sql: &Connection,
    workspace: WorkspaceId,
    id: DeliveryId,
) -> rusqlite::Result<Option<Delivery>> {
    let query =
        format!("SELECT {} WHERE deliveries.workspace = ? AND deliveries.id = ?", rows::DELIVERY_COLUMNS);
    let found = sql
        .prepare_cached(&query)?
        .query_row(params![blob(&workspace), blob(&id)], |row| {
            Ok((row.get::<_, i64>("seq")?, rows::delivery(row)?))
        })
        .optional()?;
    let Some((seq, mut delivery)) = found else { return Ok(None) };
    delivery.attempts = attempts::of(sql, seq)?;
    Ok(Some(delivery))
}
