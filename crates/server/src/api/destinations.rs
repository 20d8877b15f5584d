//! Destinations: where events go.

use std::sync::Arc;

use agentflow_events::{EventId, EventType, Moment};
use agentflow_lead::FieldCode;
use axum::extract::State;
use serde::Serialize;

use super::attempts::AttemptJson;
use super::auth::{Administers, Caller, Decides, Reads};
use super::form::Form;
use super::query::{Named, PageJson, Params, bad};
use super::{App, Reply, id, not_found};
use crate::destinations::{DestinationError, Destinations, UrlFault};
use crate::id::DestinationId;
use crate::record::{Destination, DestinationChange, DisabledReason};
use crate::reply::{self, Problem};
use crate::store::Page;

#[derive(Serialize)]
struct DestinationJson {
    id: DestinationId,
    url: String,
    event_types: Vec<EventType>,
    enabled: bool,
    paused: bool,
    disabled_reason: Option<DisabledReason>,
    created_at: Moment,
    failing_since: Option<Moment>,
    max_in_flight: Option<u32>,
    per_second: Option<u32>,
}

impl From<Destination> for DestinationJson {
    fn from(destination: Destination) -> Self {
        Self {
            id: destination.id,
            url: destination.url,
            event_types: destination.event_types,
            enabled: destination.enabled,
            paused: destination.paused,
            disabled_reason: destination.disabled_reason,
            created_at: destination.created_at,
            failing_since: destination.failing_since,
            max_in_flight: destination.max_in_flight,
            per_second: destination.per_second,
        }
    }
}

impl From<DestinationError> for Problem {
    fn from(error: DestinationError) -> Self {
        match error {
            DestinationError::NotFound => not_found("destination"),
            DestinationError::TooMany => {
                bad(format!("A workspace has {} destinations at most; delete one first.", Destinations::MAX))
            }
            DestinationError::Store(error) => error.into(),
        }
    }
}

/// The largest `max_in_flight`.
const MAX_IN_FLIGHT_MAX: u32 = 1_024;

/// The largest `per_second`.
const PER_SECOND_MAX: u32 = 100_000;

pub(super) async fn list(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&["cursor", "limit"])?;
    let page = params.page()?;
    let mut all = app.store.destinations(caller.workspace_id).await?;
    all.reverse();
    Ok(reply::ok(PageJson::new(Page::of_all(all, page), DestinationJson::from)))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
    Named(destination): Named,
) -> Reply {
    Ok(reply::ok(DestinationJson::from(find(&app, &caller, &destination).await?)))
}

async fn find(app: &App, caller: &Caller, destination: &str) -> Result<Destination, Problem> {
    Ok(app.management.destinations.one(caller.workspace_id, id(destination, "destination")?).await?)
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    mut form: Form,
) -> Reply {
    let url: Option<String> = form.required("url", "a string");
    let event_types: Option<Vec<String>> = form.required("event_types", "a list of event types");
    let enabled: Option<bool> = form.optional("enabled", "true or false");
    let event_types = event_types.and_then(|names| check_types(&mut form, &names));
    let url = check_url(&app, &mut form, url).await;
    let max_in_flight = bound(&mut form, "max_in_flight", MAX_IN_FLIGHT_MAX);
    let per_second = bound(&mut form, "per_second", PER_SECOND_MAX);
    form.finish()?;
    let (Some(url), Some(event_types)) = (url, event_types) else { return Err(Problem::internal()) };

    let workspace_id = caller.workspace_id;
    let made = app.management.destinations.create(caller, |id, created_at| Destination {
        id,
        workspace_id,
        url,
        event_types,
        enabled: enabled.unwrap_or(true),
        paused: false,
        disabled_reason: None,
        created_at,
        failing_since: None,
        max_in_flight: max_in_flight.flatten(),
        per_second: per_second.flatten(),
    });
    Ok(reply::created(DestinationJson::from(made.await?)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(destination): Named,
    mut form: Form,
) -> Reply {
    let destination_id: DestinationId = id(&destination, "destination")?;
    let url: Option<String> = form.optional("url", "a string");
    let event_types: Option<Vec<String>> = form.optional("event_types", "a list of event types");
    let change = DestinationChange {
        url: check_url(&app, &mut form, url).await,
        event_types: event_types.and_then(|names| check_types(&mut form, &names)),
        enabled: form.optional("enabled", "true or false"),
        paused: form.optional("paused", "true or false"),
        max_in_flight: bound(&mut form, "max_in_flight", MAX_IN_FLIGHT_MAX),
        per_second: bound(&mut form, "per_second", PER_SECOND_MAX),
    };
    // A destination that is not there is told before the fields' errors are.
    find(&app, &caller, &destination).await?;
    form.finish()?;
    let changed = app.management.destinations.change(caller, destination_id, change, "destination.change");
    Ok(reply::ok(DestinationJson::from(changed.await?)))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(destination): Named,
) -> Reply {
    app.management.destinations.delete(caller, id(&destination, "destination")?).await?;
    Ok(reply::no_content())
}

/// Events wait from then on. Attempts under way finish.
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Named(destination): Named,
    form: Form,
) -> Reply {
    form.finish()?;
    rest(&app, &caller, &destination, true).await
}

/// What waits is sent, each after its own schedule.
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Named(destination): Named,
    form: Form,
) -> Reply {
    form.finish()?;
    rest(&app, &caller, &destination, false).await
}

