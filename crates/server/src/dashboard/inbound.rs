//! The inbound log: every request that reached the endpoint, and why it was refused; as a list and live.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::HeaderMap;
use maud::{Markup, html};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use agentflow_events::Moment;

use super::Dashboard;
use super::access::{Views, Visitor, Watches, is_alive};
use super::elements::{bytes, inbound_status, nothing, pager, select, time, with_code};
use super::fault::Fault;
use super::forms::{Pairs, Query};
use super::page::Place;
use crate::id::LogId;
use crate::reason::Reason;
use crate::record::InboundLogRow;
use crate::reply;
use crate::store::{InboundLogFilter, PageRequest};

const PATH: &str = "/dashboard/inbound";
const STATUSES: [(&str, &str); 3] =
    [("received", "Received"), ("duplicate", "Duplicate"), ("rejected", "Rejected")];

/// Whether the log can have a row with this reason: the others are the management API's, and requests for unknown URLs are
/// nobody's, so they are counted and not kept.
fn is_logged(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::UnknownEndpoint
            | Reason::Unauthorized
            | Reason::Forbidden
            | Reason::NotFound
            | Reason::LeadClosed
            | Reason::LeadChanged
    )
}

fn filter(query: &Pairs) -> InboundLogFilter {
    InboundLogFilter {
        status: query
            .text("status")
            .filter(|status| STATUSES.iter().any(|(known, _)| known == status))
            .map(str::to_owned),
        reason: query.text("reason").and_then(Reason::from_code),
    }
}

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let request = PageRequest { cursor: query.parsed("cursor"), limit: 50 };
    let page = dashboard.store.inbound_log(visitor.workspace_id(), &filter(&query), request).await?;
    let early = page.ends_early(request);
    let now = dashboard.clock.now();
    let first = query.query(&["cursor"], &[]);
    let next = page.next_cursor.map(|cursor| query.query(&["cursor"], &[("cursor", &cursor.to_string())]));
    let live = format!("{PATH}/live{}", super::elements::mark(&first));
    let reasons: Vec<(&str, &str)> = Reason::ALL
        .iter()
        .filter(|reason| is_logged(**reason))
        .map(|reason| (reason.code(), reason.code()))
        .collect();
    let told = dashboard.told(&visitor, PATH);
    let is_beginning = page.items.is_empty() && first.is_empty();
    let main = html! {
        main id="main" data-swap {
            header.top {
                h1 { "Inbound logs" }
                @if !query.has("cursor") { button.live type="button" data-live=(live) aria-pressed="false" hidden { "Follow live" } }
            }
            form.filters role="search" method="get" action=(PATH) {
                (select("status", "Status", query.text("status"), &STATUSES))
                (select("reason", "Reason", query.text("reason"), &reasons))
                button { "Filter" }
            }
            @if !is_beginning { (told) }
            div.scroll hidden[page.items.is_empty()] { table.cards {
                thead { tr { th { "When" } th { "Status" } th { "Reason" } th { "From" } th { "Size" } th { "Lead" } } }
                tbody id="rows" { @for row in &page.items { (row_of(row, now)) } }
            } }
            @if is_beginning {
                div.empty { h2 { "No request yet" } p { "Requests to the inbound URL are listed here, whatever became of them." } }
                (dashboard.first_lead(&visitor, PATH, &told))
            } @else if page.items.is_empty() {
                div.empty { h2 { (nothing(early, "No request is like this")) } p { a href=(PATH) { "Show all requests" } } }
            }
            (pager(PATH, &first, next.as_deref(), query.has("cursor"), early))
        }
    };
    Ok(dashboard.show(&visitor, Place::Inbound, "Inbound logs", &main).await?)
}

