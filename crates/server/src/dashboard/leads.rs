//! All leads: found, filtered, exported.

use std::sync::Arc;

use agentflow_events::LeadId;
use agentflow_lead::Email;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::HeaderValue;
use http::header::CONTENT_DISPOSITION;
use maud::html;

use super::Dashboard;
use super::access::{Views, Visitor};
use super::elements::{lead_state, mark, nothing, pager_of_search, score, select, time};
use super::fault::Fault;
use super::forms::{Pairs, Query};
use super::page::Place;
use crate::record::{Lead, LeadState};
use crate::reply;
use crate::store::{Cursor, LeadFilter, PageRequest, StoreError};

const PATH: &str = "/dashboard/leads";
const STATES: [(&str, &str); 4] = [
    ("in_review", "In review"),
    ("qualified", "Qualified"),
    ("rejected", "Rejected"),
    ("received", "Received"),
];

fn filter(query: &Pairs) -> LeadFilter {
    LeadFilter {
        state: query.text("state").and_then(LeadState::from_name),
        email: query
            .text("email")
            .and_then(|text| Email::parse(text).ok())
            .map(|email| email.identity().to_owned()),
        source: query.text("source").map(str::to_owned),
        text: query.text("q").map(str::to_owned),
    }
}

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let request = PageRequest { cursor: query.parsed("cursor"), limit: 50 };
    let page = dashboard.store.leads(visitor.workspace_id(), &filter(&query), request).await?;
    let early = page.ends_early(request);
    let now = dashboard.clock.now();
    let first = query.query(&["cursor"], &[]);
    let next = page.next_cursor.map(|cursor| query.query(&["cursor"], &[("cursor", &cursor.to_string())]));
    let main = html! {
        main id="main" data-swap {
            header.top {
                h1 { "Leads" }
                a.button href={ (PATH) ".csv" (mark(&first)) } download data-plain { "Export as CSV" }
            }
            form.filters role="search" method="get" action=(PATH) {
                label.grow { span { "Search" }
                    input type="search" name="q" placeholder="Name, email, company or message" data-key="/" value=(query.text("q").unwrap_or_default());
                }
                (select("state", "State", query.text("state"), &STATES))
                label { span { "Source" } input name="source" value=(query.text("source").unwrap_or_default()); }
                button { "Filter" }
            }
            @if page.items.is_empty() {
                div.empty { h2 { (nothing(early, "No leads")) } p { @if first.is_empty() { "None has arrived yet." } @else { a href=(PATH) { "Show all leads" } } } }
            } @else {
                div.scroll { table {
                    thead { tr { th { "Lead" } th { "Company" } th { "Score" } th { "State" } th { "Source" } th { "Received" } } }
                    tbody { @for lead in &page.items { tr {
                        td.who { a href={ (PATH) "/" (lead.id) } { (lead.details.name) } span { (lead.details.email.as_sent()) } }
                        td { (lead.details.company.as_deref().unwrap_or_default()) }
                        td { @if let Some(scored) = &lead.scored { (score(scored.qualification.score.value())) } }
                        td { (lead_state(lead.state)) }
                        td { (lead.details.source.as_deref().unwrap_or_default()) }
                        td { (time(lead.received_at, now)) }
                    } } }
                } }
            }
            (pager_of_search(PATH, &first, next.as_deref(), query.has("cursor"), early))
        }
    };
    Ok(dashboard.show(&visitor, Place::Leads, "Leads", &main).await?)
}