async fn rest(app: &App, caller: &Caller, destination: &str, paused: bool) -> Reply {
    let destination_id: DestinationId = id(destination, "destination")?;
    let action = if paused { "destination.pause" } else { "destination.resume" };
    let change = DestinationChange { paused: Some(paused), ..DestinationChange::default() };
    let changed = app.management.destinations.change(*caller, destination_id, change, action);
    Ok(reply::ok(DestinationJson::from(changed.await?)))
}

/// Sends a sample event at once and answers what came of it. Nothing of it is stored. A destination that the server had disabled
/// is enabled again by a sample that is delivered.
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Named(destination): Named,
    form: Form,
) -> Reply {
    #[derive(Serialize)]
    struct TestJson {
        delivered: bool,
        enabled: bool,
        event_id: EventId,
        attempt: AttemptJson,
    }
    form.finish()?;
    let tested = app.management.destinations.test(caller, id(&destination, "destination")?).await?;
    let request_head = app.deliver.request_head(&tested.attempt, &tested.event);
    Ok(reply::ok(TestJson {
        delivered: tested.attempt.error.is_none(),
        enabled: tested.enabled,
        event_id: tested.event.id,
        attempt: AttemptJson::new(tested.attempt, request_head),
    }))
}

async fn check_url(app: &App, form: &mut Form, url: Option<String>) -> Option<String> {
    let url = url?;
    match app.management.destinations.check_url(&url).await {
        Ok(()) => Some(url),
        Err(fault) => {
            let code = if matches!(fault, UrlFault::TooLong) {
                FieldCode::TooLong
            } else {
                FieldCode::InvalidFormat
            };
            form.refuse("url", code, fault.to_string());
            None
        }
    }
}

/// A field that bounds what a destination is sent, or null for no bound.
fn bound(form: &mut Form, field: &'static str, max: u32) -> Option<Option<u32>> {
    let given: Option<Option<u32>> =
        form.optional(field, &format!("a whole number from 1 to {max}, or null"));
    let holds = given.flatten().is_none_or(|number| (1..=max).contains(&number));
    form.check(field, holds, &format!("must be from 1 to {max}"));
    given
}

fn check_types(form: &mut Form, names: &[String]) -> Option<Vec<EventType>> {
    let mut types: Vec<EventType> = names.iter().filter_map(|name| name.parse().ok()).collect();
    types.sort();
    types.dedup();
    if types.is_empty() || types.len() != names.len() {
        let expected = "must name each of lead.qualified, lead.rejected, lead.review_requested once at most, and one of them";
        form.refuse("event_types", FieldCode::InvalidFormat, expected);
        return None;
    }
    Some(types)
}
