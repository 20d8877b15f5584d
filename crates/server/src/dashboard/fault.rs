//! What a page could not do, as a page.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::access::{By, Views, visitor};
use super::login::{LOGIN, UNDONE, is_short};
use super::page::{self, Place};
use super::{Dashboard, elements};
use crate::accounts::AccountError;
use crate::edge::BodyFault;
use crate::reason::Reason;
use crate::record::Role;
use crate::reply;
use crate::store::StoreError;

/// Why there is no page, or why a change was not made.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody is signed in; the page that was asked for, where it can be asked for again.
    SignInFirst(Option<String>),
    /// Nobody is signed in any more, and a change was sent that belongs to this place.
    SessionOver(Place),
    /// The operator's role does not allow it.
    Forbidden(&'static str),
    /// The request does not come from a page of this dashboard.
    Foreign(&'static str),
    /// There is no such thing in this workspace.
    NotFound(&'static str),
    /// No page has this path.
    NoPage,
    /// The page takes no such request.
    NoMethod,
    /// The form cannot be used; one sentence says why.
    Unusable(String),
    /// The same, told on the page that has the form.
    Refused { page: &'static str, why: String },
    /// Codes or passwords were tried too often; how long to wait.
    TooOften(Duration),
    /// As many are doing this as may at the same time; one sentence says what.
    Crowded(&'static str),
    /// The form's body.
    Body(BodyFault),
    /// The store.
    Store(StoreError),
    /// A task of the server's own died.
    Internal,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (mut wait, mut teller) = (None, None);
        let (reason, title, text) = match self {
            Fault::SignInFirst(next) => return sign_in_first(next.as_deref(), false),
            // Whoever could send it may see its page, too.
            Fault::SessionOver(place) => {
                return sign_in_first(place.page(Role::Admin).map(|(path, _)| path), true);
            }
            Fault::Forbidden(needed) => (
                Some(Reason::Forbidden),
                "Not allowed",
                format!("This needs the role {needed}. An admin of the workspace can give it to you."),
            ),
            Fault::Foreign(why) => (Some(Reason::Forbidden), "Not accepted", why.to_owned()),
            Fault::NotFound(what) => {
                (Some(Reason::NotFound), "Not found", format!("There is no such {what} in this workspace."))
            }
            Fault::NoPage => (
                Some(Reason::NotFound),
                "Not found",
                "No page has this address. It may have been moved, or the link is cut off.".to_owned(),
            ),
            Fault::NoMethod => (
                Some(Reason::MethodNotAllowed),
                "Not possible",
                "This address is for a form of the dashboard, or cannot be changed. Open the page and do it there.".to_owned(),
            ),
            Fault::Unusable(why) => (Some(Reason::BadRequest), "That did not work", why),
            Fault::Refused { page, why } => {
                teller = Some(page);
                (Some(Reason::BadRequest), "That did not work", why)
            }
            Fault::TooOften(until) => {
                wait = Some(until);
                let until = elements::rough(until.max(Duration::from_secs(1)));
                let text = format!(
                    "Codes or passwords were wrong too often for this account or from this address. Try again in {until}."
                );
                (Some(Reason::RateLimited), "Too many tries", text)
            }
            Fault::Crowded(why) => (Some(Reason::StoreUnavailable), "Too many at once", why.to_owned()),
            Fault::Body(fault @ BodyFault::Crowded) => {
                (Some(fault.reason()), "Too many at once", format!("Sorry: {fault}. Try again in a moment."))
            }
            Fault::Body(fault) => (Some(fault.reason()), "That did not work", format!("Sorry: {fault}.")),
            Fault::Store(error) => {
                tracing::warn!(%error, "a page of the dashboard could not be shown");
                let text = match error {
                    StoreError::Backend(_) => {
                        "The server could not read or write its store; its log says why.".to_owned()
                    }
                    error => format!("The store is not available: {error}."),
                };
                (Some(Reason::StoreUnavailable), "Not available", text)
            }
            Fault::Internal => {
                (None, "Something broke", "The server failed to answer; its log says why.".to_owned())
            }
        };
        let told = Told { title, text, page: teller };
        let lonely = html! { main.lonely id="main" data-fault { (told.words(None)) } };
        let mut response = reply::html_problem_until(reason, wait, page::bare(title, &lonely));
        response.extensions_mut().insert(told);
        response
    }
}

/// Leads to the sign-in, and from there to the page `next`; `was_sent`: with the word that a change was not made.
fn sign_in_first(next: Option<&str>, was_sent: bool) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(next) = next.filter(|next| is_short(next)) {
        query.append_pair("next", next);
    }
    if was_sent {
        query.append_pair(UNDONE, "yes");
    }
    reply::see_other(&format!("{LOGIN}{}", elements::mark(&query.finish())))
}

/// Has the page that has the form tell what an account's change came to nothing by; `gone`: that there is no such account.
pub(super) fn told_on(page: &'static str, gone: &'static str) -> impl Fn(AccountError) -> Fault {
    move |error| match error.into() {
        Fault::Unusable(why) => Fault::Refused { page, why },
        Fault::NotFound(_) => Fault::Refused { page, why: gone.to_owned() },
        fault => fault,
    }
}

/// What a fault says, to be said again within the frame.
#[derive(Clone)]
struct Told {
    title: &'static str,
    text: String,
    /// The page that says it, where it is none of its own.
    page: Option<&'static str>,
}

impl Told {
    /// `back`: path and name of the page that it leads back to.
    fn words(&self, back: Option<(&str, &str)>) -> Markup {
        html! {
            h1 { (self.title) }
            p { (self.text) }
            @match back {
                Some((path, name)) => p { a href=(path) { "Back to " (name) } },
                None => p { a href="/dashboard" { "To the dashboard" } },
            }
        }
    }
}

/// Puts the frame around what could not be done, for whoever is signed in: nobody is led out of the dashboard by a fault.
pub(super) async fn frame(State(dashboard): State<Arc<Dashboard>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let asked = head.clone();
    let response = next.run(Request::from_parts(head, body)).await;
    let Some(told) = response.extensions().get::<Told>().cloned() else { return response };
    let Ok(visitor) = visitor(&dashboard, &asked, Role::Viewer, By::Page).await else { return response };
    if let Some(page) = told.page {
        return dashboard.refused(&visitor, page, told.text);
    }
    let place = Place::of(asked.uri.path());
    let back = place.page(visitor.operator.role);
    let main = html! { main.narrow id="main" data-fault { (told.words(back)) } };
    let framed = dashboard.framed(&visitor, place, told.title, &main).await;
    let Ok(page) = framed else { return response };
    let (head, _) = response.into_parts();
    Response::from_parts(head, Body::from(page))
}

/// For every path below the dashboard's that has no page.
pub(super) async fn no_page(Views(_): Views) -> Fault {
    Fault::NoPage
}

/// For every method that a page has not.
pub(super) async fn no_method() -> Fault {
    Fault::NoMethod
}
