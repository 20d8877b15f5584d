//! One's own account: the password, and the browsers in which one is signed in. And the page that an invitation leads to.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use http::header::SET_COOKIE;
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::access::{Views, is_alive};
use super::agents::short;
use super::elements::{time, token};
use super::fault::Fault;
use super::forms::{EarlyForm, Form, Pairs, Path};
use super::login::{HOME, Opened, session_cookie};
use super::once::Notice;
use super::page::Place;
use super::{Dashboard, page};
use crate::accounts::{AccountError, Accounts};
use crate::edge::RemoteAddr;
use crate::reason::Reason;
use crate::record::AuditRow;
use crate::reply;

const PATH: &str = "/dashboard/account";

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
            refused => Fault::Unusable(format!("Sorry: {refused}.")),
        }
    }
}

pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
) -> Result<Response, Fault> {
    let now = dashboard.clock.now();
    let factor = dashboard.factor_section(&visitor).await?;
    let mut sessions = dashboard.store.sessions(visitor.id()).await?;
    sessions.retain(|session| is_alive(session, now));
    let main = html! {
        main.narrow id="main" {
            h1 { "Your account" }
            (dashboard.told(&visitor, PATH))
            p.facts { (visitor.operator.email) " · " (visitor.operator.role.as_str()) }
            section { h2 { "Change your password" }
                form.stack method="post" action={ (PATH) "/password" } {
                    (token(&visitor))
                    input type="text" name="email" autocomplete="username" value=(visitor.operator.email) hidden aria-label="Email";
                    label { span { "Present password" } input type="password" name="present" autocomplete="current-password" required; }
                    (new_password())
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
                            form method="post" action={ (PATH) "/sessions" } { (token(&visitor)) input type="hidden" name="session" value=(session.id); button { "End" } }
                        } }
                    } } }
                } }
            }
        }
    };
    Ok(dashboard.show(&visitor, Place::Account, "Your account", &main).await?)
}

fn new_password() -> Markup {
    let (least, most) = (Accounts::PASSWORD_CHARS.start(), Accounts::PASSWORD_CHARS.end());
    html! {
        label { span { "New password, at least " (least) " characters" }
            input type="password" name="password" autocomplete="new-password" required minlength=(least) maxlength=(most);
        }
        label { span { "The same again" } input type="password" name="again" autocomplete="new-password" required; }
    }
}

fn read_new_password(form: &Pairs) -> Result<Zeroizing<String>, Fault> {
    let password = Zeroizing::new(form.exact("password").unwrap_or_default().to_owned());
    if !Accounts::PASSWORD_CHARS.contains(&password.chars().count()) {
        let (least, most) = (Accounts::PASSWORD_CHARS.start(), Accounts::PASSWORD_CHARS.end());
        return Err(Fault::Unusable(format!("A password has {least} to {most} characters.")));
    }
    if form.exact("again") != Some(password.as_str()) {
        return Err(Fault::Unusable("The two new passwords are not the same.".to_owned()));
    }
    Ok(password)
}

pub(super) async fn change_password(
    State(dashboard): State<Arc<Dashboard>>,
    headers: HeaderMap,
    Views(visitor): Views,
    Form(form): Form,
) -> Result<Response, Fault> {
    let password = read_new_password(&form)?;
    dashboard.prove_password(&visitor, &form, "present").await?;
    let accounts = &dashboard.management.accounts;
    let instead_of = visitor.operator.password_hash.clone();
    let operator = accounts.change_password(visitor.actor(), instead_of, password).await?;
    // The new password has ended every session, this one among them, which was let in by a code where one was asked for.
    let by_code = visitor.operator.has_second_factor;
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
    let body = html! {
        main.lonely id="main" {
            h1 { "Welcome to AgentFlow" }
            p { "Choose the password that you will sign in with." }
            form method="post" action={ "/dashboard/invitation/" (invitation) } { (new_password()) button.primary { "Set the password and sign in" } }
        }
    };
    Ok(reply::html(page::bare("Invitation", &body)))
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
    let password = read_new_password(&form)?;
    let operator = match dashboard.management.accounts.accept_invitation(&invitation, password).await {
        Ok(operator) => operator,
        Err(AccountError::NotInvited) => return Ok(not_invited()),
        Err(error) => return Err(error.into()),
    };
    let entered = dashboard.enter(&operator, HOME, remote, &headers).await?;
    entered.ok_or(Fault::SignInFirst(None))
}
