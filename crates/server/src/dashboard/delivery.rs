//! One delivery: each attempt as it went, what is sent, sending it again and cancelling it.

use std::sync::Arc;

use agentflow_events::Moment;
use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Operates, Views, Visitor};
use super::elements::{badge, delivery_state, millis, must_be_sure, risky, time, token, utc};
use super::fault::Fault;
use super::forms::{Form, Path};
use super::json::pretty;
use super::outbound::{PATH, state_reason, url_of};
use super::page::Place;
use crate::id::DeliveryId;
use crate::record::{Attempt, AuditRow, Delivery, DeliveryState, Exchange, Role};
use crate::setup::curl::quoted;
use crate::store::ResendFilter;

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
    let lead = dashboard.store.lead(visitor.workspace_id(), delivery.lead_id).await?;
    let body =
        event.as_ref().map(|event| String::from_utf8_lossy(&event.body).into_owned()).unwrap_or_default();
    let path = format!("{PATH}/{}", delivery.id);
    let main = html! {
        main.narrow id="main" data-swap {
            p { a href=(PATH) { "All deliveries" } }
            header.top {
                h1 { code { (delivery.event_type.as_str()) } }
                (delivery_state(delivery.state))
            }
            dl.fields {
                dt { "To" } dd.url { (url) }
                dt { "Lead" } dd {
                    a href={ "/dashboard/leads/" (delivery.lead_id) } {
                        @match &lead { Some(lead) => (lead.details.name), None => (delivery.lead_id) }
                    }
                }
                dt { "Event" } dd { code data-copy { (delivery.event_id) } }
                dt { "Delivery" } dd { code data-copy { (delivery.id) } }
                @if let Some(reason) = delivery.state_reason { dt { "Why" } dd { (state_reason(reason)) } }
                dt { "Made" } dd { (time(delivery.created_at, now)) }
                @if let Some(at) = delivery.next_attempt_at { dt { "Next try" } dd { (time(at, now)) } }
            }
            @if visitor.may(Role::Operator) {
                div.buttons {
                    form method="post" action={ (path) "/resend" } { (token(&visitor)) button { "Send again" } }
                    @if delivery.state == DeliveryState::Pending {
                        (risky(&visitor, &format!("{path}/cancel"), "Cancel this delivery", "No further attempt is made. An attempt that is under way finishes. It can be sent again later."))
                    }
                }
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
                pre tabindex="0" { (pretty(&body)) }
                details { summary { "The exact bytes" } pre data-copy tabindex="0" { (body) } }
                details { summary { "As curl" } pre data-copy tabindex="0" { (as_curl(url, &body)) } }
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
    let address =
        remote.map(|remote| format!("{remote}{}", if *reused { ", on a kept connection" } else { "" }));
    let took = parts.into_iter().filter_map(|(name, took)| Some(format!("{name} {}", millis(took?))));
    let how: Vec<String> = address.into_iter().chain(took).collect();
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
            @if !how.is_empty() { p.hint { (how.join(" · ")) } }
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
    let done = "It is being sent again, with its schedule begun anew.";
    Ok(dashboard.done(&visitor, &format!("{PATH}/{}", delivery.id), done))
}

pub(super) async fn cancel(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Path(delivery): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    must_be_sure(&form)?;
    let delivery = dashboard.find_delivery(&visitor, &delivery).await?;
    let path = format!("{PATH}/{}", delivery.id);
    let audit = AuditRow::new(visitor.actor(), dashboard.clock.now(), "delivery.cancel", delivery.id);
    let which = ResendFilter::One(delivery.id);
    let cancelled = dashboard.store.cancel(visitor.workspace_id(), which, Some(audit)).await?;
    dashboard.deliver.give_back(&cancelled.claimed);
    if cancelled.count == 0 {
        return Ok(dashboard.refused(&visitor, &path, "It was over before it could be cancelled."));
    }
    Ok(dashboard.done(&visitor, &path, "Delivery cancelled."))
}

impl Dashboard {
    async fn find_delivery(&self, visitor: &Visitor, text: &str) -> Result<Delivery, Fault> {
        let id: DeliveryId = text.parse().map_err(|_| Fault::NotFound("delivery"))?;
        self.store.delivery(visitor.workspace_id(), id).await?.ok_or(Fault::NotFound("delivery"))
    }
}
