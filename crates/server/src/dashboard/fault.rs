//! What a page could not do, as a page.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use maud::html;

use super::{elements, page};
use crate::edge::BodyFault;
use crate::reason::Reason;
use crate::reply;
use crate::store::StoreError;

/// Why there is no page, or why a change was not made.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody is signed in; the page that was asked for, where it can be asked for again.
    SignInFirst(Option<String>),
    /// The operator's role does not allow it.
    Forbidden(&'static str),
    /// The request does not come from a page of this dashboard.
    Foreign(&'static str),
    /// There is no such thing in this workspace.
    NotFound(&'static str),
    /// The form cannot be used; one sentence says why.
    Unusable(String),
    /// The password that was asked for again is not the operator's.
    WrongPassword,
    /// Passwords were tried too often; how long to wait.
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

impl Fault {
    /// What is said of a wrong one.
    pub(super) const WRONG_PASSWORD: &str = "This is not your password.";
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut wait = None;
        let (reason, title, text) = match self {
            Fault::SignInFirst(next) => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                if let Some(next) = &next {
                    query.append_pair("next", next);
                }
                let query = query.finish();
                let mark = if query.is_empty() { "" } else { "?" };
                return reply::see_other(&format!("/dashboard/login{mark}{query}"));
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
            Fault::Unusable(why) => (Some(Reason::BadRequest), "That did not work", why),
            Fault::WrongPassword => {
                (Some(Reason::BadRequest), "That did not work", Fault::WRONG_PASSWORD.to_owned())
            }
            Fault::TooOften(until) => {
                wait = Some(until);
                let until = elements::rough(until.max(Duration::from_secs(1)));
                let text = format!(
                    "Passwords were wrong too often for this account or from this address. Try again in {until}."
                );
                (Some(Reason::RateLimited), "Too many tries", text)
            }
            Fault::Crowded(why) => (Some(Reason::StoreUnavailable), "Too many at once", why.to_owned()),
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
        let body = html! {
            main.lonely id="main" {
                h1 { (title) }
                p { (text) }
                p { a href="/dashboard" { "To the dashboard" } }
            }
        };
        reply::html_problem_until(reason, wait, page::bare(title, &body))
    }
}
