//! Destinations: where events go, whether they arrive, and a test at once.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::EventType;
use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Administers, Operates, Views, Visitor};
use super::elements::{badge, time, token};
use super::fault::Fault;
use super::forms::{Form, Pairs, Query};
use super::outbound::attempt_of;
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
            refused => Fault::Unusable(format!("Sorry: {refused}.")),
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
                div.scroll { table {
                    thead { tr { th { "URL" } th { "Events" } th { "State" } th.number { "Delivered, 24 h" } th.number { "Dead" } th.number { "Waiting" } } }
                    tbody { @for to in &destinations { tr {
                        td.url { a href={ (PATH) "/" (to.id) } { (to.url) } }
                        td { @for kind in &to.event_types { code { (kind.as_str()) } br; } }
                        td { (state(to)) }
                        @let health = of(to);
                        td.number { (health.map_or(0, |health| health.delivered)) }
                        td.number { (health.map_or(0, |health| health.dead)) }
                        td.number { (health.map_or(0, |health| health.pending)) }
                    } } }
                } }
            }
            @if visitor.may(Role::Admin) {
                section { h2 { "Add a destination" } (form(&visitor, PATH, None, None, "Add")) }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Destinations, "Destinations", &main).await?)
}

/// The fields of a destination; `verdict` is what the check of its URL says.
fn form(
    visitor: &Visitor,
    action: &str,
    present: Option<&Destination>,
    given: Option<(&Pairs, &str)>,
    button: &str,
) -> Markup {
    let url = given
        .and_then(|(pairs, _)| pairs.text("url"))
        .or(present.map(|to| to.url.as_str()))
        .unwrap_or_default();
    let wants = |kind: EventType| match given {
        Some((pairs, _)) => pairs.all("event_types").any(|name| name == kind.as_str()),
        None => present.is_none_or(|to| to.event_types.contains(&kind)),
    };
    let number = |name: &str, present: Option<u32>| match given {
        Some((pairs, _)) => pairs.text(name).unwrap_or_default().to_owned(),
        None => present.map(|number| number.to_string()).unwrap_or_default(),
    };
    html! {
        form.stack method="post" action=(action) {
            (token(visitor))
            @if let Some((_, verdict)) = given { p.notice.bad role="alert" { (verdict) } }
            label { span { "URL" } input type="url" name="url" required placeholder="https://hooks.example.com/agentflow" value=(url); }
            fieldset { legend { "Events" }
                @for kind in EventType::ALL { label.tick { input type="checkbox" name="event_types" value=(kind.as_str()) checked[wants(*kind)]; span { code { (kind.as_str()) } } } }
            }
            label { span { "Attempts at the same time, at most (empty: the server's own limit)" } input type="number" name="max_in_flight" min="1" max="1024" value=(number("max_in_flight", present.and_then(|to| to.max_in_flight))); }
            label { span { "Attempts a second, at most (empty: no limit)" } input type="number" name="per_second" min="1" max="100000" value=(number("per_second", present.and_then(|to| to.per_second))); }
            div { button.primary { (button) } }
        }
    }
}

/// What a form asks for.
struct Wanted {
    url: String,
    event_types: Vec<EventType>,
    max_in_flight: Option<u32>,
    per_second: Option<u32>,
}

/// What the form asks for, or what is wrong with it.
async fn read(dashboard: &Dashboard, form: &Pairs) -> Result<Wanted, String> {
    let url = form.text("url").ok_or("A destination has a URL.")?;
    dashboard
        .management
        .destinations
        .check_url(url)
        .await
        .map_err(|fault| format!("This URL cannot be used: {fault}."))?;
    let mut types: Vec<EventType> = form.all("event_types").filter_map(|name| name.parse().ok()).collect();
    types.sort();
    types.dedup();
    if types.is_empty() {
        return Err("Tick at least one event.".to_owned());
    }
    let bound = |name: &str, max: u32| match form.text(name) {
        None => Ok(None),
        Some(text) => match text.parse().ok().filter(|number| (1..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("A limit is a whole number from 1 to {max}, or empty.")),
        },
    };
    Ok(Wanted {
        url: url.to_owned(),
        event_types: types,
        max_in_flight: bound("max_in_flight", 1_024)?,
        per_second: bound("per_second", 100_000)?,
    })
}

pub(super) async fn create(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(pairs): Form,
) -> Result<Response, Fault> {
    let read = match read(&dashboard, &pairs).await {
        Ok(read) => read,
        Err(verdict) => {
            let main = html! {
                main.narrow id="main" data-swap { h1 { "Add a destination" } (form(&visitor, PATH, None, Some((&pairs, &verdict)), "Add")) }
            };
            return Ok(dashboard.show(&visitor, Place::Destinations, "Add a destination", &main).await?);
        }
    };
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
    Ok(reply::see_other(&format!("{PATH}/{}", made.id)))
}

pub(super) async fn one(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Path(destination): Path<String>,
    Query(_): Query,
) -> Result<Response, Fault> {
    dashboard.show_destination(&visitor, &destination, &html! {}, None).await
}

