//! The review queue: a list and the lead beside it, decided with one key, taken back within five seconds.

use std::sync::Arc;

use agentflow_events::{LeadId, Moment};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use http::header::REFERER;
use maud::{Markup, html};

use super::access::{Operates, Views, Visitor, Watches};
use super::elements::{age, count, mark, nothing, score, token, walk};
use super::fault::Fault;
use super::forms::{Form, Pairs, Query};
use super::lead::Dossier;
use super::page::Place;
use super::presence::{others_here, watch};
use super::{Dashboard, lead};
use crate::record::{Lead, LeadState, Role, Settings};
use crate::reply;
use crate::review::{Judgement, Verdict};
use crate::store::{LeadFilter, Page, PageRequest, StoreError};

pub(super) const PATH: &str = "/dashboard/review";
const PAGE_ROWS: usize = 50;
const NOTE_CHARS_MAX: usize = 2_000;
/// What a form sends along so that the operator stays at the same place of the same list.
const KEPT: [&str; 3] = ["q", "order", "cursor"];

/// Leads in review: whoever waits longest comes first, unless the query says otherwise.
fn filter(query: &Pairs) -> LeadFilter {
    LeadFilter {
        state: Some(LeadState::InReview),
        text: query.text("q").map(str::to_owned),
        oldest_first: !newest_first(query),
        ..LeadFilter::default()
    }
}

fn newest_first(query: &Pairs) -> bool {
    query.text("order") == Some("newest")
}
/// Leads decided with one click.
const PICKED_MAX: usize = 100;

