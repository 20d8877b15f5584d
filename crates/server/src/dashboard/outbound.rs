//! The outbound log: deliveries with what became of them; sending many again, and cancelling many.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use agentflow_events::{LeadId, Moment};
use axum::extract::State;
use axum::response::Response;
use futures_util::future::try_join_all;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Operates, Views, Visitor};
use super::elements::{badge, bare_url, delivery_state, mark, nothing, pager, select, time, token};
use super::fault::Fault;
use super::forms::{Form, Pairs, Query};
use super::page::Place;
use crate::record::{Attempt, AuditRow, Delivery, DeliveryState, Destination, Lead, Role, StateReason};
use crate::store::{DeliveryFilter, PageRequest, ResendFilter, StoreError};

pub(super) const PATH: &str = "/dashboard/outbound";
const STATES: [(&str, &str); 5] = [
    ("pending", "Pending"),
    ("delivered", "Delivered"),
    ("dead", "Dead letter"),
    ("cancelled", "Cancelled"),
    ("superseded", "Superseded"),
];
const TYPES: [(&str, &str); 3] = [
    ("lead.qualified", "lead.qualified"),
    ("lead.rejected", "lead.rejected"),
    ("lead.review_requested", "lead.review_requested"),
];
/// What the filter goes by.
const FILTERS: [&str; 4] = ["state", "event_type", "destination", "event"];

fn filter(query: &Pairs) -> DeliveryFilter {
    DeliveryFilter {
        state: query.text("state").and_then(DeliveryState::from_name),
        destination: query.parsed("destination"),
        event: query.parsed("event"),
        event_type: query.parsed("event_type"),
    }
}

/// The filter of a form. What a list passes over would make a change go further than it was meant to.
fn strict_filter(form: &Pairs) -> Result<DeliveryFilter, Fault> {
    let filter = filter(form);
    let known = [
        filter.state.is_some(),
        filter.event_type.is_some(),
        filter.destination.is_some(),
        filter.event.is_some(),
    ];
    for (name, known) in FILTERS.into_iter().zip(known) {
        if let (Some(value), false) = (form.text(name), known) {
            let name = name.replace('_', " ");
            return Err(Fault::Unusable(format!("Nothing was sent: there is no {name} \"{value}\".")));
        }
    }
    Ok(filter)
}

fn filter_fields(pairs: &Pairs) -> Markup {
    html! {
        @for name in FILTERS {
            @if let Some(value) = pairs.text(name) { input type="hidden" name=(name) value=(value); }
        }
    }
}

pub(super) fn url_of<'a>(destinations: &'a [Destination], delivery: &Delivery) -> &'a str {
    let found = destinations.iter().find(|destination| destination.id == delivery.destination_id);
    found.map_or("a deleted destination", |destination| &destination.url)
}

/// Why a delivery ended without having been delivered or given up.
pub(super) fn state_reason(reason: StateReason) -> &'static str {
    match reason {
        StateReason::LeadDecided => "its lead was decided meanwhile",
        StateReason::CancelledByOperator => "an operator cancelled it",
        StateReason::DestinationDeleted => "its destination was deleted",
    }
}

