//! Who is looking at which lead, told to whoever looks at it too; and what became of it under their eyes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentflow_events::{LeadId, Moment, OperatorId, WorkspaceId};
use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Visitor, Watches};
use super::elements::mark;
use super::fault::Fault;
use super::forms::{Pairs, Path, Query};
use super::review::{PATH, list_at, stay};
use crate::record::{LeadState, Operator};
use crate::reply;
use crate::store::StoreError;

/// Operators seen at leads of their workspace within the last half minute. In memory: it is a courtesy, not a lock.
#[derive(Default)]
pub(super) struct Presence {
    seen: Mutex<HashMap<(WorkspaceId, LeadId), Vec<Seen>>>,
}

struct Seen {
    operator_id: OperatorId,
    email: String,
    at: Moment,
}

impl Presence {
    const KEPT: Duration = Duration::from_secs(30);
    const LEADS_KEPT: usize = 10_000;

    /// Notes that an operator looks at the lead; answers the emails of the others who do.
    pub(super) fn look(&self, lead: LeadId, operator: &Operator, now: Moment) -> Vec<String> {
        let is_fresh = |seen: &Seen| now.since(seen.at) < Self::KEPT;
        let key = (operator.workspace_id, lead);
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= Self::LEADS_KEPT && !all.contains_key(&key) {
            all.retain(|_, seen| seen.iter().any(is_fresh));
            if all.len() >= Self::LEADS_KEPT {
                return Vec::new();
            }
        }
        let here = all.entry(key).or_default();
        here.retain(|seen| seen.operator_id != operator.id && is_fresh(seen));
        let others = here.iter().map(|seen| seen.email.clone()).collect();
        here.push(Seen { operator_id: operator.id, email: operator.email.clone(), at: now });
        others
    }
}

/// What the page asks with, again and again: where it stands in which list, and whether its lead was open to be decided.
pub(super) fn watch(query: &Pairs, next: Option<LeadId>, open: bool) -> String {
    let next = next.map(|next| next.to_string());
    let mut more: Vec<(&str, &str)> = next.iter().map(|next| ("next", next.as_str())).collect();
    if open {
        more.push(("open", "yes"));
    }
    stay(query).query(&[], &more)
}

/// Who else looks at the lead, or what became of it under the page's eyes; `watch` is what the page asks again with.
pub(super) fn others_here(lead: LeadId, others: &[String], watch: &str, moved: Option<&Markup>) -> Markup {
    html! {
        p.others.moved[moved.is_some()] id="others" data-poll={ (PATH) "/" (lead) "/presence" (mark(watch)) } {
            @if let Some(moved) = moved { (moved) }
            @else if !others.is_empty() { "Also looking at this lead: " b { (others.join(", ")) } }
        }
    }
}

pub(super) async fn poll(
    State(dashboard): State<Arc<Dashboard>>,
    Watches(visitor): Watches,
    Path(lead): Path<String>,
    Query(query): Query,
) -> Result<Response, Fault> {
    let id: LeadId = lead.parse().map_err(|_| Fault::NotFound("lead"))?;
    let (next, open) = (query.parsed("next"), query.has("open"));
    let moved = if open { dashboard.moved(&visitor, id, next, &query).await? } else { None };
    let others = dashboard.look(&visitor, id);
    Ok(reply::html(others_here(id, &others, &watch(&query, next, open), moved.as_ref()).into_string()))
}

impl Dashboard {
    pub(super) fn look(&self, visitor: &Visitor, lead: LeadId) -> Vec<String> {
        self.presence.look(lead, &visitor.operator, self.clock.now())
    }

    /// What became of a lead that is not in review any more.
    async fn moved(
        &self,
        visitor: &Visitor,
        id: LeadId,
        next: Option<LeadId>,
        query: &Pairs,
    ) -> Result<Option<Markup>, StoreError> {
        let what = match self.store.lead(visitor.workspace_id(), id).await? {
            Some(lead) if lead.state == LeadState::InReview => return Ok(None),
            Some(lead) => {
                let decision = self.decision_on(&lead, self.clock.now()).await?;
                decision.map(|decision| html! { "was " (decision) })
            }
            None => None,
        };
        let what = what.unwrap_or_else(|| html! { "is gone from the queue" });
        Ok(Some(html! {
            "This lead " (what) ". "
            a href=(list_at(&stay(query), next)) { @if next.is_some() { "Next lead" } @else { "Back to the queue" } }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::Presence;
    use crate::id::mint;
    use crate::record::{FactorState, Operator, Role};

    #[test]
    fn others_are_seen_for_half_a_minute() {
        let start = Moment::from_unix_millis(1_700_000_000_000);
        let workspace = mint(start);
        let person = |workspace_id, email: &str| Operator {
            id: mint(start),
            workspace_id,
            email: email.to_owned(),
            password_hash: String::new(),
            role: Role::Viewer,
            created_at: start,
            invited_until: None,
            second_factor: FactorState::Off,
        };
        let (ann, bob) = (person(workspace, "ann@example.com"), person(workspace, "bob@example.com"));
        let (lead, presence) = (mint(start), Presence::default());
        let none: [&str; 0] = [];
        assert_eq!(presence.look(lead, &ann, start), none);
        assert_eq!(presence.look(lead, &ann, start), none, "nobody sees themselves");
        let later = start.plus(Duration::from_secs(29));
        assert_eq!(presence.look(lead, &bob, later), ["ann@example.com"]);
        assert_eq!(presence.look(mint(start), &bob, later), none);
        let elsewhere = person(mint(start), "eve@example.com");
        assert_eq!(presence.look(lead, &elsewhere, later), none, "another workspace");
        let later = start.plus(Duration::from_secs(30));
        assert_eq!(presence.look(lead, &bob, later), none);
    }
}
