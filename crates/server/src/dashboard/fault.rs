//! What a page could not do, as a page.

use axum::response::{IntoResponse, Response};
use maud::html;

use super::page;
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
    /// Too often; one sentence says how long to wait.
    TooOften(String),
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
            Fault::TooOften(why) => (Some(Reason::RateLimited), "Too many tries", why),
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
        reply::html_problem(reason, page::bare(title, &body))
    }
}