/// How the last attempt went.
fn result(attempt: &Attempt) -> Markup {
    let tone = if attempt.error.is_none() { "good" } else { "bad" };
    html! {
        @match (attempt.status, &attempt.error) {
            (Some(status), _) => (badge(tone, &status.to_string())),
            (None, Some(error)) => span.error title=(error) { (error.split(':').next().unwrap_or_default()) },
            (None, None) => {},
        }
    }
}

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let asked = filter(&query);
    let request = PageRequest { cursor: query.parsed("cursor"), limit: 50 };
    let page = dashboard.store.deliveries(visitor.workspace_id(), &asked, request).await?;
    let early = page.ends_early(request);
    let destinations = dashboard.store.destinations(visitor.workspace_id()).await?;
    let leads = dashboard.leads_of(&visitor, &page.items).await?;
    let named: Vec<(String, &str)> =
        destinations.iter().map(|to| (to.id.to_string(), to.url.as_str())).collect();
    let named: Vec<(&str, &str)> = named.iter().map(|(id, url)| (id.as_str(), *url)).collect();
    let now = dashboard.clock.now();
    let first = query.query(&["cursor"], &[]);
    let next = page.next_cursor.map(|cursor| query.query(&["cursor"], &[("cursor", &cursor.to_string())]));
    let unwanted = page.items.is_empty() && dashboard.nobody_wanted(&visitor, &asked).await?;
    let resend = match asked.state {
        _ if page.items.is_empty() || !visitor.may(Role::Operator) => None,
        Some(_) => Some("Send all of these again…"),
        None if dashboard.has_dead(&visitor, &asked).await? => {
            Some("Send the dead letters among these again…")
        }
        None => None,
    };
    let main = html! {
        main id="main" data-swap {
            header.top { h1 { "Outbound logs" } }
            form.filters role="search" method="get" action=(PATH) {
                (select("state", "State", query.text("state"), &STATES))
                (select("event_type", "Event", query.text("event_type"), &TYPES))
                (select("destination", "Destination", query.text("destination"), &named))
                @if let Some(event) = query.text("event") { input type="hidden" name="event" value=(event); }
                button { "Filter" }
            }
            @if asked.event.is_some() {
                p.facts { "Deliveries of one event. " a href={ (PATH) (mark(&query.query(&["cursor", "event"], &[]))) } { "Show those of all events" } }
            }
            @if page.items.is_empty() {
                div.empty { h2 { (nothing(early, "No deliveries")) } p {
                    @if unwanted { "No destination wanted this event when it was made. " }
                    @if !first.is_empty() { a href=(PATH) { "Show all deliveries" } }
                    @else if destinations.is_empty() { "Events leave for destinations, and there is none yet. " a href="/dashboard/destinations" { "Add a destination" } }
                    @else { "Events that leave for your destinations are listed here with every attempt." }
                } }
            } @else {
                div.scroll { table.cards {
                    thead { tr { th { "Lead" } th { "Event" } th { "Destination" } th { "State" } th { "Attempts" } th { "Next try" } th { "Made" } } }
                    tbody { @for delivery in &page.items { (row(delivery, leads.get(&delivery.lead_id), url_of(&destinations, delivery), now)) } }
                } }
                @if let Some(resend) = resend {
                    form.resend.buttons method="post" action=(Many::Resend.path()) {
                        (token(&visitor)) (filter_fields(&query))
                        button { (resend) }
                        @if asked.state == Some(DeliveryState::Pending) { button formaction=(Many::Cancel.path()) { "Cancel all of these…" } }
                    }
                }
            }
            (pager(PATH, &first, next.as_deref(), query.has("cursor"), early))
        }
    };
    Ok(dashboard.show(&visitor, Place::Outbound, "Outbound logs", &main).await?)
}

fn row(delivery: &Delivery, lead: Option<&Lead>, url: &str, now: Moment) -> Markup {
    let last = delivery.attempts.last();
    html! {
        tr {
            td.who data-th="Lead" {
                a href={ (PATH) "/" (delivery.id) } { @match lead { Some(lead) => (lead.details.name), None => "a deleted lead" } }
                @if let Some(lead) = lead { @let email = lead.details.email.as_sent(); span title=(email) { (email) } }
            }
            td data-th="Event" { code { (delivery.event_type.as_str()) } }
            td.url data-th="Destination" title=(url) { (bare_url(url)) }
            td data-th="State" { (delivery_state(delivery.state)) }
            td.line data-th="Attempts" { @if let Some(last) = last { span { (last.number) " · " (result(last)) } } @else { "–" } }
            td data-th="Next try" { @if let Some(at) = delivery.next_attempt_at { (time(at, now)) } @else { "–" } }
            td data-th="Made" { (time(delivery.created_at, now)) }
        }
    }
}

/// What is done to many deliveries with one click.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Many {
    Resend,
    Cancel,
}

impl Many {
    fn path(self) -> String {
        format!("{PATH}/{}", if self == Many::Resend { "resend" } else { "cancel" })
    }
}

/// Asks with a count first; sends when that was confirmed.
pub(super) async fn resend_matching(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Form(form): Form,
) -> Result<Response, Fault> {
    let filter = strict_filter(&form)?;
    let matching = ResendFilter::Matching(filter.clone());
    if form.has("confirmed") {
        let sent = dashboard.resend(&visitor, matching, "deliveries.resend", "").await?;
        let done = format!("{} on the way again. Each shows how it goes.", deliveries(sent));
        return Ok(dashboard.done(&visitor, &list_of(&form), done));
    }
    let found = dashboard.store.resend(visitor.workspace_id(), matching, dashboard.clock.now(), None).await?;
    dashboard.ask_for_many(&visitor, &form, &filter, Many::Resend, found).await
}

/// Asks with a count first; cancels when that was confirmed.
pub(super) async fn cancel_matching(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Form(form): Form,
) -> Result<Response, Fault> {
    let filter = strict_filter(&form)?;
    if filter.state.is_some_and(|state| state != DeliveryState::Pending) {
        return Err(Fault::Unusable("Nothing was cancelled: only pending deliveries can be.".to_owned()));
    }
    let matching = ResendFilter::Matching(filter.clone());
    let confirmed = form.has("confirmed");
    let audit =
        confirmed.then(|| AuditRow::new(visitor.actor(), dashboard.clock.now(), "deliveries.cancel", ""));
    let cancelled = dashboard.store.cancel(visitor.workspace_id(), matching, audit).await?;
    dashboard.deliver.give_back(&cancelled.claimed);
    if confirmed {
        let done = format!("{} cancelled.", deliveries(cancelled.count));
        return Ok(dashboard.done(&visitor, &list_of(&form), done));
    }
    dashboard.ask_for_many(&visitor, &form, &filter, Many::Cancel, cancelled.count).await
}

