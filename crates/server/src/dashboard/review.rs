//! The review queue: a list and the lead beside it, decided with one key, taken back within five seconds.

use std::sync::Arc;

use agentflow_events::LeadId;
use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use super::access::{Operates, Views, Visitor};
use super::elements::{count, mark, nothing, pager_of_search, score, time, token};
use super::fault::Fault;
use super::forms::{Form, Pairs, Query};
use super::lead::Dossier;
use super::page::Place;
use super::{Dashboard, lead};
use crate::record::{Lead, LeadState, Role};
use crate::reply;
use crate::review::{Judgement, Verdict};
use crate::store::{LeadFilter, Page, PageRequest};

const PATH: &str = "/dashboard/review";
const PAGE_ROWS: usize = 50;
const NOTE_CHARS_MAX: usize = 2_000;

pub(super) async fn page(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let filter = LeadFilter {
        state: Some(LeadState::InReview),
        text: query.text("q").map(str::to_owned),
        ..LeadFilter::default()
    };
    let request = PageRequest { cursor: query.parsed("cursor"), limit: PAGE_ROWS };
    let mut page = dashboard.store.leads(visitor.workspace_id(), &filter, request).await?;
    let early = page.ends_early(request);
    page.items.retain(|lead| !dashboard.holds.is_held(lead.id));

    let asked: Option<LeadId> = query.parsed("lead");
    let chosen = match asked {
        Some(id) => match page.items.iter().find(|lead| lead.id == id) {
            Some(lead) => Some(lead.clone()),
            None => dashboard.store.lead(visitor.workspace_id(), id).await?,
        },
        None => page.items.first().cloned(),
    };
    let detail = match chosen {
        Some(chosen) => {
            let next = next_after(&page.items, chosen.id);
            let held = dashboard.holds.is_held(chosen.id);
            let dossier = dashboard.dossier(chosen).await?;
            let others = dashboard.look(&visitor, dossier.lead.id);
            html! {
                (others_here(dossier.lead.id, &others))
                (dossier.markup(dashboard.clock.now()))
                @if held {
                    p.notice { "A decision on this lead is being made; it can be taken back below for a moment." }
                } @else if dossier.lead.state == LeadState::InReview && visitor.may(Role::Operator) {
                    (decision_form(&visitor, &dossier.lead, next, &query))
                }
            }
        }
        None => empty(&dashboard, &query, early),
    };
    let chosen = asked.or_else(|| page.items.first().map(|lead| lead.id));
    let main = html! {
        main.split id="main" data-swap data-opened[asked.is_some()] {
            (queue(&dashboard, &visitor, &page, early, chosen, &query))
            article.detail id="detail" aria-label="The lead" {
                a.back href={ (PATH) (mark(&query.query(&["lead"], &[]))) } { "Back to the list" }
                (detail)
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Review, "Review", &main).await?)
}

fn queue(
    dashboard: &Dashboard,
    visitor: &Visitor,
    page: &Page<Lead>,
    early: bool,
    chosen: Option<LeadId>,
    query: &Pairs,
) -> Markup {
    let now = dashboard.clock.now();
    let next =
        page.next_cursor.map(|cursor| query.query(&["cursor", "lead"], &[("cursor", &cursor.to_string())]));
    html! {
        section.queue aria-label="Leads in review" {
            header { h1 { "Review" } button.quiet.keys type="button" data-key="?" { "Keys" kbd { "?" } } }
            form.search role="search" method="get" action=(PATH) {
                input type="search" name="q" aria-label="Search the queue" placeholder="Search" data-key="/" value=(query.text("q").unwrap_or_default());
                button { "Search" }
            }
            @if !page.items.is_empty() && visitor.may(Role::Operator) {
                form.bulk id="bulk" method="post" action={ (PATH) "/decide" } {
                    (token(visitor)) (kept(query))
                    span { "Ticked leads:" }
                    button name="outcome" value="approved" { "Approve" }
                    button name="outcome" value="rejected" { "Reject" }
                }
            }
            ol.rows {
                @for lead in &page.items {
                    li {
                        @if visitor.may(Role::Operator) {
                            input type="checkbox" form="bulk" name="pick" value={ (lead.id) "." (lead.version) } aria-label={ "Tick " (lead.details.name) };
                        }
                        a href={ (PATH) "?" (query.query(&["lead"], &[("lead", &lead.id.to_string())])) }
                            aria-current=[(Some(lead.id) == chosen).then_some("true")] {
                            @if let Some(scored) = &lead.scored { (score(scored.qualification.score.value())) }
                            span.who { b { (lead.details.name) } span { (lead.details.company.as_deref().unwrap_or(lead.details.email.as_sent())) } }
                            (time(lead.received_at, now))
                        }
                    }
                }
            }
            (pager_of_search(PATH, &query.query(&["cursor", "lead"], &[]), next.as_deref(), query.has("cursor"), early))
        }
    }
}

/// What a form must send along so that the operator stays at the same place of the same list.
fn kept(query: &Pairs) -> Markup {
    html! {
        @for name in ["q", "cursor"] {
            @if let Some(value) = query.text(name) { input type="hidden" name=(name) value=(value); }
        }
    }
}

fn decision_form(visitor: &Visitor, lead: &Lead, next: Option<LeadId>, query: &Pairs) -> Markup {
    html! {
        form.decide id="decide" method="post" action={ (PATH) "/decide" } {
            (token(visitor)) (kept(query))
            input type="hidden" name="pick" value={ (lead.id) "." (lead.version) };
            @if let Some(next) = next { input type="hidden" name="next" value=(next); }
            label { span { "Note (optional; goes out with the event)" }
                textarea name="note" rows="2" maxlength=(NOTE_CHARS_MAX) {}
            }
            div.buttons {
                button.good name="outcome" value="approved" data-key="a" { "Approve" kbd { "a" } }
                button.bad name="outcome" value="rejected" data-key="r" { "Reject" kbd { "r" } }
            }
        }
    }
}

fn empty(dashboard: &Dashboard, query: &Pairs, early: bool) -> Markup {
    html! {
        div.empty {
            @if query.text("q").is_some() {
                h2 { (nothing(early, "No lead in review has this text")) }
                p { a href=(PATH) { "Show the whole queue" } }
            } @else {
                h2 { "The queue is empty" }
                p { "Leads whose score lies between the thresholds wait here for a decision. Send one to try it out: the first start printed a " code { "curl" } " line with the inbound secret in it; its form is" }
                pre tabindex="0" {
                    "T=$(date +%s); B='{\"name\":\"Jordan Ellis\",\"email\":\"jordan.ellis@stacklane.co\"}'\n"
                    "S=$(printf '%s.%s' \"$T\" \"$B\" | openssl dgst -sha256 -hmac \"$AGENTFLOW_INBOUND_SECRET\" -r | cut -d' ' -f1)\n"
                    "curl -k \"" (dashboard.base_url) "/v1/inbound/$AGENTFLOW_ENDPOINT_TOKEN\" -H 'content-type: application/json' \\\n"
                    "  -H \"x-agentflow-timestamp: $T\" -H \"x-agentflow-signature: sha256=$S\" -d \"$B\""
                }
            }
        }
    }
}

fn next_after(leads: &[Lead], id: LeadId) -> Option<LeadId> {
    let at = leads.iter().position(|lead| lead.id == id)?;
    leads.get(at + 1).or_else(|| at.checked_sub(1).and_then(|before| leads.get(before))).map(|lead| lead.id)
}

impl Dashboard {
    pub(super) fn look(&self, visitor: &Visitor, lead: LeadId) -> Vec<String> {
        self.presence.look(lead, visitor.id(), &visitor.operator.email, self.clock.now())
    }
}

fn others_here(lead: LeadId, others: &[String]) -> Markup {
    html! {
        p.others id="others" data-poll={ (PATH) "/" (lead) "/presence" } {
            @if !others.is_empty() { "Also looking at this lead: " b { (others.join(", ")) } }
        }
    }
}

pub(super) async fn presence(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Path(lead): Path<String>,
) -> Result<Response, Fault> {
    let lead: LeadId = lead.parse().map_err(|_| Fault::NotFound("lead"))?;
    Ok(reply::html(others_here(lead, &dashboard.look(&visitor, lead)).into_string()))
}

pub(super) async fn decide(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Form(form): Form,
) -> Result<Response, Fault> {
    let verdict = match form.text("outcome") {
        Some("approved") => Verdict::Approve,
        Some("rejected") => Verdict::Reject,
        _ => return Err(Fault::Unusable("A decision is to approve or to reject.".to_owned())),
    };
    let note = form.text("note").map(str::to_owned);
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        return Err(Fault::Unusable(format!("A note has {NOTE_CHARS_MAX} characters at most.")));
    }
    let mut picked = Vec::new();
    for pick in form.all("pick") {
        let parsed =
            pick.split_once('.').and_then(|(id, version)| Some((id.parse().ok()?, version.parse().ok()?)));
        picked.push(parsed.ok_or_else(|| {
            Fault::Unusable("A ticked lead is not named as this page names it.".to_owned())
        })?);
    }
    if picked.is_empty() {
        return Err(Fault::Unusable("No lead is ticked: tick some in the list first.".to_owned()));
    }

    let (mut judgements, mut stale) = (Vec::new(), Vec::new());
    for (lead_id, version) in picked {
        let lead =
            dashboard.store.lead(visitor.workspace_id(), lead_id).await?.ok_or(Fault::NotFound("lead"))?;
        if lead.version != version || lead.state != LeadState::InReview {
            stale.push((dashboard.dossier(lead).await?, version));
            continue;
        }
        let name = lead.details.name;
        judgements.push((
            Judgement {
                workspace_id: visitor.workspace_id(),
                lead_id,
                operator_id: visitor.id(),
                verdict,
                note: note.clone(),
                version: Some(version),
            },
            name,
        ));
    }
    let decided = judgements.len();
    let taken = if judgements.is_empty() { Vec::new() } else { dashboard.holds.hold(judgements) };
    if stale.is_empty() && taken.is_empty() {
        let next = form.text("next").map_or_else(Vec::new, |next| vec![("lead", next)]);
        return Ok(reply::see_other(&format!("{PATH}{}", mark(&stay(&form).query(&[], &next)))));
    }
    let main = html! {
        main.narrow id="main" {
            h1 { "Not decided" }
            @if decided > taken.len() { p { (count(decided - taken.len(), "other lead")) " went through." } }
            @for name in &taken { p.notice.bad { b { (name) } ": somebody is deciding this lead at this very moment." } }
            @for (dossier, seen) in &stale { (conflict(dossier, *seen)) }
            p { a href={ (PATH) (mark(&stay(&form).query(&[], &[]))) } { "Back to the queue" } }
        }
    };
    Ok(dashboard.show(&visitor, Place::Review, "Not decided", &main).await?)
}

