//! Destinations: where events go.

use std::sync::Arc;

use agentflow_events::{
    Action, Confidence, DecidedBy, Decision, Dimensions, Event, EventData, EventId, EventType, Fields,
    LeadSnapshot, Moment, Outcome, Qualification, Score, Timestamps,
};
use agentflow_lead::FieldCode;
use axum::extract::State;
use serde::Serialize;

use super::auth::{Administers, Caller, Decides, Reads};
use super::deliveries::AttemptJson;
use super::form::Form;
use super::query::{Named, PageJson, Params, bad};
use super::{App, Reply, id, not_found};
use crate::announce;
use crate::id::{DestinationId, mint};
use crate::record::{Destination, DestinationChange, DisabledReason};
use crate::reply::{self, Problem};
use crate::store::Page;

#[derive(Serialize)]
struct DestinationJson {
    id: DestinationId,
    url: String,
    event_types: Vec<EventType>,
    enabled: bool,
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
            disabled_reason: destination.disabled_reason,
            created_at: destination.created_at,
            failing_since: destination.failing_since,
            max_in_flight: destination.max_in_flight,
            per_second: destination.per_second,
        }
    }
}

/// Destinations of a workspace, at most.
const DESTINATIONS_MAX: usize = 1_000;

/// The largest `max_in_flight`.
const MAX_IN_FLIGHT_MAX: u32 = 1_024;

/// The largest `per_second`.
const PER_SECOND_MAX: u32 = 100_000;

pub(super) async fn list(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&["cursor", "limit"])?;
    let page = params.page()?;
    let mut all = app.store.destinations(caller.workspace_id).await?;
    all.reverse();
    let begin =
        page.cursor.map_or(0, |cursor| usize::try_from(cursor.0).unwrap_or(usize::MAX)).min(all.len());
    let end = all.len().min(begin + page.limit);
    let next_cursor = (end < all.len()).then(|| crate::store::Cursor(i64::try_from(end).unwrap_or(i64::MAX)));
    let items = all.drain(begin..end).collect();
    Ok(reply::ok(PageJson::new(Page { items, next_cursor }, DestinationJson::from)))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
    Named(destination): Named,
) -> Reply {
    Ok(reply::ok(DestinationJson::from(find(&app, &caller, &destination).await?)))
}

async fn find(app: &App, caller: &Caller, destination: &str) -> Result<Destination, Problem> {
    let destination_id: DestinationId = id(destination, "destination")?;
    let all = app.store.destinations(caller.workspace_id).await?;
    all.into_iter().find(|found| found.id == destination_id).ok_or_else(|| not_found("destination"))
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
    let url = url.and_then(|url| check_url(&app, &mut form, url));
    let max_in_flight = bound(&mut form, "max_in_flight", MAX_IN_FLIGHT_MAX);
    let per_second = bound(&mut form, "per_second", PER_SECOND_MAX);
    form.finish()?;
    let (Some(url), Some(event_types)) = (url, event_types) else { return Err(Problem::internal()) };

    let _one_at_a_time = app.changing.lock().await;
    if app.store.destinations(caller.workspace_id).await?.len() >= DESTINATIONS_MAX {
        return Err(bad(format!(
            "A workspace has {DESTINATIONS_MAX} destinations at most; delete one first."
        )));
    }
    let created_at = app.clock.now();
    let destination = Destination {
        id: mint(created_at),
        workspace_id: caller.workspace_id,
        url,
        event_types,
        enabled: enabled.unwrap_or(true),
        disabled_reason: None,
        created_at,
        failing_since: None,
        max_in_flight: max_in_flight.flatten(),
        per_second: per_second.flatten(),
    };
    let audit = app.audit(&caller, "destination.create", destination.id);
    app.store.put_destination(destination.clone(), audit).await?;
    app.deliver.wake();
    Ok(reply::created(DestinationJson::from(destination)))
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
        url: url.and_then(|url| check_url(&app, &mut form, url)),
        event_types: event_types.and_then(|names| check_types(&mut form, &names)),
        enabled: form.optional("enabled", "true or false"),
        max_in_flight: bound(&mut form, "max_in_flight", MAX_IN_FLIGHT_MAX),
        per_second: bound(&mut form, "per_second", PER_SECOND_MAX),
    };
    // A destination that is not there is told before the fields' errors are.
    find(&app, &caller, &destination).await?;
    form.finish()?;
    let audit = app.audit(&caller, "destination.change", destination_id);
    let changed = app.store.change_destination(destination_id, change, audit).await?;
    let changed = changed.ok_or_else(|| not_found("destination"))?;
    app.deliver.wake();
    Ok(reply::ok(DestinationJson::from(changed)))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(destination): Named,
) -> Reply {
    let _one_at_a_time = app.changing.lock().await;
    let found = find(&app, &caller, &destination).await?;
    let audit = app.audit(&caller, "destination.delete", found.id);
    if !app.store.delete_destination(found.id, audit).await? {
        return Err(not_found("destination"));
    }
    app.deliver.wake();
    Ok(reply::no_content())
}

