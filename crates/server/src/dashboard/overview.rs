//! The overview: leads, decisions and deliveries over time, and what needs somebody.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::Moment;
use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Views, Visitor};
use super::chart::{self, Series};
use super::elements::{age, bare_url, millis, rough};
use super::fault::Fault;
use super::forms::Query;
use super::page::Place;
use crate::record::{Destination, LeadState, Role};
use crate::store::{Overview, Step};

const PATH: &str = "/dashboard/overview";
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) async fn page(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let month = query.text("span") == Some("month");
    let (step, steps, span) = if month { (DAY, 30, "30 days") } else { (HOUR, 24, "24 hours") };
    let now = dashboard.clock.now();
    let since = first_step(now, step, steps);
    let workspace = visitor.workspace_id();
    let overview = dashboard.store.overview(workspace, since, step, steps).await?;
    let waiting = dashboard.store.count_leads(workspace, LeadState::InReview, 10_000).await?;
    let destinations = dashboard.store.destinations(workspace).await?;
    let labels = labels(since, step, steps);
    let main = html! {
        main id="main" data-swap {
            header.top {
                h1 { "Overview" }
                nav.buttons aria-label="Span" {
                    a.button href=(PATH) aria-current=[(!month).then_some("true")] { "24 hours" }
                    a.button href={ (PATH) "?span=month" } aria-current=[month.then_some("true")] { "30 days" }
                }
            }
            (nowhere(&visitor, &destinations))
            (troubles(&destinations, now))
            (tiles(&overview, waiting, span, now))
            section.card { h2 { "Leads and decisions" }
                (chart::bars("Leads and decisions", "No lead has arrived in this time, and none was decided.", &labels, &[
                    Series { name: "Arrived", tone: "a", values: each(&overview, |step| step.leads) },
                    Series { name: "Approved", tone: "b", values: each(&overview, |step| step.approved) },
                    Series { name: "Rejected", tone: "c", values: each(&overview, |step| step.rejected) },
                ]))
            }
            section.card { h2 { "Deliveries, by when their event was made" }
                (chart::bars("Deliveries", "Nothing was delivered in this time, and nothing has become a dead letter.", &labels, &[
                    Series { name: "Delivered", tone: "b", values: each(&overview, |step| step.delivered) },
                    Series { name: "Dead letters", tone: "c", values: each(&overview, |step| step.dead) },
                ]))
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Overview, "Overview", &main).await?)
}

fn each(overview: &Overview, value: fn(&Step) -> u64) -> Vec<u64> {
    overview.steps.iter().map(value).collect()
}

/// The beginning of the first of so many whole steps of which the last is under way.
fn first_step(now: Moment, step: Duration, steps: usize) -> Moment {
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(1);
    let last = now.unix_millis().div_euclid(step_ms);
    let before = i64::try_from(steps).unwrap_or(1) - 1;
    Moment::from_unix_millis((last - before) * step_ms)
}

/// Hours as `08:00`, days as `11-24`, in UTC.
fn labels(since: Moment, step: Duration, steps: usize) -> Vec<String> {
    (0..steps)
        .map(|index| {
            let at = since.plus(step * u32::try_from(index).unwrap_or(u32::MAX)).to_rfc3339();
            if step < DAY { at[11..16].to_owned() } else { at[5..10].to_owned() }
        })
        .collect()
}

fn tiles(overview: &Overview, waiting: u32, span: &str, now: Moment) -> Markup {
    let sum = |value: fn(&Step) -> u64| overview.steps.iter().map(value).sum::<u64>();
    let part = |percent: usize| {
        let last = overview.delivery_ms.len().checked_sub(1)?;
        let at = overview.delivery_ms[last * percent / 100];
        Some(millis(u32::try_from(at).unwrap_or(u32::MAX)))
    };
    let none = || "–".to_owned();
    html! {
        div.tiles {
            a.tile href="/dashboard/review" { b.wait[waiting > 0] { (waiting) } span { "wait for a decision" } }
            div.tile { b { (sum(|step| step.leads)) } span { "leads in " (span) } }
            div.tile { b { (sum(|step| step.approved)) } span { "approved" } }
            div.tile { b { (sum(|step| step.rejected)) } span { "rejected" } }
            div.tile { b { (part(50).unwrap_or_else(none)) } span { "to delivery, median" } }
            div.tile { b { (part(99).unwrap_or_else(none)) } span { "to delivery, p99" } }
            a.tile href="/dashboard/outbound?state=pending" {
                b { (overview.pending) }
                span { "deliveries wait" @if let Some(at) = overview.oldest_pending_at { ", the oldest for " (rough(now.since(at))) } }
            }
            @let dead = sum(|step| step.dead);
            a.tile href="/dashboard/outbound?state=dead" { b.bad[dead > 0] { (dead) } span { "dead letters in " (span) } }
        }
    }
}

/// What is told while events go nowhere, and what to do about it.
fn nowhere(visitor: &Visitor, destinations: &[Destination]) -> Markup {
    let (none, remedy, ask) = match destinations {
        [] => ("No destination: events are not sent to anybody.", "Add one", "add one"),
        some if some.iter().all(|to| !to.enabled) => {
            ("No destination is enabled: events are not sent to anybody.", "Enable one", "enable one")
        }
        _ => return html! {},
    };
    html! {
        p.notice.wait { (none) " "
            @if visitor.may(Role::Admin) { a href="/dashboard/destinations" { (remedy) } "." }
            @else { "Ask an admin to " (ask) "." }
        }
    }
}

fn troubles(destinations: &[Destination], now: Moment) -> Markup {
    let troubled: Vec<&Destination> =
        destinations.iter().filter(|to| to.failing_since.is_some() || to.disabled_reason.is_some()).collect();
    html! {
        @if !troubled.is_empty() {
            section.card.bad { h2 { "Destinations in trouble" }
                ul { @for to in troubled { li {
                    a href={ "/dashboard/destinations/" (to.id) } { (bare_url(&to.url)) }
                    @if to.disabled_reason.is_some() { " is disabled" }
                    @if let Some(at) = to.failing_since { ": every attempt has failed for " (age(at, now)) }
                } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use agentflow_events::Moment;

    use super::{DAY, HOUR, first_step, labels};

    #[test]
    fn steps_are_whole_hours_and_days_and_the_last_is_under_way() {
        let now = Moment::from_unix_millis(1_700_000_000_000);
        let since = first_step(now, HOUR, 24);
        let hours = labels(since, HOUR, 24);
        assert_eq!((since.to_rfc3339().as_str(), hours[23].as_str()), ("2023-11-13T23:00:00.000Z", "22:00"));
        let days = labels(first_step(now, DAY, 30), DAY, 30);
        assert_eq!((days[0].as_str(), days[29].as_str()), ("10-16", "11-14"));
    }
}