pub(super) async fn one(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Path(lead): Path<String>,
) -> Result<Response, Fault> {
    let lead: LeadId = lead.parse().map_err(|_| Fault::NotFound("lead"))?;
    let lead = dashboard.store.lead(visitor.workspace_id(), lead).await?.ok_or(Fault::NotFound("lead"))?;
    let title = lead.details.name.clone();
    let dossier = dashboard.dossier(lead).await?;
    let main = html! {
        main.narrow id="main" data-swap {
            p { a href=(PATH) { "All leads" } }
            h1.hidden { (title) }
            (dossier.markup(dashboard.clock.now()))
            @if dossier.lead.state == LeadState::InReview {
                p { a.button href={ "/dashboard/review?lead=" (dossier.lead.id) } { "Open in review" } }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Leads, &title, &main).await?)
}

/// Every lead that the filter finds, newest first, written page by page: memory holds one page at a time.
pub(super) async fn csv(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Response {
    enum At {
        Head,
        Page(Option<Cursor>),
        End,
    }
    let filter = filter(&query);
    let rows = try_unfold((At::Head, dashboard, visitor), move |(at, dashboard, visitor)| {
        let filter = filter.clone();
        async move {
            let (text, next) = match at {
                At::End => return Ok(None),
                At::Head => (CSV_HEAD.to_owned(), At::Page(None)),
                At::Page(cursor) => dashboard
                    .csv_page(&visitor, &filter, cursor)
                    .await
                    .map(|(text, cursor)| (text, cursor.map_or(At::End, |cursor| At::Page(Some(cursor)))))?,
            };
            Ok::<_, StoreError>(Some((Bytes::from(text), (next, dashboard, visitor))))
        }
    });
    let mut response = reply::text("text/csv; charset=utf-8", Body::from_stream(rows));
    response
        .headers_mut()
        .insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"leads.csv\""));
    response
}

const CSV_HEAD: &str = "id,state,score,name,email,company,source,message,fields,received_at,decided_at\r\n";

impl Dashboard {
    async fn csv_page(
        &self,
        visitor: &Visitor,
        filter: &LeadFilter,
        cursor: Option<Cursor>,
    ) -> Result<(String, Option<Cursor>), StoreError> {
        let page =
            self.store.leads(visitor.workspace_id(), filter, PageRequest { cursor, limit: 100 }).await?;
        let mut text = String::new();
        for lead in &page.items {
            write_row(&mut text, lead);
        }
        Ok((text, page.next_cursor))
    }
}

fn write_row(text: &mut String, lead: &Lead) {
    let details = &lead.details;
    let score = lead.scored.as_ref().map(|scored| scored.qualification.score.value().to_string());
    let decided_at = lead.decision.as_ref().map(|record| record.decided_at.to_rfc3339());
    let cells: [&str; 11] = [
        &lead.id.to_string(),
        lead.state.as_str(),
        score.as_deref().unwrap_or_default(),
        &details.name,
        details.email.as_sent(),
        details.company.as_deref().unwrap_or_default(),
        details.source.as_deref().unwrap_or_default(),
        details.message.as_deref().unwrap_or_default(),
        &details.fields.to_json(),
        &lead.received_at.to_rfc3339(),
        decided_at.as_deref().unwrap_or_default(),
    ];
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_cell(text, cell);
    }
    text.push_str("\r\n");
}

/// A cell of RFC 4180. What a spreadsheet would take for a formula gets an apostrophe before it.
fn write_cell(text: &mut String, cell: &str) {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !cell.contains(['"', ',', '\r', '\n']) {
        text.push_str(cell);
        return;
    }
    text.push('"');
    if formula {
        text.push('\'');
    }
    text.push_str(&cell.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::write_cell;

    #[track_caller]
    fn check(cell: &str, expected: &str) {
        let mut text = String::new();
        write_cell(&mut text, cell);
        assert_eq!(text, expected);
    }

    #[test]
    fn cells_are_quoted_where_they_must_be_and_never_a_formula() {
        check("plain", "plain");
        check("", "");
        check("a,b", "\"a,b\"");
        check("say \"x\"\n", "\"say \"\"x\"\"\n\"");
        check("=HYPERLINK(1)", "\"'=HYPERLINK(1)\"");
        check("@a", "\"'@a\"");
    }
}
