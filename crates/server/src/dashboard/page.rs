//! The frame of every page, and the headers that every reply has.

use axum::response::Response;
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use maud::{DOCTYPE, Markup, html};

use super::access::Visitor;
use super::{Dashboard, account, assets, elements};
use crate::reason::Reason;
use crate::record::{LeadState, Role};
use crate::reply;
use crate::review::Verdict;
use crate::store::StoreError;

/// Nothing but our own files; no inline script or style; strings become script or markup by our one policy only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types agentflow";

/// Puts the headers on a reply that keep foreign code and foreign pages away from it.
pub(super) async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A place that the navigation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Review,
    Leads,
    Inbound,
    Outbound,
    Destinations,
    Settings,
    Audit,
    /// Reached by the operator's own name.
    Account,
    /// No place: there is nothing there.
    Nowhere,
}

impl Place {
    /// The place that a path belongs to.
    pub(super) fn of(path: &str) -> Self {
        if path.starts_with(account::PATH) {
            return Place::Account;
        }
        let found = PLACES.iter().find(|(_, prefix, ..)| path.starts_with(prefix));
        found.map_or(Place::Nowhere, |(place, ..)| *place)
    }

    /// The path and the name of its page, where there is one for this role.
    pub(super) fn page(self, role: Role) -> Option<(&'static str, &'static str)> {
        if self == Place::Account {
            return Some((account::PATH, "your account"));
        }
        let found = PLACES.iter().find(|(place, .., needed)| *place == self && role >= *needed);
        found.map(|(_, path, name, _)| (*path, *name))
    }
}

const PLACES: [(Place, &str, &str, Role); 8] = [
    (Place::Overview, "/dashboard/overview", "Overview", Role::Viewer),
    (Place::Review, "/dashboard/review", "Review", Role::Viewer),
    (Place::Leads, "/dashboard/leads", "Leads", Role::Viewer),
    (Place::Inbound, "/dashboard/inbound", "Inbound logs", Role::Viewer),
    (Place::Outbound, "/dashboard/outbound", "Outbound logs", Role::Viewer),
    (Place::Destinations, "/dashboard/destinations", "Destinations", Role::Viewer),
    (Place::Settings, "/dashboard/settings", "Settings", Role::Admin),
    (Place::Audit, "/dashboard/audit", "Audit", Role::Admin),
];

impl Dashboard {
    /// Leads in review are counted up to here for the navigation.
    const COUNTED: u32 = 1_000;

    /// A page in its frame, with whatever the operator must be told. `main` is the page's `main` element.
    pub(super) async fn show(
        &self,
        visitor: &Visitor,
        place: Place,
        title: &str,
        main: &Markup,
    ) -> Result<Response, StoreError> {
        Ok(reply::html(self.framed(visitor, place, title, main).await?))
    }

    /// The same, or, unless `is_right`, as [`show_refused`](Self::show_refused).
    pub(super) async fn show_answer(
        &self,
        visitor: &Visitor,
        place: Place,
        title: &str,
        main: &Markup,
        is_right: bool,
    ) -> Result<Response, StoreError> {
        match is_right {
            true => self.show(visitor, place, title, main).await,
            false => self.show_refused(visitor, place, title, main).await,
        }
    }

    /// The same for a form that cannot be used as it was sent.
    pub(super) async fn show_refused(
        &self,
        visitor: &Visitor,
        place: Place,
        title: &str,
        main: &Markup,
    ) -> Result<Response, StoreError> {
        Ok(reply::html_problem(Some(Reason::BadRequest), self.framed(visitor, place, title, main).await?))
    }

    /// A page's whole text.
    pub(super) async fn framed(
        &self,
        visitor: &Visitor,
        place: Place,
        title: &str,
        main: &Markup,
    ) -> Result<String, StoreError> {
        let waiting =
            self.store.count_leads(visitor.workspace_id(), LeadState::InReview, Self::COUNTED).await?;
        let body = html! {
            a.skip href="#main" { "To the content" }
            header.side {
                a.brand href="/dashboard" { (assets::mark()) span { "AgentFlow" } }
                nav aria-label="Sections" {
                    @for (to, path, name, role) in PLACES.iter().filter(|place| visitor.may(place.3)) {
                        @let _ = role;
                        a href=(path) aria-current=[(*to == place).then_some("page")] {
                            (name)
                            @if *to == Place::Review && waiting > 0 {
                                span.count { (if waiting < Self::COUNTED { waiting.to_string() } else { "999+".to_owned() }) }
                            }
                        }
                    }
                }
                div.me {
                    a href="/dashboard/account" aria-current=[(place == Place::Account).then_some("page")] title="Your account" { (visitor.operator.email) }
                    span.role { (visitor.operator.role.as_str()) }
                    form method="post" action="/dashboard/logout" { (elements::token(visitor)) button.quiet { "Sign out" } }
                }
            }
            (main)
            (self.notices(visitor))
        };
        Ok(document(title, &body))
    }

    /// Decisions that can be taken back, and those that were not taken.
    fn notices(&self, visitor: &Visitor) -> Markup {
        let batches = self.holds.batches(visitor.id());
        let untold = if visitor.reads { self.holds.tell(visitor.id()) } else { Vec::new() };
        html! {
            div.notices id="notices" role="status" {
                (self.told_lines(visitor))
                @for untold in &untold {
                    p.notice.bad { a href={ "/dashboard/leads/" (untold.lead_id) } { (untold.name) } " was not decided: " (untold.why) "." }
                }
                @for batch in &batches {
                    @let done = match batch.verdict { Verdict::Approve => "Approved", Verdict::Reject => "Rejected" };
                    form.notice method="post" action="/dashboard/review/undo" data-swap data-seconds=(batch.remaining.as_millis().div_ceil(1_000)) {
                        (elements::token(visitor))
                        input type="hidden" name="batch" value=(batch.id);
                        span {
                            (done) " "
                            @match batch.names.as_slice() {
                                [one] => b { (one) },
                                many => b { (elements::count(many.len(), "lead")) },
                            }
                        }
                        button.undo data-key="u" { "Undo" kbd { "u" } }
                    }
                }
            }
        }
    }
}

/// A page without the frame, for whoever is not signed in.
pub(super) fn bare(title: &str, main: &Markup) -> String {
    document(title, main)
}

fn document(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · AgentFlow" }
                link rel="icon" href=(assets::icon());
                link rel="stylesheet" href=(assets::style());
                script type="module" src=(assets::script()) {}
            }
            body { (body) }
        }
    }
    .into_string()
}