fn stay(form: &Pairs) -> Pairs {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in ["q", "cursor"] {
        if let Some(value) = form.text(name) {
            query.append_pair(name, value);
        }
    }
    Pairs::parse(query.finish().as_bytes())
}

/// What has changed since the operator saw the lead.
fn conflict(dossier: &Dossier, seen: u64) -> Markup {
    let lead = &dossier.lead;
    html! {
        section.notice.bad {
            h2 { a href=(if lead.state == LeadState::InReview { format!("{PATH}?lead={}", lead.id) } else { lead::path(lead.id) }) { (lead.details.name) } }
            @if let Some(decided) = dossier.decided() {
                (decided)
            } @else {
                (dossier.changes_since(seen).unwrap_or_else(|| html! { p { "It has changed since you saw it; look at it again." } }))
            }
        }
    }
}

pub(super) async fn undo(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    Form(form): Form,
) -> Result<Response, Fault> {
    let batch = form
        .parsed("batch")
        .ok_or_else(|| Fault::Unusable("The form names nothing to take back.".to_owned()))?;
    let undone = dashboard.holds.undo(visitor.id(), batch);
    match undone.first() {
        Some(lead) => Ok(reply::see_other(&format!("{PATH}?lead={lead}"))),
        None => Err(Fault::Unusable(
            "It is too late to take this back: the decision was made and its event is on its way.".to_owned(),
        )),
    }
}
