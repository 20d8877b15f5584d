//! The audit log: who did what to what, when, and what it made of what.

use std::collections::HashMap;
use std::sync::Arc;

use agentflow_events::LeadId;
use axum::extract::State;
use axum::response::Response;
use futures_util::future::try_join_all;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Administers, Visitor};
use super::elements::{nothing, pager, select, time};
use super::fault::Fault;
use super::forms::Query;
use super::page::Place;
use crate::record::{AuditRow, Change};
use crate::store::{AuditFilter, PageRequest};

const PATH: &str = "/dashboard/audit";

/// What people do, in words. An action that is missing here is told by its code.
const ACTIONS: [(&str, &str); 36] = [
    ("lead.approve", "approved a lead"),
    ("lead.reject", "rejected a lead"),
    ("delivery.resend", "sent a delivery again"),
    ("deliveries.resend", "sent deliveries again"),
    ("delivery.cancel", "cancelled a delivery"),
    ("deliveries.cancel", "cancelled deliveries"),
    ("destination.create", "added a destination"),
    ("destination.change", "changed a destination"),
    ("destination.pause", "paused a destination"),
    ("destination.resume", "resumed a destination"),
    ("destination.enable_by_test", "enabled a destination by a test"),
    ("destination.delete", "deleted a destination"),
    ("settings.change", "changed settings"),
    ("secret.reveal", "saw a secret"),
    ("secret.rotate", "replaced a secret"),
    ("secret.drop", "dropped a secret"),
    ("endpoint.rotate", "replaced the inbound URL"),
    ("operator.create", "made an account"),
    ("operator.change", "changed an account"),
    ("operator.invite", "invited somebody"),
    ("operator.accept_invitation", "accepted an invitation"),
    ("operator.delete", "deleted an account"),
    ("token.create", "made a token"),
    ("token.delete", "revoked a token"),
    ("session.open", "signed in"),
    ("session.close", "signed out"),
    ("password.wrong", "gave a wrong password"),
    ("password.throttle", "gave wrong passwords too often"),
    ("code.wrong", "gave a wrong code"),
    ("code.throttle", "gave wrong codes too often"),
    ("second_factor.begin", "began to set up a second factor"),
    ("second_factor.on", "switched a second factor on"),
    ("second_factor.off", "switched a second factor off"),
    ("second_factor.recover", "signed in with a recovery code"),
    ("second_factor.lock", "gave too many wrong codes in a row: codes of the app count no more"),
    ("second_factor.reset", "reset a second factor"),
];

fn words(action: &str) -> &str {
    ACTIONS.iter().find(|(code, _)| *code == action).map_or(action, |(_, words)| words)
}

/// What objects are called, by their ids.
type Names = HashMap<String, (String, Option<String>)>;

impl Dashboard {
    /// The names of what the rows are about, each with the path of its page, as far as it is still there.
    async fn names(&self, visitor: &Visitor, rows: &[AuditRow]) -> Result<Names, Fault> {
        let workspace = visitor.workspace_id();
        let mut names = Names::new();
        for to in self.store.destinations(workspace).await? {
            names.insert(to.id.to_string(), (to.url, Some(format!("/dashboard/destinations/{}", to.id))));
        }
        for person in self.management.accounts.operators(workspace).await? {
            names.insert(person.id.to_string(), (person.email, None));
        }
        for token in self.management.accounts.tokens(workspace).await? {
            names.insert(token.id.to_string(), (format!("the token for {}", token.name), None));
        }
        let leads = rows.iter().filter_map(|row| row.subject.parse::<LeadId>().ok());
        for lead in
            try_join_all(leads.map(|lead| self.store.lead(workspace, lead))).await?.into_iter().flatten()
        {
            let path = format!("/dashboard/leads/{}", lead.id);
            names.insert(lead.id.to_string(), (lead.details.name, Some(path)));
        }
        Ok(names)
    }
}

/// What a row is about: by its name, with the id on hover; what is gone by its id alone.
fn subject(row: &AuditRow, names: &Names) -> Markup {
    let subject = &row.subject;
    html! {
        @match names.get(subject) {
            Some((name, Some(path))) => a href=(path) title=(subject) { (name) },
            Some((name, None)) => span title=(subject) { (name) },
            None if subject.starts_with("dlv_") => a href={ "/dashboard/outbound/" (subject) } { code { (subject) } },
            None if subject.starts_with("ws_") => "the workspace",
            None if subject.is_empty() => "–",
            None if subject.starts_with("ses_") => (subject.split_once(" from ").map_or("–".to_owned(), |(_, address)| format!("from {address}"))),
            None if subject.contains('_') => code { (subject) },
            None => (subject),
        }
    }
}

fn changes(changes: &[Change]) -> Markup {
    html! {
        @if !changes.is_empty() {
            ul.changes { @for change in changes { li {
                (change.field.replace('_', " ")) ": "
                del { @if change.before.is_empty() { "nothing" } @else { (change.before) } }
                " → "
                ins { @if change.after.is_empty() { "nothing" } @else { (change.after) } }
            } } }
        }
    }
}

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Query(query): Query,
) -> Result<Response, Fault> {
    let filter =
        AuditFilter { operator: query.parsed("operator"), action: query.text("action").map(str::to_owned) };
    let request = PageRequest { cursor: query.parsed("cursor"), limit: 50 };
    let page = dashboard.store.audit_log(visitor.workspace_id(), &filter, request).await?;
    let early = page.ends_early(request);
    let names = dashboard.names(&visitor, &page.items).await?;
    let people = dashboard.management.accounts.operators(visitor.workspace_id()).await?;
    let people: Vec<(String, &str)> =
        people.iter().map(|person| (person.id.to_string(), person.email.as_str())).collect();
    let people: Vec<(&str, &str)> = people.iter().map(|(id, email)| (id.as_str(), *email)).collect();
    let now = dashboard.clock.now();
    let first = query.query(&["cursor"], &[]);
    let next = page.next_cursor.map(|cursor| query.query(&["cursor"], &[("cursor", &cursor.to_string())]));
    let main = html! {
        main id="main" data-swap {
            header.top { h1 { "Audit" } }
            form.filters role="search" method="get" action=(PATH) {
                (select("operator", "Who", query.text("operator"), &people))
                (select("action", "Did", query.text("action"), &ACTIONS))
                button { "Filter" }
            }
            @if page.items.is_empty() {
                div.empty { h2 { (nothing(early, "Nothing is like this")) } p { a href=(PATH) { "Show everything" } } }
            } @else {
                div.scroll { table.cards {
                    thead { tr { th { "When" } th { "Who" } th { "Did" } th { "To" } } }
                    tbody { @for row in &page.items { tr {
                        @let who = row.operator_id.to_string();
                        td data-th="When" { (time(row.at, now)) }
                        td data-th="Who" { span title=(who) { (names.get(&who).map_or("a former operator", |(email, _)| email)) } }
                        td data-th="Did" { span title=(row.action) { (words(&row.action)) } (changes(&row.changes)) }
                        td data-th="To" { (subject(row, &names)) }
                    } } }
                } }
            }
            (pager(PATH, &first, next.as_deref(), query.has("cursor"), early))
        }
    };
    Ok(dashboard.show(&visitor, Place::Audit, "Audit", &main).await?)
}