/// Sends a sample event at once and answers what came of it. Nothing of it is stored.
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Named(destination): Named,
    form: Form,
) -> Reply {
    #[derive(Serialize)]
    struct TestJson {
        delivered: bool,
        event_id: EventId,
        attempt: AttemptJson,
    }
    form.finish()?;
    let destination = find(&app, &caller, &destination).await?;
    let event_type = destination.event_types.first().copied().unwrap_or(EventType::LeadQualified);
    let event = announce::row(&sample(event_type, &caller, app.clock.now()));
    let event_id = event.id;
    let attempt = app.deliver.send_test(&destination, event).await;
    let delivered = attempt.error.is_none();
    Ok(reply::ok(TestJson { delivered, event_id, attempt: attempt.into() }))
}

fn check_url(app: &App, form: &mut Form, url: String) -> Option<String> {
    const URL_BYTES_MAX: usize = 2_048;
    if url.len() > URL_BYTES_MAX {
        form.refuse("url", FieldCode::TooLong, format!("must have {URL_BYTES_MAX} bytes at most"));
        return None;
    }
    match app.deliver.check_url(&url) {
        Ok(()) => Some(url),
        Err(error) => {
            form.refuse("url", FieldCode::InvalidFormat, error.to_string());
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

/// An event like a real one, with fresh ids and marked as a test.
fn sample(event_type: EventType, caller: &Caller, now: Moment) -> Event {
    let (outcome, by, decided_at) = match event_type {
        EventType::LeadRejected => (Outcome::Rejected, DecidedBy::Auto, Some(now)),
        EventType::LeadReviewRequested => (Outcome::ReviewRequested, DecidedBy::Auto, None),
        _ => (Outcome::Approved, DecidedBy::Auto, Some(now)),
    };
    Event {
        id: mint(now),
        event_type,
        timestamp: now,
        workspace_id: caller.workspace_id,
        lead_id: mint(now),
        test: true,
        data: EventData {
            lead: LeadSnapshot {
                name: "Sample Lead".to_owned(),
                email: "sample.lead@example.com".to_owned(),
                company: Some("Example".to_owned()),
                message: Some("This is a test event; it is about nobody.".to_owned()),
                source: Some("destination_test".to_owned()),
                submitted_at: None,
                fields: Fields::empty(),
                previous_lead_id: None,
            },
            qualification: Qualification {
                score: Score::clamped(50),
                confidence: Confidence::Low,
                summary: "A sample qualification.".to_owned(),
                recommended_action: Action::Review,
                dimensions: Dimensions {
                    company_fit: Score::clamped(50),
                    intent_strength: Score::clamped(50),
                    budget_signal: Score::clamped(50),
                    timeline: Score::clamped(50),
                },
                scored_by: "sample".to_owned(),
            },
            decision: Decision { outcome, by, operator_id: None, note: None },
            timestamps: Timestamps { received_at: now, scored_at: now, decided_at },
        },
    }
}
