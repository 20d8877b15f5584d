//! Destinations: where events go, whether they arrive, and a test at once.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::EventType;
use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Administers, Operates, Views, Visitor};
use super::delivery::attempt_of;
use super::elements::{age, badge, bare_url, must_be_sure, risky, sure, time, token};
use super::fault::Fault;
use super::fields::{Draft, Field};
use super::forms::{Form, Pairs, Path};
use super::once::Notice;
use super::page::Place;
use crate::destinations::DestinationError;
use crate::id::DestinationId;
use crate::record::{Destination, DestinationChange, DisabledReason, Role};
use crate::reply;
use crate::store::Health;

const PATH: &str = "/dashboard/destinations";

impl From<DestinationError> for Fault {
    fn from(error: DestinationError) -> Self {
        match error {
            DestinationError::NotFound => Fault::NotFound("destination"),
            DestinationError::Store(error) => error.into(),
            refused => Fault::Unusable(format!("Sorry: {}.", refused.to_string().trim_end_matches('.'))),
        }
    }
}

fn id(text: &str) -> Result<DestinationId, Fault> {
    text.parse().map_err(|_| Fault::NotFound("destination"))
}

fn state(destination: &Destination) -> Markup {
    match (destination.enabled, destination.paused, destination.failing_since) {
        (false, ..) => badge(
            "bad",
            match destination.disabled_reason {
                Some(DisabledReason::Gone) => "disabled: answered 410",
                Some(DisabledReason::Failing) => "disabled: kept failing",
                None => "disabled",
            },
        ),
        (true, true, _) => badge("wait", "paused"),
        (true, false, Some(_)) => badge("bad", "failing"),
        (true, false, None) => badge("good", "enabled"),
    }
}

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
) -> Result<Response, Fault> {
    let destinations = dashboard.management.destinations.all(visitor.workspace_id()).await?;
    let since = dashboard.clock.now().minus(Duration::from_secs(86_400));
    let health = dashboard.store.health(visitor.workspace_id(), since).await?;
    let of = |to: &Destination| health.iter().find(|health| health.destination_id == to.id);
    let main = html! {
        main id="main" data-swap {
            header.top { h1 { "Destinations" } }
            @if destinations.is_empty() {
                div.empty { h2 { "No destination yet" } p { "A destination is an HTTPS URL of yours that gets an event for every decision. Add one below; a page that shows what it receives is good for a first look." } }
            } @else {
                div.scroll { table.cards {
                    thead { tr { th { "URL" } th { "Events" } th { "State" } th.number { "Delivered, 24 h" } th.number { "Dead" } th.number { "Waiting" } } }
                    tbody { @for to in &destinations { tr {
                        td.url data-th="URL" title=(to.url) { a href={ (PATH) "/" (to.id) } { (bare_url(&to.url)) } }
                        td data-th="Events" { @for kind in &to.event_types { code { (kind.as_str()) } br; } }
                        td data-th="State" { (state(to)) }
                        @let health = of(to);
                        td.number data-th="Delivered, 24 h" { (health.map_or(0, |health| health.delivered)) }
                        td.number data-th="Dead" { (health.map_or(0, |health| health.dead)) }
                        td.number data-th="Waiting" { (health.map_or(0, |health| health.pending)) }
                    } } }
                } }
            }
            @if visitor.may(Role::Admin) {
                section { h2 { "Add a destination" } (form(&visitor, PATH, None, &Draft::default(), "Add")) }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Destinations, "Destinations", &main).await?)
}

/// The fields of a destination.
fn form(
    visitor: &Visitor,
    action: &str,
    present: Option<&Destination>,
    draft: &Draft,
    button: &str,
) -> Markup {
    let url = present.map(|to| to.url.as_str()).unwrap_or_default();
    let wants = |kind: EventType| {
        let present = present.is_none_or(|to| to.event_types.contains(&kind));
        draft.is_ticked("event_types", kind.as_str(), present)
    };
    html! {
        form.stack method="post" action=(action) {
            (token(visitor))
            (draft.field(&Field { kind: "url", placeholder: Some("https://hooks.example.com/agentflow"), ..Field::text("url", "URL", url) }))
            @if draft.is_wrong("sure") { (draft.told("sure")) (sure()) }
            fieldset { legend { "Events" }
                @for kind in EventType::ALL { label.tick { input type="checkbox" name="event_types" value=(kind.as_str()) checked[wants(*kind)]; span { code { (kind.as_str()) } } } }
                (draft.told("event_types"))
            }
            (draft.field(&Field::number("max_in_flight", "Attempts at the same time, at most (empty: the server's own limit)", present.and_then(|to| to.max_in_flight), IN_FLIGHT)))
            (draft.field(&Field::number("per_second", "Attempts a second, at most (empty: no limit)", present.and_then(|to| to.per_second), PER_SECOND)))
            div { button.primary { (button) } }
        }
    }
}

const IN_FLIGHT: (u32, u32) = (1, 1_024);
const PER_SECOND: (u32, u32) = (1, 100_000);

/// What a form asks for.
struct Wanted {
    url: String,
    event_types: Vec<EventType>,
    max_in_flight: Option<u32>,
    per_second: Option<u32>,
}

/// What the form asks for; what is wrong with it is marked in the draft.
async fn read(dashboard: &Dashboard, form: Pairs) -> (Draft, Wanted) {
    let mut event_types: Vec<EventType> =
        form.all("event_types").filter_map(|name| name.parse().ok()).collect();
    event_types.sort();
    event_types.dedup();
    let mut draft = Draft::of(form);
    let url = draft.text("url").unwrap_or_default().to_owned();
    if url.is_empty() {
        draft.refuse("url", "A destination has a URL.");
    } else if let Err(fault) = dashboard.management.destinations.check_url(&url).await {
        draft.refuse("url", format!("This URL cannot be used: {}.", fault.to_string().trim_end_matches('.')));
    }
    if event_types.is_empty() {
        draft.refuse("event_types", "Tick at least one event.");
    }
    let max_in_flight = draft.number("max_in_flight", IN_FLIGHT);
    let per_second = draft.number("per_second", PER_SECOND);
    (draft, Wanted { url, event_types, max_in_flight, per_second })
}

pub(super) async fn create(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(pairs): Form,
) -> Result<Response, Fault> {
    let sure = pairs.has("sure");
    let (mut draft, read) = read(&dashboard, pairs).await;
    if draft.is_right() && !sure && dashboard.has_destination(&visitor, &read.url).await? {
        draft.refuse("sure", "There is a destination with this URL. Events would go there twice.");
    }
    if !draft.is_right() {
        let main = html! {
            main.narrow id="main" data-swap {
                p { a href=(PATH) { "All destinations" } }
                header.top { h1 { "Add a destination" } }
                section { (form(&visitor, PATH, None, &draft, "Add")) }
            }
        };
        return Ok(dashboard.show_refused(&visitor, Place::Destinations, "Add a destination", &main).await?);
    }
    let workspace_id = visitor.workspace_id();
    let made = dashboard
        .management
        .destinations
        .create(visitor.actor(), |id, created_at| Destination {
            id,
            workspace_id,
            url: read.url,
            event_types: read.event_types,
            enabled: true,
            paused: false,
            disabled_reason: None,
            created_at,
            failing_since: None,
            max_in_flight: read.max_in_flight,
            per_second: read.per_second,
        })
        .await?;
    let done = "Destination added. Send a test event to see that it answers.";
    Ok(dashboard.done(&visitor, &format!("{PATH}/{}", made.id), done))
}

pub(super) async fn one(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Path(destination): Path<String>,
) -> Result<Response, Fault> {
    dashboard.show_destination(&visitor, &destination, &Draft::default()).await
}

impl Dashboard {
    /// Whether events go to this URL already.
    async fn has_destination(&self, visitor: &Visitor, url: &str) -> Result<bool, Fault> {
        let all = self.management.destinations.all(visitor.workspace_id()).await?;
        let asked = url::Url::parse(url).ok();
        Ok(all.iter().any(|to| to.url == url || (asked.is_some() && url::Url::parse(&to.url).ok() == asked)))
    }

    async fn show_destination(
        &self,
        visitor: &Visitor,
        destination: &str,
        draft: &Draft,
    ) -> Result<Response, Fault> {
        let to = self.management.destinations.one(visitor.workspace_id(), id(destination)?).await?;
        let now = self.clock.now();
        let since = now.minus(Duration::from_secs(86_400));
        let health = self.store.health(visitor.workspace_id(), since).await?;
        let health = health.into_iter().find(|health| health.destination_id == to.id);
        let health = health.unwrap_or(Health { destination_id: to.id, delivered: 0, dead: 0, pending: 0 });
        let path = format!("{PATH}/{}", to.id);
        let act = |name: &str, text: &str| {
            html! {
                form method="post" action={ (path) "/" (name) } { (token(visitor)) button { (text) } }
            }
        };
        let main = html! {
            main.narrow id="main" data-swap {
                p { a href=(PATH) { "All destinations" } }
                header.top { h1.url { (to.url) } (state(&to)) }
                (self.told(visitor, &path))
                p.facts {
                    "Added " (time(to.created_at, now))
                    @if let Some(at) = to.failing_since { " · every attempt has failed for " (age(at, now)) }
                }
                div.tiles {
                    div.tile { b { (health.delivered) } span { "delivered, 24 h" } }
                    div.tile { b { (health.dead) } span { "dead letters, 24 h" } }
                    div.tile { b { (health.pending) } span { "waiting" } }
                }
                div.buttons {
                    a.button href={ "/dashboard/outbound?destination=" (to.id) } { "Its deliveries" }
                    @if visitor.may(Role::Operator) {
                        (act("test", "Send a test event"))
                        @if to.paused { (act("resume", "Resume")) } @else { (act("pause", "Pause")) }
                    }
                    @if visitor.may(Role::Admin) {
                        @if to.enabled { (risky(visitor, &format!("{path}/disable"), "Disable", "Events that are made while it is disabled are not sent here, not later either.")) } @else { (act("enable", "Enable")) }
                    }
                }
                p.hint { "Paused: new events wait here and are sent later. Disabled: new events are not sent here at all." }
                @if visitor.may(Role::Admin) {
                    section { h2 { "Change" } (form(visitor, &path, Some(&to), draft, "Save")) }
                    section { h2 { "Delete" }
                        p.hint { "What waits for it is cancelled; the log keeps what was delivered." }
                        form method="post" action={ (path) "/delete" } {
                            (token(visitor))
                            (sure())
                            button.bad { "Delete this destination" }
                        }
                    }
                }
            }
        };
        if draft.is_right() {
            return Ok(self.show(visitor, Place::Destinations, "Destination", &main).await?);
        }
        Ok(self.show_refused(visitor, Place::Destinations, "Destination", &main).await?)
    }
}

pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(destination): Path<String>,
    Form(pairs): Form,
) -> Result<Response, Fault> {
    let id = id(&destination)?;
    let (draft, read) = read(&dashboard, pairs).await;
    if !draft.is_right() {
        return dashboard.show_destination(&visitor, &destination, &draft).await;
    }
    let change = DestinationChange {
        url: Some(read.url),
        event_types: Some(read.event_types),
        max_in_flight: Some(read.max_in_flight),
        per_second: Some(read.per_second),
        ..DestinationChange::default()
    };
    dashboard.management.destinations.change(visitor.actor(), id, change, "destination.change").await?;
    Ok(dashboard.done(&visitor, &format!("{PATH}/{id}"), "Destination saved."))
}