pub(super) async fn page(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Query(query): Query,
) -> Result<Response, Fault> {
    let request = PageRequest { cursor: query.parsed("cursor"), limit: PAGE_ROWS };
    // Before the list, so that no lead falls between the two.
    let newest = dashboard.newest_in_review(&visitor, &query).await?;
    let mut page = dashboard.store.leads(visitor.workspace_id(), &filter(&query), request).await?;
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
    let settings = dashboard.settings_of(&visitor)?;
    let detail = match chosen {
        Some(chosen) => {
            let next = next_after(&page.items, chosen.id);
            let held = dashboard.holds.is_held(chosen.id);
            let dossier = dashboard.dossier(chosen).await?;
            let others = dashboard.look(&visitor, dossier.lead.id);
            html! {
                @let open = dossier.lead.state == LeadState::InReview && !held;
                (dashboard.told(&visitor, PATH))
                (others_here(dossier.lead.id, &others, &watch(&query, next, open), None))
                (dossier.markup(dashboard.clock.now(), &settings))
                @if held {
                    p.notice { "A decision on this lead is being made; it can be taken back below for a moment." }
                } @else if open && visitor.may(Role::Operator) {
                    (decision_form(&visitor, &dossier.lead, next, &query))
                }
            }
        }
        None => empty(&dashboard, &visitor, &query, early),
    };
    let chosen = asked.or_else(|| page.items.first().map(|lead| lead.id));
    let main = html! {
        main.split id="main" data-swap data-opened[asked.is_some()] {
            (queue(&dashboard, &visitor, (&page, early), &settings, (chosen, newest), &query))
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
    (page, early): (&Page<Lead>, bool),
    settings: &Settings,
    (chosen, newest): (Option<LeadId>, Option<LeadId>),
    query: &Pairs,
) -> Markup {
    let now = dashboard.clock.now();
    let next =
        page.next_cursor.map(|cursor| query.query(&["cursor", "lead"], &[("cursor", &cursor.to_string())]));
    let begin = query.query(&["cursor", "lead"], &[]);
    let by_age = query.query(&["cursor", "lead", "order"], &[]);
    let by_news = query.query(&["cursor", "lead", "order"], &[("order", "newest")]);
    html! {
        section.queue aria-label="Leads in review" {
            header { h1 { "Review" } button.quiet.keys type="button" data-key="?" { "Keys" kbd { "?" } } }
            form.search role="search" method="get" action=(PATH) {
                input type="search" name="q" aria-label="Search the queue" placeholder="Search" data-key="/" value=(query.text("q").unwrap_or_default());
                @if newest_first(query) { input type="hidden" name="order" value="newest"; }
                button { "Search" }
            }
            nav.orders aria-label="Order" {
                a href={ (PATH) (mark(&by_age)) } aria-current=[(!newest_first(query)).then_some("true")] { "Oldest first" }
                a href={ (PATH) (mark(&by_news)) } aria-current=[newest_first(query).then_some("true")] { "Newest first" }
            }
            (news_line(query, newest, 0))
            ol.rows {
                @for lead in &page.items {
                    li {
                        @if visitor.may(Role::Operator) {
                            input type="checkbox" form="bulk" name="pick" value={ (lead.id) "." (lead.version) } aria-label={ "Tick " (lead.details.name) };
                        }
                        a href={ (PATH) "?" (query.query(&["lead"], &[("lead", &lead.id.to_string())])) }
                            aria-current=[(Some(lead.id) == chosen).then_some("true")] {
                            @if let Some(scored) = &lead.scored { (score(scored.qualification.score.value(), settings)) }
                            span.who { b { (lead.details.name) } span { (lead.details.company.as_deref().unwrap_or(lead.details.email.as_sent())) } }
                            (age(lead.received_at, now))
                        }
                    }
                }
            }
            @let words = if newest_first(query) { ("Newest", "Older") } else { ("Oldest", "Newer") };
            (walk(PATH, &begin, next.as_deref(), query.has("cursor"), words, early))
            @if !page.items.is_empty() && visitor.may(Role::Operator) {
                form.bulk id="bulk" method="post" action={ (PATH) "/decide" } {
                    (token(visitor)) (kept(query))
                    @if let Some(chosen) = chosen { input type="hidden" name="next" value=(chosen); }
                    span data-ticked { "Ticked leads" }
                    button.good name="outcome" value="approved" { span data-verb="Approve" { "Approve" } kbd { "a" } }
                    button.bad name="outcome" value="rejected" { span data-verb="Reject" { "Reject" } kbd { "r" } }
                }
            }
        }
    }
}

fn kept(query: &Pairs) -> Markup {
    html! {
        @for name in KEPT {
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
                textarea name="note" rows="1" maxlength=(NOTE_CHARS_MAX) {}
            }
            div.buttons {
                button.good name="outcome" value="approved" data-key="a" { "Approve" kbd { "a" } }
                button.bad name="outcome" value="rejected" data-key="r" { "Reject" kbd { "r" } }
            }
        }
    }
}

fn empty(dashboard: &Dashboard, visitor: &Visitor, query: &Pairs, early: bool) -> Markup {
    let told = dashboard.told(visitor, PATH);
    html! {
        @if query.text("q").is_some() {
            (told)
            div.empty { h2 { (nothing(early, "No lead in review has this text")) } p { a href=(PATH) { "Show the whole queue" } } }
        } @else {
            div.empty {
                h2 { "The queue is empty" }
                p { "Leads whose score lies between the thresholds wait here for a decision." }
            }
            (dashboard.first_lead(visitor, PATH, &told))
        }
    }
}

fn next_after(leads: &[Lead], id: LeadId) -> Option<LeadId> {
    let at = leads.iter().position(|lead| lead.id == id)?;
    leads.get(at + 1).or_else(|| at.checked_sub(1).and_then(|before| leads.get(before))).map(|lead| lead.id)
}

/// How many leads have come since the list was made, as a link that shows them; the module asks again while the page is seen.
fn news_line(query: &Pairs, newest: Option<LeadId>, fresh: usize) -> Markup {
    let newest = newest.map(|newest| newest.to_string()).unwrap_or_default();
    let list = query.query(&["cursor", "lead", "after"], &[]);
    let poll = query.query(&["cursor", "lead"], &[("after", &newest)]);
    html! {
        p.news id="news" role="status" data-news={ (PATH) "/news?" (poll) } {
            @if fresh > 0 {
                a href={ (PATH) (mark(&list)) } {
                    @if fresh < NEWS_MAX { (count(fresh, "new lead")) } @else { (NEWS_MAX) " new leads and more" }
                }
            }
        }
    }
}

/// New leads are counted up to here.
const NEWS_MAX: usize = 100;

impl Dashboard {
    /// The newest lead that the queue could show.
    async fn newest_in_review(&self, visitor: &Visitor, query: &Pairs) -> Result<Option<LeadId>, StoreError> {
        let filter = LeadFilter { oldest_first: false, ..filter(query) };
        let request = PageRequest { cursor: None, limit: 1 };
        let page = self.store.leads(visitor.workspace_id(), &filter, request).await?;
        Ok(page.items.first().map(|lead| lead.id))
    }
}

pub(super) async fn news(
    State(dashboard): State<Arc<Dashboard>>,
    Watches(visitor): Watches,
    Query(query): Query,
) -> Result<Response, Fault> {
    let after: Option<LeadId> = query.parsed("after");
    let is_news = |id: LeadId| after.is_none_or(|after| id > after);
    let fresh = match dashboard.newest_in_review(&visitor, &query).await? {
        Some(newest) if is_news(newest) => {
            let filter = LeadFilter { oldest_first: false, ..filter(&query) };
            let request = PageRequest { cursor: None, limit: NEWS_MAX };
            let page = dashboard.store.leads(visitor.workspace_id(), &filter, request).await?;
            page.items.iter().filter(|lead| is_news(lead.id) && !dashboard.holds.is_held(lead.id)).count()
        }
        _ => 0,
    };
    Ok(reply::html(news_line(&query, after, fresh).into_string()))
}

/// The queue with this lead open, at the same place of the same list.
pub(super) fn list_at(list: &Pairs, lead: Option<LeadId>) -> String {
    let lead = lead.map(|lead| lead.to_string());
    let lead: Vec<_> = lead.iter().map(|lead| ("lead", lead.as_str())).collect();
    format!("{PATH}{}", mark(&list.query(&[], &lead)))
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
    let (mut judgements, mut stale, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for (lead_id, version) in picks(&form)? {
        let Some(lead) = dashboard.store.lead(visitor.workspace_id(), lead_id).await? else {
            gone.push(lead_id);
            continue;
        };
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
    let is_over = |id: LeadId| {
        judgements.iter().any(|(one, _)| one.lead_id == id)
            || stale.iter().any(|(dossier, _)| dossier.lead.id == id)
            || gone.contains(&id)
    };
    let next = form.parsed("next").filter(|next| !is_over(*next));
    let back = list_at(&stay(&form), next);
    let mut through: Vec<String> = judgements.iter().map(|(_, name)| name.clone()).collect();
    let taken = if judgements.is_empty() { Vec::new() } else { dashboard.holds.hold(judgements) };
    if stale.is_empty() && taken.is_empty() && gone.is_empty() {
        return Ok(reply::see_other(&back));
    }
    for one in &taken {
        if let Some(at) = through.iter().position(|name| *name == one.name) {
            through.remove(at);
        }
    }
    let (did, yours) = match verdict {
        Verdict::Approve => ("approved", "approval"),
        Verdict::Reject => ("rejected", "rejection"),
    };
    let now = dashboard.clock.now();
    let main = html! {
        main.narrow id="main" data-swap {
            h1 { "Not decided" }
            section.card {
                @if !through.is_empty() {
                p.notice.good { (count(through.len(), "other lead")) " went through, " (did) ": " (through.join(", ")) "." }
            }
            @for one in &taken {
                p.notice.bad { b { (one.name) } ": "
                    @if one.by_themselves { "you have decided this lead already; take that back first." }
                    @else { "somebody is deciding this lead at this very moment." }
                }
            }
            @for id in &gone { p.notice.bad { b { (id) } ": there is no such lead any more." } }
            @for (dossier, seen) in &stale { (conflict(dossier, *seen, &stay(&form), yours, now)) }
            div.buttons { a.button href=(back) { "Back to the queue" } }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Review, "Not decided", &main).await?)
}

/// The ticked leads with the versions that were seen, each lead once.
fn picks(form: &Pairs) -> Result<Vec<(LeadId, u64)>, Fault> {
    let mut picked: Vec<(LeadId, u64)> = Vec::new();
    for pick in form.all("pick") {
        let parsed =
            pick.split_once('.').and_then(|(id, version)| Some((id.parse().ok()?, version.parse().ok()?)));
        let (id, version) = parsed
            .ok_or_else(|| Fault::Unusable("A ticked lead is not named as this page names it.".to_owned()))?;
        if picked.iter().any(|(known, _)| *known == id) {
            continue;
        }
        if picked.len() == PICKED_MAX {
            return Err(Fault::Unusable(format!("At most {PICKED_MAX} leads are decided at once.")));
        }
        picked.push((id, version));
    }
    if picked.is_empty() {
        return Err(Fault::Unusable("No lead is ticked: tick some in the list first.".to_owned()));
    }
    Ok(picked)
}

pub(super) fn stay(form: &Pairs) -> Pairs {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in KEPT {
        if let Some(value) = form.text(name) {
            query.append_pair(name, value);
        }
    }
    Pairs::parse(query.finish().as_bytes())
}

/// What has changed since the operator saw the lead.
fn conflict(dossier: &Dossier, seen: u64, list: &Pairs, yours: &str, now: Moment) -> Markup {
    let lead = &dossier.lead;
    let is_open = lead.state == LeadState::InReview;
    html! {
        section.notice.bad {
            h2 { a href=(if is_open { list_at(list, Some(lead.id)) } else { lead::path(lead.id) }) { (lead.details.name) } }
            @if let Some(decided) = dossier.decided(now) {
                (decided)
            } @else {
                (dossier.changes_since(seen).unwrap_or_else(|| html! { p { "It has changed since you saw it; look at it again." } }))
            }
            p { "Your " (yours) " was not applied." }
        }
    }
}

/// The list that the page showed whose form was posted: the undo is on every page, and knows of none.
fn list_of(headers: &HeaderMap) -> Pairs {
    let page = headers.get(REFERER).and_then(|page| page.to_str().ok()).unwrap_or_default();
    let query = page.split_once('?').filter(|(page, _)| page.ends_with(PATH)).map(|(_, query)| query);
    stay(&Pairs::parse(query.unwrap_or_default().as_bytes()))
}

pub(super) async fn undo(
    State(dashboard): State<Arc<Dashboard>>,
    Operates(visitor): Operates,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, Fault> {
    let batch = form
        .parsed("batch")
        .ok_or_else(|| Fault::Unusable("The form names nothing to take back.".to_owned()))?;
    let undone = dashboard.holds.undo(visitor.id(), batch);
    let list = list_of(&headers);
    let Some(lead) = undone.first() else {
        let late = "It is too late to take this back: the decision was made and its event is on its way.";
        return Ok(dashboard.refused(&visitor, &format!("{PATH}{}", mark(&list.query(&[], &[]))), late));
    };
    let what = if undone.len() == 1 { "The lead is" } else { "The leads are" };
    let path = format!("{PATH}?{}", list.query(&[], &[("lead", &lead.to_string())]));
    Ok(dashboard.done(&visitor, &path, format!("Taken back: {what} in review again.")))
}
