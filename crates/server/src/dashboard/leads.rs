//! All leads: found, filtered, exported.

use std::sync::Arc;

use agentflow_events::LeadId;
use agentflow_lead::Email;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::HeaderValue;
use http::header::CONTENT_DISPOSITION;
use maud::html;

use super::Dashboard;
use super::access::{Views, Visitor};
use super::elements::{lead_state, mark, nothing, pager, score, select, time};
use super::fault::Fault;
use super::forms::{Pairs, Path, Query};
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
        // What is no address is no lead's.
        email: query.text("email").map(|text| {
            Email::parse(text).map_or_else(|_| text.to_owned(), |email| email.identity().to_owned())
        }),
        source: query.text("source").map(str::to_owned),
        text: query.text("q").map(str::to_owned),
        oldest_first: false,
    }
}

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let request = PageRequest { cursor: query.parsed("cursor"), limit: 50 };
    let page = dashboard.store.leads(visitor.workspace_id(), &filter(&query), request).await?;
    let settings = dashboard.settings_of(&visitor)?;
    let early = page.ends_early(request);
    let now = dashboard.clock.now();
    let first = query.query(&["cursor"], &[]);
    let next = page.next_cursor.map(|cursor| query.query(&["cursor"], &[("cursor", &cursor.to_string())]));
    let told = dashboard.told(&visitor, PATH);
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
                @if let Some(email) = query.text("email") { label { span { "Email" } input name="email" value=(email); } }
                button { "Filter" }
            }
            @if page.items.is_empty() && first.is_empty() {
                div.empty { h2 { "No leads" } p { "None has arrived yet." } }
                (dashboard.first_lead(&visitor, PATH, &told))
            } @else if page.items.is_empty() {
                (told)
                div.empty { h2 { (nothing(early, "No lead is like this")) } p { a href=(PATH) { "Show all leads" } } }
            } @else {
                (told)
                div.scroll { table.cards {
                    thead { tr { th { "Lead" } th { "Company" } th { "Score" } th { "State" } th { "Source" } th { "Received" } } }
                    tbody { @for lead in &page.items { tr {
                        td.who data-th="Lead" { a href={ (PATH) "/" (lead.id) } { (lead.details.name) } @let email = lead.details.email.as_sent(); span title=(email) { (email) } }
                        td.line data-th="Company" title=[lead.details.company.as_deref()] { (lead.details.company.as_deref().unwrap_or("–")) }
                        td data-th="Score" { @if let Some(scored) = &lead.scored { (score(scored.qualification.score.value(), &settings)) } @else { "–" } }
                        td data-th="State" { (lead_state(lead.state)) }
                        td.line data-th="Source" title=[lead.details.source.as_deref()] { (lead.details.source.as_deref().unwrap_or("–")) }
                        td data-th="Received" { (time(lead.received_at, now)) }
                    } } }
                } }
            }
            (pager(PATH, &first, next.as_deref(), query.has("cursor"), early))
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
    let settings = dashboard.settings_of(&visitor)?;
    let dossier = dashboard.dossier(lead).await?;
    let main = html! {
        main.narrow id="main" data-swap {
            p { a href=(PATH) { "All leads" } }
            h1.hidden { (title) }
            (dossier.markup(dashboard.clock.now(), &settings))
            @if dossier.lead.state == LeadState::InReview {
                p { a.button href={ "/dashboard/review?lead=" (dossier.lead.id) } { "Open in review" } }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Leads, &title, &main).await?)
}

/// An export on its way.
struct Export {
    dashboard: Arc<Dashboard>,
    visitor: Visitor,
    filter: LeadFilter,
    /// What is written and not taken yet.
    rest: Bytes,
    /// The page that follows; absent: none does.
    next: Option<Option<Cursor>>,
}