/// `pause`, `resume` and `test`, for operators; `enable` and `disable`, for admins.
pub(super) async fn act(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Path((destination, what)): Path<(String, String)>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let id = id(&destination)?;
    let (paused, action, done) = match what.as_str() {
        "pause" => (true, "destination.pause", "Destination paused. New events wait here."),
        "resume" => (false, "destination.resume", "Destination resumed. What waits is sent now."),
        "test" => return dashboard.test(&visitor, id).await,
        _ => return dashboard.administer(&visitor, id, &what, &form).await,
    };
    let change = DestinationChange { paused: Some(paused), ..DestinationChange::default() };
    dashboard.management.destinations.change(visitor.actor(), id, change, action).await?;
    Ok(dashboard.done(&visitor, &format!("{PATH}/{id}"), done))
}

impl Dashboard {
    async fn administer(
        &self,
        visitor: &Visitor,
        id: DestinationId,
        what: &str,
        form: &Pairs,
    ) -> Result<Response, Fault> {
        let (enabled, done) = match what {
            "enable" => (true, "Destination enabled."),
            "disable" => (false, "Destination disabled."),
            _ => return Err(Fault::NoPage),
        };
        if !visitor.may(Role::Admin) {
            return Err(Fault::Forbidden(Role::Admin.as_str()));
        }
        if !enabled {
            must_be_sure(form)?;
        }
        let change = DestinationChange { enabled: Some(enabled), ..DestinationChange::default() };
        self.management.destinations.change(visitor.actor(), id, change, "destination.change").await?;
        Ok(self.done(visitor, &format!("{PATH}/{id}"), done))
    }

    async fn test(&self, visitor: &Visitor, id: DestinationId) -> Result<Response, Fault> {
        let tested = self.management.destinations.test(visitor.actor(), id).await?;
        let request_head = self.deliver.request_head(&tested.attempt, &tested.event);
        let report = html! {
            section.notice.good[tested.attempt.error.is_none()].bad[tested.attempt.error.is_some()] role="status" {
                h2 { @if tested.attempt.error.is_none() { "The test event was delivered" } @else { "The test event was not delivered" } }
                ol.timeline { (attempt_of(&tested.attempt, request_head.as_deref(), self.clock.now())) }
            }
        };
        let page = format!("{PATH}/{id}");
        self.tell(visitor, Notice::Report { page: page.clone(), report });
        Ok(reply::see_other(&page))
    }
}

pub(super) async fn delete(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(destination): Path<String>,
    Form(pairs): Form,
) -> Result<Response, Fault> {
    must_be_sure(&pairs)?;
    dashboard.management.destinations.delete(visitor.actor(), id(&destination)?).await?;
    Ok(dashboard.done(&visitor, PATH, "Destination deleted. What waited for it is cancelled."))
}
