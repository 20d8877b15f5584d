//! Deliveries with their attempts, and sending them again.

use std::sync::Arc;

use agentflow_events::{EventId, EventType, LeadId, Moment};
use agentflow_lead::FieldCode;
use axum::extract::State;
use serde::Serialize;

use super::attempts::AttemptJson;
use super::auth::{Caller, Decides, Reads};
use super::form::Form;
use super::query::{Named, PageJson, Params, bad};
use super::{App, Reply, id, not_found};
use crate::id::{DeliveryId, DestinationId};
use crate::record::{Attempt, AuditRow, Delivery, DeliveryState, StateReason};
use crate::reply::{self, Problem};
use crate::store::{DeliveryFilter, Page, ResendFilter};

#[derive(Serialize)]
struct DeliveryJson {
    id: DeliveryId,
    event_id: EventId,
    event_type: EventType,
    lead_id: LeadId,
    destination_id: DestinationId,
    state: DeliveryState,
    state_reason: Option<StateReason>,
    created_at: Moment,
    next_attempt_at: Option<Moment>,
    /// Lists leave them out.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptJson>>,
}

impl DeliveryJson {
    fn row(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            event_type: delivery.event_type,
            lead_id: delivery.lead_id,
            destination_id: delivery.destination_id,
            state: delivery.state,
            state_reason: delivery.state_reason,
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            attempts: None,
        }
    }

    /// With its attempts, each with the head of its request.
    async fn whole(app: &App, mut delivery: Delivery) -> Result<Self, Problem> {
        let event = match delivery.attempts.is_empty() {
            true => None,
            false => app.store.event(delivery.workspace_id, delivery.event_id).await?,
        };
        let json = |attempt: Attempt| {
            let head = event.as_ref().and_then(|event| app.deliver.request_head(&attempt, event));
            AttemptJson::new(attempt, head)
        };
        let attempts = std::mem::take(&mut delivery.attempts).into_iter().map(json).collect();
        Ok(Self { attempts: Some(attempts), ..Self::row(delivery) })
    }
}

const STATES: &str = "pending, delivered, dead, cancelled or superseded";
const TYPES: &str = "lead.qualified, lead.rejected or lead.review_requested";

pub(super) async fn list(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&["state", "destination", "event", "event_type", "cursor", "limit"])?;
    let filter = DeliveryFilter {
        state: params.parsed("state", STATES, DeliveryState::from_name)?,
        destination: params.parsed("destination", "a destination's id", |text| text.parse().ok())?,
        event: params.parsed("event", "an event's id", |text| text.parse().ok())?,
        event_type: params.parsed("event_type", TYPES, |text| text.parse().ok())?,
    };
    let read = |page| app.store.deliveries(caller.workspace_id, &filter, page);
    let page = Page::full(params.page()?, read).await?;
    Ok(reply::ok(PageJson::new(page, DeliveryJson::row)))
}

pub(super) async fn one(State(app): State<Arc<App>>, Reads(caller): Reads, Named(delivery): Named) -> Reply {
    let found = find(&app, &caller, &delivery).await?;
    Ok(reply::ok(DeliveryJson::whole(&app, found).await?))
}

async fn find(app: &App, caller: &Caller, delivery: &str) -> Result<Delivery, Problem> {
    let delivery_id = id(delivery, "delivery")?;
    app.store.delivery(caller.workspace_id, delivery_id).await?.ok_or_else(|| not_found("delivery"))
}

#[derive(Serialize)]
struct CountJson {
    count: u64,
    dry_run: bool,
}

pub(super) async fn cancel_one(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Named(delivery): Named,
    form: Form,
) -> Reply {
    form.finish()?;
    let found = find(&app, &caller, &delivery).await?;
    let audit = app.audit(&caller, "delivery.cancel", found.id);
    if cancel(&app, &caller, ResendFilter::One(found.id), Some(audit)).await? == 0 {
        let detail = format!("The delivery is {}; only pending ones can be cancelled.", found.state.as_str());
        return Err(bad(detail));
    }
    let found = find(&app, &caller, &delivery).await?;
    Ok(reply::ok(DeliveryJson::whole(&app, found).await?))
}

pub(super) async fn cancel_matching(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    mut form: Form,
) -> Reply {
    let filter = DeliveryFilter {
        state: None,
        destination: word(&mut form, "destination", "a destination's id", |text| text.parse().ok()),
        event: None,
        event_type: word(&mut form, "event_type", TYPES, |text| text.parse().ok()),
    };
    let dry_run: Option<bool> = form.optional("dry_run", "true or false");
    form.finish()?;
    let dry_run = dry_run.unwrap_or(false);
    let audit = (!dry_run).then(|| app.audit(&caller, "deliveries.cancel", ""));
    let count = cancel(&app, &caller, ResendFilter::Matching(filter), audit).await?;
    Ok(reply::ok(CountJson { count, dry_run }))
}

async fn cancel(
    app: &App,
    caller: &Caller,
    filter: ResendFilter,
    audit: Option<AuditRow>,
) -> Result<u64, Problem> {
    let cancelled = app.store.cancel(caller.workspace_id, filter, audit).await?;
    app.deliver.give_back(&cancelled.claimed);
    Ok(cancelled.count)
}

pub(super) async fn resend_one(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Named(delivery): Named,
    form: Form,
) -> Reply {
    form.finish()?;
    let found = find(&app, &caller, &delivery).await?;
    let audit = app.audit(&caller, "delivery.resend", found.id);
    if resend(&app, &caller, ResendFilter::One(found.id), Some(audit)).await? == 0 {
        return Err(bad("The delivery's destination was deleted; there is nowhere to send it.".to_owned()));
    }
    let found = find(&app, &caller, &delivery).await?;
    Ok(reply::accepted(DeliveryJson::whole(&app, found).await?))
}

pub(super) async fn resend_matching(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    mut form: Form,
) -> Reply {
    let filter = DeliveryFilter {
        state: word(&mut form, "state", STATES, DeliveryState::from_name),
        destination: word(&mut form, "destination", "a destination's id", |text| text.parse().ok()),
        event: None,
        event_type: word(&mut form, "event_type", TYPES, |text| text.parse().ok()),
    };
    let dry_run: Option<bool> = form.optional("dry_run", "true or false");
    form.finish()?;
    let dry_run = dry_run.unwrap_or(false);
    let audit = (!dry_run).then(|| app.audit(&caller, "deliveries.resend", ""));
    let count = resend(&app, &caller, ResendFilter::Matching(filter), audit).await?;
    Ok(reply::accepted(CountJson { count, dry_run }))
}

async fn resend(
    app: &App,
    caller: &Caller,
    filter: ResendFilter,
    audit: Option<AuditRow>,
) -> Result<u64, Problem> {
    let dry_run = audit.is_none();
    let count = app.store.resend(caller.workspace_id, filter, app.clock.now(), audit).await?;
    if count > 0 && !dry_run {
        app.deliver.wake();
    }
    Ok(count)
}

/// A field that holds one of a few words, or null for any.
fn word<T>(
    form: &mut Form,
    field: &'static str,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = form.optional::<Option<String>>(field, "a string or null").flatten()?;
    let parsed = parse(&text);
    if parsed.is_none() {
        form.refuse(field, FieldCode::InvalidFormat, format!("must be {expected}"));
    }
    parsed
}
