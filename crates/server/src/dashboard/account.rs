//! One's own account: the password, and the browsers in which one is signed in. And the page that an invitation leads to.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use http::header::SET_COOKIE;
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::access::{Views, Visitor, is_alive};
use super::agents::short;
use super::elements::{time, token};
use super::fault::Fault;
use super::fields::Draft;
use super::forms::{EarlyForm, Form, Pairs, Path};
use super::login::{HOME, Opened, session_cookie};
use super::once::Notice;
use super::page::Place;
use super::proof::WRONG_PASSWORD;
use super::{Dashboard, page};
use crate::accounts::{AccountError, Accounts};
use crate::edge::RemoteAddr;
use crate::reason::Reason;
use crate::record::AuditRow;
use crate::reply;

pub(super) const PATH: &str = "/dashboard/account";

impl From<AccountError> for Fault {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotFound => Fault::NotFound("operator or token"),
            AccountError::Store(error) => error.into(),
            AccountError::Vault(error) => {
                tracing::error!(%error, "a secret of an account cannot be read");
                Fault::Internal
            }
            AccountError::Crowded => {
                Fault::Crowded("Too many passwords are being checked at this moment. Try again in a moment.")
            }
            AccountError::Unread(error) => {
                tracing::error!(%error, "a change of an account is stored but could not be read back");
                Fault::Internal
            }
            refused @ AccountError::LastAdmin => {
                Fault::Unusable(format!("Sorry: {refused}. Make somebody else an admin first."))
            }
            refused => Fault::Unusable(format!("Sorry: {refused}.")),
        }
    }
}

pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
) -> Result<Response, Fault> {
    dashboard.show_account(&visitor, &Draft::default()).await
}

impl Dashboard {
    /// The page; `draft` is what was sent by one of its forms.
    pub(super) async fn show_account(&self, visitor: &Visitor, draft: &Draft) -> Result<Response, Fault> {
        let now = self.clock.now();
        let factor = self.factor_section(visitor, draft).await?;
        let mut sessions = self.store.sessions(visitor.id()).await?;
        sessions.retain(|session| is_alive(session, now));
        let main = html! {
            main.narrow id="main" {
                h1 { "Your account" }
                (self.told(visitor, PATH))
                p.facts { (visitor.operator.email) " · " (visitor.operator.role.as_str()) }
                section { h2 { "Change your password" }
                    form.stack method="post" action={ (PATH) "/password" } {
                        (token(visitor))
                        input type="text" name="email" autocomplete="username" value=(visitor.operator.email) hidden aria-label="Email";
                        (draft.password("present", "Present password", "current-password", None))
                        (new_password(draft))
                        div { button.primary { "Change it, and sign out everywhere else" } }
                    }
                }
                (factor)
                section { h2 { "Where you are signed in" }
                    div.scroll { table.cards {
                        thead { tr { th { "Browser" } th { "From" } th { "Signed in" } th { "Last used" } th { span.hidden { "End" } } } }
                        tbody { @for session in &sessions { tr {
                            td data-th="Browser" { span title=(session.user_agent) { (short(&session.user_agent)) } @if session.id == visitor.session.id { " " b { "(this one)" } } }
                            td data-th="From" { (session.remote_addr) }
                            td data-th="Signed in" { (time(session.created_at, now)) }
                            td data-th="Last used" { (time(session.seen_at, now)) }
                            td { @if session.id != visitor.session.id {
                                form method="post" action={ (PATH) "/sessions" } { (token(visitor)) input type="hidden" name="session" value=(session.id); button { "End" } }
                            } }
                        } } }
                    } }
                }
            }
        };
        Ok(self.show_answer(visitor, Place::Account, "Your account", &main, draft.is_right()).await?)
    }
}

fn new_password(draft: &Draft) -> Markup {
    let range = (*Accounts::PASSWORD_CHARS.start(), *Accounts::PASSWORD_CHARS.end());
    html! {
        (draft.password("password", &format!("New password, at least {} characters", range.0), "new-password", Some(range)))
        (draft.password("again", "The same again", "new-password", None))
    }
}