impl Export {
    /// A piece is taken as a whole or the connection is cut, so it is one that a slow line takes in time.
    const PIECE_BYTES: usize = 64 * 1024;

    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        while self.rest.is_empty() {
            let Some(cursor) = self.next else { return Ok(None) };
            let request = PageRequest { cursor, limit: 100 };
            let page = self.dashboard.store.leads(self.visitor.workspace_id(), &self.filter, request).await?;
            self.rest = page.items.iter().map(csv_row_of).collect::<String>().into();
            self.next = page.next_cursor.map(Some);
        }
        let piece = self.rest.split_to(self.rest.len().min(Self::PIECE_BYTES));
        Ok(Some((piece, self)))
    }
}

/// Every lead that the filter finds, newest first, written page by page: memory holds one page at a time.
pub(super) async fn csv(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Response {
    let filter = filter(&query);
    let export = Export { dashboard, visitor, filter, rest: csv_row(&CSV_HEAD).into(), next: Some(None) };
    let rows = Body::from_stream(try_unfold(export, Export::next));
    let mut response = reply::text("text/csv; charset=utf-8", rows);
    response
        .headers_mut()
        .insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"leads.csv\""));
    response
}

const CSV_HEAD: [&str; 11] = [
    "id",
    "state",
    "score",
    "name",
    "email",
    "company",
    "source",
    "message",
    "fields",
    "received_at",
    "decided_at",
];

fn csv_row_of(lead: &Lead) -> String {
    let details = &lead.details;
    let score = lead.scored.as_ref().map(|scored| scored.qualification.score.value().to_string());
    let decided_at = lead.decision.as_ref().map(|record| record.decided_at.to_rfc3339());
    csv_row(&[
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
    ])
}

/// A row of RFC 4180, every cell of it quoted. What a spreadsheet would take for a formula gets an apostrophe before it, also
/// where one that parts cells at `;` or at tabs would see a cell begin.
fn csv_row(cells: &[&str]) -> String {
    let mut row = String::new();
    for cell in cells {
        row.push_str(if row.is_empty() { "\"" } else { ",\"" });
        if cell.starts_with(['\t', '\r']) || is_formula(cell) {
            row.push('\'');
        }
        for (nth, part) in cell.split_inclusive([';', '\t']).enumerate() {
            if nth > 0 && is_formula(part) {
                row.push('\'');
            }
            row.push_str(&part.replace('"', "\"\""));
        }
        row.push('"');
    }
    row + "\r\n"
}

/// Whether it begins as a formula, past what programs leave out before one.
fn is_formula(text: &str) -> bool {
    let is_left_out =
        |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\u{200b}' | '\u{feff}');
    text.trim_start_matches(is_left_out).starts_with(FORMULA_STARTS)
}

/// Some programs take the full-width and small forms for the plain ones.
const FORMULA_STARTS: [char; 12] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫'];

#[cfg(test)]
mod tests {
    use super::csv_row;

    #[track_caller]
    fn check(cell: &str, expected: &str) {
        assert_eq!(csv_row(&[cell, "x"]), format!("{expected},\"x\"\r\n"));
    }

    #[test]
    fn every_cell_is_quoted_and_none_is_a_formula() {
        check("plain", "\"plain\"");
        check("", "\"\"");
        check("a,b", "\"a,b\"");
        check("say \"x\"\n", "\"say \"\"x\"\"\n\"");
        check("=HYPERLINK(1)", "\"'=HYPERLINK(1)\"");
        for start in ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"] {
            check(&format!("{start}1"), &format!("\"'{start}1\""));
        }
        for start in ["﹦", " =", "\n=", "\u{a0}+", "\u{3000}\u{feff}@"] {
            check(&format!("{start}1"), &format!("\"'{start}1\""));
        }
        check("\t=1", "\"'\t'=1\"");
        check("a;=1", "\"a;'=1\"");
        check("a; \"=1\"", "\"a;' \"\"=1\"\"\"");
        check("a\t \u{a0}@x; b;", "\"a\t' \u{a0}@x; b;\"");
        check("1-1", "\"1-1\"");
    }
}
