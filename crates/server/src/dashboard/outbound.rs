//! The outbound log: deliveries, each attempt as it went, and sending again.

use std::sync::Arc;

use agentflow_events::Moment;
use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Operates, Views, Visitor};
use super::elements::{
    badge, count, delivery_state, millis, nothing, pager_of_search, select, time, token, utc,
};
use super::fault::Fault;
use super::forms::{Form, Pairs, Query};
use super::page::Place;
use crate::id::DeliveryId;
use crate::record::{Attempt, AuditRow, Delivery, DeliveryState, Destination, Exchange, Role};
use crate::reply;
use crate::store::{DeliveryFilter, PageRequest, ResendFilter};

const PATH: &str = "/dashboard/outbound";
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

fn filter(query: &Pairs) -> DeliveryFilter {
    DeliveryFilter {
        state: query.text("state").and_then(DeliveryState::from_name),
        destination: query.parsed("destination"),
        event: query.parsed("event"),
        event_type: query.parsed("event_type"),
    }
}

fn url_of<'a>(destinations: &'a [Destination], delivery: &Delivery) -> &'a str {
    let found = destinations.iter().find(|destination| destination.id == delivery.destination_id);
    found.map_or("a deleted destination", |destination| &destination.url)
}

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let request = PageRequest { cursor: query.parsed("cursor"), limit: 50 };
    let page = dashboard.store.deliveries(visitor.workspace_id(), &filter(&query), request).await?;
    let early = page.ends_early(request);
    let destinations = dashboard.store.destinations(visitor.workspace_id()).await?;
    let named: Vec<(String, &str)> =
        destinations.iter().map(|to| (to.id.to_string(), to.url.as_str())).collect();
    let named: Vec<(&str, &str)> = named.iter().map(|(id, url)| (id.as_str(), *url)).collect();
    let now = dashboard.clock.now();
    let first = query.query(&["cursor"], &[]);
    let next = page.next_cursor.map(|cursor| query.query(&["cursor"], &[("cursor", &cursor.to_string())]));
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
            @if page.items.is_empty() {
                div.empty { h2 { (nothing(early, "No deliveries")) } p {
                    @if first.is_empty() { "Events that leave for your destinations are listed here with every attempt." }
                    @else { a href=(PATH) { "Show all deliveries" } }
                } }
            } @else {
                div.scroll { table {
                    thead { tr { th { "Event" } th { "Destination" } th { "State" } th { "Next try" } th { "Made" } } }
                    tbody { @for delivery in &page.items { tr {
                        td { a href={ (PATH) "/" (delivery.id) } { code { (delivery.event_type.as_str()) } } }
                        td.url { (url_of(&destinations, delivery)) }
                        td { (delivery_state(delivery.state)) }
                        td { @if let Some(at) = delivery.next_attempt_at { (time(at, now)) } }
                        td { (time(delivery.created_at, now)) }
                    } } }
                } }
                @if visitor.may(Role::Operator) && filter(&query).event.is_none() {
                    form.bulk method="post" action={ (PATH) "/resend" } {
                        (token(&visitor))
                        @for name in ["state", "event_type", "destination"] {
                            @if let Some(value) = query.text(name) { input type="hidden" name=(name) value=(value); }
                        }
                        button { "Send all of these again…" }
                    }
                }
            }
            (pager_of_search(PATH, &first, next.as_deref(), query.has("cursor"), early))
        }
    };
    Ok(dashboard.show(&visitor, Place::Outbound, "Outbound logs", &main).await?)
}