/// The new password of a form, or the form with what is wrong about it.
fn read_new_password(form: &Pairs) -> Result<Zeroizing<String>, Draft> {
    let password = Zeroizing::new(form.exact("password").unwrap_or_default().to_owned());
    if !Accounts::PASSWORD_CHARS.contains(&password.chars().count()) {
        let (least, most) = (Accounts::PASSWORD_CHARS.start(), Accounts::PASSWORD_CHARS.end());
        return Err(Draft::refused("password", format!("A password has {least} to {most} characters.")));
    }
    if form.exact("again") != Some(password.as_str()) {
        return Err(Draft::refused("again", "The two new passwords are not the same."));
    }
    Ok(password)
}

pub(super) async fn change_password(
    State(dashboard): State<Arc<Dashboard>>,
    headers: HeaderMap,
    Views(visitor): Views,
    Form(form): Form,
) -> Result<Response, Fault> {
    let password = match read_new_password(&form) {
        Ok(password) => password,
        Err(draft) => return dashboard.show_account(&visitor, &draft).await,
    };
    if !dashboard.is_password(&visitor, &form, "present").await? {
        return dashboard.show_account(&visitor, &Draft::refused("present", WRONG_PASSWORD)).await;
    }
    let accounts = &dashboard.management.accounts;
    let instead_of = visitor.operator.password_hash.clone();
    let operator = accounts.change_password(visitor.actor(), instead_of, password).await?;
    // The new password has ended every session, this one among them, which was let in by a code where one was asked for.
    let by_code = visitor.operator.has_second_factor();
    let opened = dashboard.open_session(&operator, by_code, visitor.remote, &headers).await?;
    let Opened { id, token } = opened.ok_or(Fault::SignInFirst(None))?;
    let changed = Notice::Done("Your password is changed; you are signed out everywhere else.".to_owned());
    dashboard.once.put(id, changed, dashboard.clock.now());
    let mut response = reply::see_other(PATH);
    response.headers_mut().insert(SET_COOKIE, session_cookie(&token));
    Ok(response)
}

pub(super) async fn end_session(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Form(form): Form,
) -> Result<Response, Fault> {
    let session = form.parsed("session").ok_or(Fault::NotFound("session"))?;
    let audit = AuditRow::new(visitor.actor(), dashboard.clock.now(), "session.close", session);
    if dashboard.store.close_sessions(visitor.id(), Some(session), Some(audit)).await? == 0 {
        return Err(Fault::NotFound("session"));
    }
    Ok(dashboard.done(&visitor, PATH, "That browser is signed out."))
}

pub(super) async fn invitation(
    State(dashboard): State<Arc<Dashboard>>,
    Path(invitation): Path<String>,
) -> Result<Response, Fault> {
    match dashboard.management.accounts.invited(&invitation).await {
        Ok(_) => {}
        Err(AccountError::NotInvited) => return Ok(not_invited()),
        Err(error) => return Err(error.into()),
    }
    Ok(reply::html(invitation_page(&invitation, &Draft::default())))
}

fn invitation_page(invitation: &str, draft: &Draft) -> String {
    let body = html! {
        main.lonely id="main" {
            h1 { "Welcome to AgentFlow" }
            p { "Choose the password that you will sign in with." }
            form method="post" action={ "/dashboard/invitation/" (invitation) } { (new_password(draft)) button.primary { "Set the password and sign in" } }
        }
    };
    page::bare("Invitation", &body)
}

fn not_invited() -> Response {
    let body = html! {
        main.lonely id="main" {
            h1 { "Not valid" }
            p { "This invitation was used or replaced, or its time is over. Ask for a new one." }
            p { a href="/dashboard" { "Sign in" } }
        }
    };
    reply::html_problem(Some(Reason::NotFound), page::bare("Invitation", &body))
}

pub(super) async fn accept_invitation(
    State(dashboard): State<Arc<Dashboard>>,
    Extension(RemoteAddr(remote)): Extension<RemoteAddr>,
    Path(invitation): Path<String>,
    headers: HeaderMap,
    EarlyForm(form): EarlyForm,
) -> Result<Response, Fault> {
    let password = match read_new_password(&form) {
        Ok(password) => password,
        Err(draft) => {
            let page = invitation_page(&invitation, &draft);
            return Ok(reply::html_problem(Some(Reason::BadRequest), page));
        }
    };
    let operator = match dashboard.management.accounts.accept_invitation(&invitation, password).await {
        Ok(operator) => operator,
        Err(AccountError::NotInvited) => return Ok(not_invited()),
        Err(error) => return Err(error.into()),
    };
    let entered = dashboard.enter(&operator, HOME, remote, &headers).await?;
    entered.ok_or(Fault::SignInFirst(None))
}
