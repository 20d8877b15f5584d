//! Reading, on connections of its own.

use agentflow_events::{LeadId, WorkspaceId};
use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::needle::Needle;
use super::rows::{self, blob, delivery_state_number, state_number};
use super::{admin, attempts};
use crate::id::DeliveryId;
use crate::record::{AuditRow, Delivery, DeliveryState, InboundLogRow, Lead, LeadState, StoredSubmission};
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

/// How far back one page looks for what no index leads to, so that no search holds a reader for long. What is older is on a page
/// that begins where this one ends.
const LOOKED_BACK: i64 = 10_000;

/// Rows that one page looks into for a text where an index leads to them: each lies elsewhere in the file, and takes longer.
const LOOKED_INTO: i64 = 2_000;

/// Rows to be read in the order in which they came, or against it.
struct List<'a> {
    /// What `SELECT` is to be followed by.
    select: &'a str,
    table: &'a str,
    /// The number that they are ordered by; absent: the table's `seq`.
    by: Option<&'a str>,
    /// Whether each row has to be looked at: no index leads to those that are asked for.
    is_walked: bool,
    /// What a lead must have in its text beside.
    needle: Option<Needle>,
    walk: Walk,
}

/// Which end a list begins at.
#[derive(Clone, Copy)]
enum Walk {
    NewestFirst,
    OldestFirst,
}

impl<'a> List<'a> {
    /// One that an index leads to, newest first.
    fn all(select: &'a str, table: &'a str) -> Self {
        Self { select, table, by: None, is_walked: false, needle: None, walk: Walk::NewestFirst }
    }
}

