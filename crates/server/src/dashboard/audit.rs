//! The audit log: who did what, when.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::Dashboard;
use super::access::Administers;
use super::elements::{pager, time};
use super::fault::Fault;
use super::forms::Query;
use super::page::Place;
use crate::store::PageRequest;

const PATH: &str = "/dashboard/audit";

pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Query(query): Query,
) -> Result<Response, Fault> {
    let request = PageRequest { cursor: query.parsed("cursor"), limit: 50 };
    let page = dashboard.store.audit_log(visitor.workspace_id(), request).await?;
    let people = dashboard.management.accounts.operators(visitor.workspace_id()).await?;
    let people: HashMap<_, _> = people.iter().map(|person| (person.id, person.email.as_str())).collect();
    let now = dashboard.clock.now();
    let next = page.next_cursor.map(|cursor| query.query(&["cursor"], &[("cursor", &cursor.to_string())]));
    let main = html! {
        main id="main" data-swap {
            header.top { h1 { "Audit" } }
            div.scroll { table {
                thead { tr { th { "When" } th { "Who" } th { "Did" } th { "To" } } }
                tbody { @for row in &page.items { tr {
                    td { (time(row.at, now)) }
                    td { (people.get(&row.operator_id).copied().unwrap_or("a former operator")) }
                    td { code { (row.action) } }
                    td { @if row.subject.starts_with("lead_") { a href={ "/dashboard/leads/" (row.subject) } { (row.subject) } } @else { (row.subject) } }
                } } }
            } }
            (pager(PATH, "", next.as_deref(), query.has("cursor")))
        }
    };
    Ok(dashboard.show(&visitor, Place::Audit, "Audit", &main).await?)
}
