//! The inbound log.

use std::net::IpAddr;
use std::sync::Arc;

use agentflow_events::{LeadId, Moment};
use axum::extract::State;
use serde::Serialize;

use super::auth::Reads;
use super::query::{PageJson, Params};
use super::{App, Reply};
use crate::id::LogId;
use crate::reason::Reason;
use crate::record::{InboundLogRow, SignatureFinding};
use crate::reply;
use crate::store::InboundLogFilter;

#[derive(Serialize)]
struct LogJson {
    id: LogId,
    at: Moment,
    status: &'static str,
    reason: Option<&'static str>,
    remote_addr: IpAddr,
    body_bytes: u64,
    lead_id: Option<LeadId>,
    finding: Option<SignatureFinding>,
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
    let page = app.store.inbound_log(caller.workspace_id, &filter, params.page()?).await?;
    Ok(reply::ok(PageJson::new(page, LogJson::from)))
}