fn page<T>(
    sql: &Connection,
    list: &List<'_>,
    (mut conditions, mut values): Conditions,
    request: PageRequest,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Page<T>> {
    let List { select, table, needle, walk, .. } = list;
    let by = list.by.map_or_else(|| format!("{table}.seq"), str::to_owned);
    let (beyond, up_to, direction) = match walk {
        Walk::NewestFirst => ("<", ">=", "DESC"),
        Walk::OldestFirst => (">", "<=", "ASC"),
    };
    if let Some(Cursor(last)) = request.cursor {
        conditions.push_str(&format!(" AND {by} {beyond} ?"));
        values.push(last.into());
    }
    let end = if list.is_walked { end_of_walk(sql, list, request.cursor)? } else { None };
    if let Some(Cursor(end)) = end {
        conditions.push_str(&format!(" AND {by} {up_to} ?"));
        values.push(end.into());
    }
    let limit = request.limit.clamp(1, 100);
    let mut query = format!("SELECT {select} WHERE {conditions} ORDER BY {by} {direction}");
    if needle.is_none() {
        // One more than asked for tells whether another page follows.
        query.push_str(&format!(" LIMIT {}", limit + 1));
    }
    let mut statement = sql.prepare_cached(&query)?;
    let places = if needle.is_some() { Needle::columns(&statement)? } else { Default::default() };
    let mut found = statement.query(params_from_iter(values))?;
    let looked_at_most = if list.is_walked { LOOKED_BACK } else { LOOKED_INTO };
    let (mut items, mut last, mut looked_at) = (Vec::new(), 0, 0);
    while let Some(row) = found.next()? {
        if let Some(needle) = needle
            && !needle.is_in(row, &places)?
        {
            last = row.get("seq")?;
            looked_at += 1;
            if looked_at == looked_at_most {
                return Ok(Page { items, next_cursor: Some(Cursor(last)) });
            }
            continue;
        }
        if items.len() == limit {
            return Ok(Page { items, next_cursor: Some(Cursor(last)) });
        }
        last = row.get("seq")?;
        items.push(read(row)?);
    }
    Ok(Page { items, next_cursor: end })
}

/// Where a walk of [`LOOKED_BACK`] rows ends that begins at the cursor; nothing, where it comes to the list's end.
fn end_of_walk(
    sql: &Connection,
    List { table, walk, .. }: &List<'_>,
    cursor: Option<Cursor>,
) -> rusqlite::Result<Option<Cursor>> {
    let ends = format!("SELECT (SELECT min(seq) FROM {table}), (SELECT max(seq) FROM {table})");
    let (first, last): (Option<i64>, Option<i64>) =
        sql.prepare_cached(&ends)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    Ok(match walk {
        Walk::NewestFirst => {
            let begin = cursor.map_or(last + 1, |Cursor(before)| before.min(last + 1));
            let end = begin.saturating_sub(LOOKED_BACK);
            (end > first).then_some(Cursor(end))
        }
        Walk::OldestFirst => {
            let begin = cursor.map_or(first - 1, |Cursor(after)| after.max(first - 1));
            let end = begin.saturating_add(LOOKED_BACK);
            (end < last).then_some(Cursor(end))
        }
    })
}

pub(super) fn leads(
    sql: &Connection,
    workspace: WorkspaceId,
    filter: &LeadFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<Lead>> {
    let open = filter.state.is_some_and(LeadState::is_open);
    let (from, by, column) = match (&filter.email, open) {
        (Some(_), _) => {
            ("known CROSS JOIN leads ON leads.seq = known.entry", "known.entry", "known.workspace")
        }
        (None, true) => ("leads", "leads.seq", "workspace"),
        // The plus keeps indexes out of it that would have the whole workspace sorted for one page.
        (None, false) => ("leads", "leads.seq", "+workspace"),
    };
    let mut conditions = Where::in_workspace(column, workspace);
    if let Some(state) = filter.state {
        // Written out, since the index of open leads is used only where the query names them.
        let of_open = if open { "state IN (0, 1) AND " } else { "" };
        conditions.0.push(format!("{of_open}state = {}", state_number(state)));
    }
    conditions.and("known.email_identity = ?", filter.email.clone());
    if filter.email.is_some() && (request.cursor.is_none() || filter.oldest_first) {
        // After the numbers of its leads come its bodies. A number to begin at says so as well, and is the nearer end.
        conditions.0.push("known.entry < x''".to_owned());
    }
    conditions.and("source = ?", filter.source.clone());
    let is_led_to = filter.email.is_some() || (open && filter.source.is_none());
    let is_walked =
        !is_led_to && (filter.state.is_some() || filter.text.is_some() || filter.source.is_some());
    let needle = filter.text.as_deref().map(Needle::new).transpose()?;
    let walk = if filter.oldest_first { Walk::OldestFirst } else { Walk::NewestFirst };
    let select = format!("{} FROM {from}", rows::LEAD_COLUMNS);
    let list = List { select: &select, table: "leads", by: Some(by), is_walked, needle, walk };
    page(sql, &list, conditions.finish(), request, rows::lead)
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
    // Refusals have an index, and their number an end.
    let is_walked =
        matches!(filter.status.as_deref(), Some("received" | "duplicate")) && filter.reason.is_none();
    let list = List { is_walked, ..List::all("* FROM inbound_log", "inbound_log") };
    page(sql, &list, conditions.finish(), request, rows::log_row)
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
    let select = format!("* FROM {table}");
    page(sql, &List::all(&select, table), conditions, request, read)
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
    let is_walked = filter.operator.is_some() || filter.action.is_some();
    let list = List { is_walked, ..List::all("* FROM audit", "audit") };
    page(sql, &list, conditions.finish(), request, admin::audit_row)
}

pub(super) fn events(
    sql: &Connection,
    workspace: WorkspaceId,
    request: PageRequest,
) -> rusqlite::Result<Page<crate::record::EventRow>> {
    let conditions = Where::in_workspace("workspace", workspace).finish();
    let select = format!("{} FROM events", rows::EVENT_COLUMNS);
    page(sql, &List::all(&select, "events"), conditions, request, rows::event)
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
    let DeliveryFilter { state, destination, event, event_type } = filter;
    let is_led_to = event.is_some()
        || (matches!(state, None | Some(DeliveryState::Pending | DeliveryState::Dead))
            && destination.is_none()
            && event_type.is_none());
    let list = List { is_walked: !is_led_to, ..List::all(rows::DELIVERY_COLUMNS, "deliveries") };
    page(sql, &list, delivery_conditions(workspace, filter), request, |row| {
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
