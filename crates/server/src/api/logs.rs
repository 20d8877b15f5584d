//! The logs: what came in, what became of destinations, who changed what.

use std::net::IpAddr;
use std::sync::Arc;

use agentflow_events::{LeadId, Moment, OperatorId};
use axum::extract::State;
use serde::Serialize;

use super::auth::{Administers, Reads};
use super::query::{PageJson, Params};
use super::{App, Reply};
use crate::id::{AuditId, DestinationId, LogId, OperationId};
use crate::reason::Reason;
use crate::record::{AuditRow, Change, Finding, InboundLogRow, OperationKind, OperationRow};
use crate::reply;
use crate::store::{AuditFilter, InboundLogFilter, Page};

#[derive(Serialize)]
struct LogJson {
    id: LogId,
    at: Moment,
    status: &'static str,
    reason: Option<&'static str>,
    remote_addr: IpAddr,
    body_bytes: u64,
    lead_id: Option<LeadId>,
    finding: Option<Finding>,
}

impl From<InboundLogRow> for LogJson {
    fn from(row: InboundLogRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            status: row.status.as_str(),
            reason: row.status.reason().map(Reason::code),
            remote_addr: row.remote_addr,
            body_bytes: row.body_bytes,
            lead_id: row.lead_id,
            finding: row.finding,
        }
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&["status", "reason", "cursor", "limit"])?;
    let status = |text: &str| ["received", "duplicate", "rejected"].contains(&text).then(|| text.to_owned());
    let filter = InboundLogFilter {
        status: params.parsed("status", "received, duplicate or rejected", status)?,
        reason: params.parsed("reason", "a reason code such as invalid_signature", Reason::from_code)?,
    };
    let read = |page| app.store.inbound_log(caller.workspace_id, &filter, page);
    let page = Page::full(params.page()?, read).await?;
    Ok(reply::ok(PageJson::new(page, LogJson::from)))
}

#[derive(Serialize)]
struct OperationJson {
    id: OperationId,
    at: Moment,
    kind: OperationKind,
    destination: DestinationId,
    message: String,
}

impl From<OperationRow> for OperationJson {
    fn from(row: OperationRow) -> Self {
        Self { id: row.id, at: row.at, kind: row.kind, destination: row.destination_id, message: row.message }
    }
}

pub(super) async fn operational(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&["cursor", "limit"])?;
    let page = app.store.operational_log(caller.workspace_id, params.page()?).await?;
    Ok(reply::ok(PageJson::new(page, OperationJson::from)))
}

#[derive(Serialize)]
struct AuditJson {
    id: AuditId,
    at: Moment,
    operator_id: OperatorId,
    action: String,
    subject: String,
    changes: Vec<Change>,
}

impl From<AuditRow> for AuditJson {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, at, operator_id, action, subject, changes, .. } = row;
        Self { id, at, operator_id, action, subject, changes }
    }
}

pub(super) async fn audit(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    params: Params,
) -> Reply {
    params.only(&["cursor", "limit"])?;
    let page = app.store.audit_log(caller.workspace_id, &AuditFilter::default(), params.page()?).await?;
    Ok(reply::ok(PageJson::new(page, AuditJson::from)))
}