fn row_of(row: &InboundLogRow, now: Moment) -> Markup {
    html! {
        tr id=(row.id) {
            td data-th="When" { (time(row.at, now)) }
            td data-th="Status" { (inbound_status(row.status)) }
            td data-th="Reason" {
                @if let Some(reason) = row.status.reason() { code { (reason.code()) } } @else { "–" }
                @if let Some(finding) = &row.finding { p.finding.exact[finding.message.starts_with('`')] { (with_code(&finding.message)) } }
            }
            td.whole data-th="From" { (row.remote_addr) }
            td.whole data-th="Size" { @if row.body_bytes == 0 { "–" } @else { (bytes(row.body_bytes)) } }
            td.whole data-th="Lead" { @if let Some(lead) = row.lead_id { a href={ "/dashboard/leads/" (lead) } { "Open the lead" } } @else { "–" } }
        }
    }
}

/// What one connection of a live tail has told.
struct Tail {
    dashboard: Arc<Dashboard>,
    visitor: Visitor,
    filter: InboundLogFilter,
    told: HashSet<LogId>,
    /// The browser has everything up to this row.
    last: Option<LogId>,
    until: Instant,
    begun: bool,
    /// The operator's, and one of all.
    _places: [OwnedSemaphorePermit; 2],
}

impl Tail {
    /// One connection lasts this long; the browser opens the next by itself and says where it was.
    const LASTS: Duration = Duration::from_secs(15);
    const EVERY: Duration = Duration::from_secs(1);
    const ROWS: usize = 100;

    /// Whether the session that asked is still open; it may have been ended, or have idled for too long, while this was told.
    async fn may_go_on(&self) -> bool {
        let found = self.dashboard.store.session(self.visitor.session.token_hash).await;
        found.is_ok_and(|found| {
            found.is_some_and(|(session, _)| is_alive(&session, self.dashboard.clock.now()))
        })
    }

    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if self.begun {
            tokio::select! {
                () = sleep(Self::EVERY) => {}
                () = self.dashboard.closing.cancelled() => return None,
            }
        }
        if Instant::now() >= self.until || !self.may_go_on().await {
            return None;
        }
        let request = PageRequest { cursor: None, limit: Self::ROWS };
        let page = self
            .dashboard
            .store
            .inbound_log(self.visitor.workspace_id(), &self.filter, request)
            .await
            .ok()?;
        let now = self.dashboard.clock.now();
        let mut text = if self.begun { ":\n\n".to_owned() } else { "retry: 1000\n\n".to_owned() };
        let known =
            |row: &InboundLogRow, tail: &Self| tail.told.contains(&row.id) || Some(row.id) == tail.last;
        let fresh: Vec<&InboundLogRow> = if !self.begun && self.last.is_none() {
            Vec::new()
        } else {
            page.items.iter().take_while(|row| !known(row, &self)).collect()
        };
        for row in fresh.into_iter().rev() {
            let markup = row_of(row, now).into_string();
            text.push_str(&format!("id: {}\n", row.id));
            for line in markup.lines() {
                text.push_str(&format!("data: {line}\n"));
            }
            text.push('\n');
        }
        self.told = page.items.iter().map(|row| row.id).collect();
        self.begun = true;
        Some((Ok(Bytes::from(text)), self))
    }
}

pub(super) async fn live(
    State(dashboard): State<Arc<Dashboard>>,
    Watches(visitor): Watches,
    Query(query): Query,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let mine = dashboard.tails_by_operator.try_take(visitor.id());
    let mine = mine
        .ok_or(Fault::Crowded("You follow as many live tails as you may. Close one, or try again later."))?;
    let place = Arc::clone(&dashboard.tails).try_acquire_owned();
    let place = place.map_err(|_| {
        Fault::Crowded("As many live tails are open as the server keeps. Close one, or try again later.")
    })?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let tail = Tail {
        dashboard,
        visitor,
        filter: filter(&query),
        told: HashSet::new(),
        last: last.or_else(|| query.parsed("after")),
        until: Instant::now() + Tail::LASTS,
        begun: false,
        _places: [mine, place],
    };
    Ok(reply::text("text/event-stream", Body::from_stream(unfold(tail, Tail::next))))
}