fn deliveries(number: u64) -> String {
    if number == 1 { "1 delivery".to_owned() } else { format!("{number} deliveries") }
}

/// The list that a form was on.
fn list_of(form: &Pairs) -> String {
    format!("{PATH}{}", mark(&form.query(&["token", "confirmed"], &[])))
}

/// The filter in words: `pending, to any destination`.
fn words(filter: &DeliveryFilter, otherwise: DeliveryState, destinations: &[Destination]) -> String {
    let state = filter.state.unwrap_or(otherwise);
    let state = STATES.iter().find(|(name, _)| *name == state.as_str()).map_or("", |(_, title)| title);
    let to = match filter.destination {
        Some(id) => destinations.iter().find(|to| to.id == id).map_or("a deleted destination", |to| &to.url),
        None => "any destination",
    };
    let mut words = format!("{}, to {}", state.to_lowercase(), bare_url(to));
    if let Some(kind) = filter.event_type {
        words.push_str(&format!(", of {}", kind.as_str()));
    }
    if filter.event.is_some() {
        words.push_str(", of one event");
    }
    words
}

impl Dashboard {
    /// Says which deliveries the form means and what would become of them, and asks once more.
    async fn ask_for_many(
        &self,
        visitor: &Visitor,
        form: &Pairs,
        filter: &DeliveryFilter,
        what: Many,
        found: u64,
    ) -> Result<Response, Fault> {
        let destinations = self.store.destinations(visitor.workspace_id()).await?;
        let otherwise = if what == Many::Resend { DeliveryState::Dead } else { DeliveryState::Pending };
        let words = words(filter, otherwise, &destinations);
        let title = if what == Many::Resend { "Send again" } else { "Cancel deliveries" };
        let is = |many: &'static str, one: &'static str| if found == 1 { one } else { many };
        let main = html! {
            main.narrow id="main" data-swap {
                h1 { (title) }
                section.card {
                    p { b { (deliveries(found)) } ", " (words) ", "
                        @match what {
                            Many::Resend => { (is("are tried again at once, their", "is tried again at once, its")) " schedule begun anew." },
                            Many::Cancel => { (is("are", "is")) " not tried any more. Attempts that are under way finish. They can be sent again later." },
                        }
                    }
                    @if filter.state == Some(DeliveryState::Delivered) {
                        p { "They were delivered before. Receivers tell a repetition by the lead's id and the event's type." }
                    }
                    form method="post" action=(what.path()) {
                        (token(visitor)) (filter_fields(form))
                        div.buttons {
                            @match what {
                                Many::Resend => button.primary name="confirmed" value="yes" disabled[found == 0] { "Send " (deliveries(found)) " again" },
                                Many::Cancel => button.bad name="confirmed" value="yes" disabled[found == 0] { "Cancel " (deliveries(found)) },
                            }
                            a.button href=(list_of(form)) { @if what == Many::Resend { "Cancel" } @else { "Back" } }
                        }
                    }
                }
            }
        };
        Ok(self.show(visitor, Place::Outbound, title, &main).await?)
    }

    /// Whether the filter means one event alone, which has no deliveries for want of destinations.
    async fn nobody_wanted(&self, visitor: &Visitor, asked: &DeliveryFilter) -> Result<bool, StoreError> {
        match *asked {
            DeliveryFilter { event: Some(event), state: None, destination: None, event_type: None } => {
                Ok(self.store.event(visitor.workspace_id(), event).await?.is_some())
            }
            _ => Ok(false),
        }
    }

    /// Whether there are dead letters among these deliveries, or may be.
    async fn has_dead(&self, visitor: &Visitor, asked: &DeliveryFilter) -> Result<bool, StoreError> {
        let dead = DeliveryFilter { state: Some(DeliveryState::Dead), ..asked.clone() };
        let request = PageRequest { cursor: None, limit: 1 };
        let page = self.store.deliveries(visitor.workspace_id(), &dead, request).await?;
        Ok(!page.items.is_empty() || page.ends_early(request))
    }

    /// The leads of these deliveries.
    async fn leads_of(
        &self,
        visitor: &Visitor,
        deliveries: &[Delivery],
    ) -> Result<HashMap<LeadId, Lead>, StoreError> {
        let ids: BTreeSet<LeadId> = deliveries.iter().map(|delivery| delivery.lead_id).collect();
        let found = ids.into_iter().map(|id| self.store.lead(visitor.workspace_id(), id));
        Ok(try_join_all(found).await?.into_iter().flatten().map(|lead| (lead.id, lead)).collect())
    }

    pub(super) async fn resend(
        &self,
        visitor: &Visitor,
        filter: ResendFilter,
        action: &str,
        subject: &str,
    ) -> Result<u64, Fault> {
        let audit = AuditRow::new(visitor.actor(), self.clock.now(), action, subject);
        let count = self.store.resend(visitor.workspace_id(), filter, self.clock.now(), Some(audit)).await?;
        if count > 0 {
            self.deliver.wake();
        }
        Ok(count)
    }
}