pub(super) async fn one(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Path(delivery): Path<String>,
) -> Result<Response, Fault> {
    let delivery = dashboard.find_delivery(&visitor, &delivery).await?;
    let destinations = dashboard.store.destinations(visitor.workspace_id()).await?;
    let event = dashboard.store.event(visitor.workspace_id(), delivery.event_id).await?;
    let now = dashboard.clock.now();
    let url = url_of(&destinations, &delivery);
    let body =
        event.as_ref().map(|event| String::from_utf8_lossy(&event.body).into_owned()).unwrap_or_default();
    let main = html! {
        main.narrow id="main" data-swap {
            p { a href=(PATH) { "All deliveries" } }
            header.top {
                h1 { code { (delivery.event_type.as_str()) } }
                (delivery_state(delivery.state))
            }
            dl.fields {
                dt { "To" } dd.url { (url) }
                dt { "Lead" } dd { a href={ "/dashboard/leads/" (delivery.lead_id) } { (delivery.lead_id) } }
                dt { "Event" } dd { code { (delivery.event_id) } }
                dt { "Made" } dd { (time(delivery.created_at, now)) }
                @if let Some(at) = delivery.next_attempt_at { dt { "Next try" } dd { (time(at, now)) } }
            }
            @if visitor.may(Role::Operator) {
                form method="post" action={ (PATH) "/" (delivery.id) "/resend" } { (token(&visitor)) button { "Send again" } }
            }
            section { h2 { "Attempts" }
                @if delivery.attempts.is_empty() { p.hint { "None has finished yet." } }
                ol.timeline { @for attempt in delivery.attempts.iter().rev() {
                    @let head = event.as_ref().and_then(|event| dashboard.deliver.request_head(attempt, event));
                    (attempt_of(attempt, head.as_deref(), now))
                } }
            }
            section { h2 { "What is sent" }
                p.hint { "The same bytes on every attempt. Timestamp and signature are made anew for each; the secret is not shown." }
                pre tabindex="0" { (body) }
                details { summary { "As curl" } pre.copy tabindex="0" { (as_curl(url, &body)) } }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Outbound, delivery.event_type.as_str(), &main).await?)
}

/// One attempt as it went; `request_head` is what was sent before the body.
pub(super) fn attempt_of(attempt: &Attempt, request_head: Option<&str>, now: Moment) -> Markup {
    let Exchange { remote, reused, timings, response_headers, .. } = &attempt.exchange;
    let parts = [
        ("name", timings.resolve_ms),
        ("connection", timings.connect_ms),
        ("TLS", timings.tls_ms),
        ("first byte", timings.first_byte_ms),
    ];
    html! {
        li.bad[attempt.error.is_some()] {
            header {
                b { "Attempt " (attempt.number) }
                @match attempt.status {
                    Some(status) => (badge(if attempt.error.is_none() { "good" } else { "bad" }, &status.to_string())),
                    None => (badge("bad", "no response")),
                }
                span.sub { (millis(attempt.duration_ms)) " · " (time(attempt.at, now)) " · " (utc(attempt.at)) }
            }
            @if let Some(error) = &attempt.error { p.error { (error) } }
            p.hint {
                @if let Some(remote) = remote { (remote) @if *reused { ", on a kept connection" } }
                @for (name, took) in parts { @if let Some(took) = took { " · " (name) " " (millis(took)) } }
            }
            @if let Some(head) = request_head { details { summary { "Request" } pre tabindex="0" { (head) } } }
            @if response_headers.is_some() || attempt.response_head.as_ref().is_some_and(|head| !head.is_empty()) {
                details { summary { "Response" }
                    pre tabindex="0" { (response_headers.as_deref().unwrap_or_default()) "\n" (attempt.response_head.as_deref().unwrap_or_default()) }
                }
            }
        }
    }
}

/// A line that sends the same body, signed with a secret from the environment.
fn as_curl(url: &str, body: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    format!(
        "T=$(date +%s); B={}\nS=$(printf '%s.%s' \"$T\" \"$B\" | openssl dgst -sha256 -hmac \"$AGENTFLOW_OUTBOUND_SECRET\" -r | cut -d' ' -f1)\n\
         curl {} -H 'content-type: application/json' \\\n  -H \"x-agentflow-timestamp: $T\" -H \"x-agentflow-signature: sha256=$S\" --data-raw \"$B\"",
        quoted(body),
        quoted(url)
    )
}

pub(super) async fn resend_one(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Path(delivery): Path<String>,
    Form(_): Form,
) -> Result<Response, Fault> {
    let delivery = dashboard.find_delivery(&visitor, &delivery).await?;
    if dashboard
        .resend(&visitor, ResendFilter::One(delivery.id), "delivery.resend", &delivery.id.to_string())
        .await?
        == 0
    {
        return Err(Fault::Unusable("The destination was deleted; there is nowhere to send it.".to_owned()));
    }
    Ok(reply::see_other(&format!("{PATH}/{}", delivery.id)))
}

/// Asks with a count first; sends when that was confirmed.
pub(super) async fn resend_matching(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Form(form): Form,
) -> Result<Response, Fault> {
    let matching = || ResendFilter::Matching(filter(&form));
    let query = form.query(&["token", "confirmed"], &[]);
    let back = format!("{PATH}{}", super::elements::mark(&query));
    if form.has("confirmed") {
        dashboard.resend(&visitor, matching(), "deliveries.resend", "").await?;
        return Ok(reply::see_other(&back));
    }
    let found =
        dashboard.store.resend(visitor.workspace_id(), matching(), dashboard.clock.now(), None).await?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    let main = html! {
        main.narrow id="main" data-swap {
            h1 { "Send again" }
            p { "This sends " b { (count(found, "event")) } " again, also those that were delivered before. Receivers tell a repetition by the lead's id and the event's type." }
            form method="post" action={ (PATH) "/resend" } {
                (token(&visitor))
                @for name in ["state", "event_type", "destination"] {
                    @if let Some(value) = form.text(name) { input type="hidden" name=(name) value=(value); }
                }
                div.buttons {
                    button.primary name="confirmed" value="yes" disabled[found == 0] { "Send " (count(found, "event")) " again" }
                    a.button href=(back) { "Do not" }
                }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Outbound, "Send again", &main).await?)
}

impl Dashboard {
    async fn find_delivery(&self, visitor: &Visitor, text: &str) -> Result<Delivery, Fault> {
        let id: DeliveryId = text.parse().map_err(|_| Fault::NotFound("delivery"))?;
        self.store.delivery(visitor.workspace_id(), id).await?.ok_or(Fault::NotFound("delivery"))
    }

    async fn resend(
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