impl Dashboard {
    async fn show_destination(
        &self,
        visitor: &Visitor,
        destination: &str,
        news: &Markup,
        given: Option<(&Pairs, &str)>,
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
                (news)
                p.facts {
                    "Added " (time(to.created_at, now))
                    @if let Some(at) = to.failing_since { " · every attempt has failed since " (time(at, now)) }
                }
                div.tiles {
                    div.tile { b { (health.delivered) } span { "delivered, 24 h" } }
                    div.tile { b { (health.dead) } span { "dead letters, 24 h" } }
                    div.tile { b { (health.pending) } span { "of these wait" } }
                }
                div.buttons {
                    a.button href={ "/dashboard/outbound?destination=" (to.id) } { "Its deliveries" }
                    @if visitor.may(Role::Operator) {
                        (act("test", "Send a test event"))
                        @if to.paused { (act("resume", "Resume")) } @else { (act("pause", "Pause")) }
                    }
                    @if visitor.may(Role::Admin) {
                        @if to.enabled { (act("disable", "Disable")) } @else { (act("enable", "Enable")) }
                    }
                }
                p.hint { "Paused: new events wait here and are sent later. Disabled: new events are not sent here at all." }
                @if visitor.may(Role::Admin) {
                    section { h2 { "Change" } (form(visitor, &path, Some(&to), given, "Save")) }
                    section { h2 { "Delete" }
                        p.hint { "What waits for it is cancelled; the log keeps what was delivered." }
                        form method="post" action={ (path) "/delete" } {
                            (token(visitor))
                            label.tick { input type="checkbox" name="sure" value="yes" required; span { "I am sure" } }
                            button.bad { "Delete this destination" }
                        }
                    }
                }
            }
        };
        Ok(self.show(visitor, Place::Destinations, "Destination", &main).await?)
    }
}

pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(destination): Path<String>,
    Form(pairs): Form,
) -> Result<Response, Fault> {
    let id = id(&destination)?;
    match read(&dashboard, &pairs).await {
        Err(verdict) => {
            dashboard.show_destination(&visitor, &destination, &html! {}, Some((&pairs, &verdict))).await
        }
        Ok(read) => {
            let change = DestinationChange {
                url: Some(read.url),
                event_types: Some(read.event_types),
                max_in_flight: Some(read.max_in_flight),
                per_second: Some(read.per_second),
                ..DestinationChange::default()
            };
            dashboard
                .management
                .destinations
                .change(visitor.actor(), id, change, "destination.change")
                .await?;
            Ok(reply::see_other(&format!("{PATH}/{id}")))
        }
    }
}

/// `pause`, `resume` and `test`, for operators; `enable` and `disable`, for admins.
pub(super) async fn act(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Path((destination, what)): Path<(String, String)>,
    Form(_): Form,
) -> Result<Response, Fault> {
    let id = id(&destination)?;
    let (paused, action) = match what.as_str() {
        "pause" => (true, "destination.pause"),
        "resume" => (false, "destination.resume"),
        "test" => return dashboard.test(&visitor, id).await,
        _ => return dashboard.administer(&visitor, id, &what).await,
    };
    let change = DestinationChange { paused: Some(paused), ..DestinationChange::default() };
    dashboard.management.destinations.change(visitor.actor(), id, change, action).await?;
    Ok(reply::see_other(&format!("{PATH}/{id}")))
}

impl Dashboard {
    async fn administer(&self, visitor: &Visitor, id: DestinationId, what: &str) -> Result<Response, Fault> {
        let enabled = match what {
            "enable" => true,
            "disable" => false,
            _ => return Err(Fault::NotFound("page")),
        };
        if !visitor.may(Role::Admin) {
            return Err(Fault::Forbidden(Role::Admin.as_str()));
        }
        let change = DestinationChange { enabled: Some(enabled), ..DestinationChange::default() };
        self.management.destinations.change(visitor.actor(), id, change, "destination.change").await?;
        Ok(reply::see_other(&format!("{PATH}/{id}")))
    }

    async fn test(&self, visitor: &Visitor, id: DestinationId) -> Result<Response, Fault> {
        let tested = self.management.destinations.test(visitor.actor(), id).await?;
        let request_head = self.deliver.request_head(&tested.attempt, &tested.event);
        let news = html! {
            section.notice.good[tested.attempt.error.is_none()].bad[tested.attempt.error.is_some()] role="status" {
                h2 { @if tested.attempt.error.is_none() { "The test event was delivered" } @else { "The test event was not delivered" } }
                ol.timeline { (attempt_of(&tested.attempt, request_head.as_deref(), self.clock.now())) }
            }
        };
        self.show_destination(visitor, &id.to_string(), &news, None).await
    }
}

pub(super) async fn delete(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(destination): Path<String>,
    Form(pairs): Form,
) -> Result<Response, Fault> {
    if !pairs.has("sure") {
        return Err(Fault::Unusable("Tick that you are sure, then delete.".to_owned()));
    }
    dashboard.management.destinations.delete(visitor.actor(), id(&destination)?).await?;
    Ok(reply::see_other(PATH))
}
