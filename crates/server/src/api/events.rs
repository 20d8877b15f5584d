//! Events, each with the body that every destination gets.

use std::sync::Arc;

use agentflow_events::{EventId, EventType, LeadId, Moment};
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;

use super::auth::Reads;
use super::query::{Named, PageJson, Params};
use super::{App, Reply, id, not_found};
use crate::record::EventRow;
use crate::reply;

#[derive(Serialize)]
struct EventJson {
    id: EventId,
    r#type: EventType,
    lead_id: LeadId,
    at: Moment,
    /// The exact bytes, which are a JSON object, in place.
    body: Option<Box<RawValue>>,
}

impl From<EventRow> for EventJson {
    fn from(event: EventRow) -> Self {
        let body = serde_json::from_slice(&event.body).ok();
        Self { id: event.id, r#type: event.event_type, lead_id: event.lead_id, at: event.at, body }
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&["cursor", "limit"])?;
    let page = app.store.events(caller.workspace_id, params.page()?).await?;
    Ok(reply::ok(PageJson::new(page, EventJson::from)))
}

pub(super) async fn one(State(app): State<Arc<App>>, Reads(caller): Reads, Named(event): Named) -> Reply {
    let event = app.store.event(caller.workspace_id, id(&event, "event")?).await?;
    Ok(reply::ok(EventJson::from(event.ok_or_else(|| not_found("event"))?)))
}
