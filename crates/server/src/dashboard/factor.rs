//! The second factor: set up and switched off on one's account page, reset by an admin, asked for after the password.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use http::header::SET_COOKIE;
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::access::{Administers, Views, Visitor, cookie_named};
use super::account::PATH as ACCOUNT;
use super::elements::token;
use super::fault::{Fault, told_on};
use super::fields::Draft;
use super::forms::{EarlyForm, Form, Pairs, Path};
use super::halfway::Waiting;
use super::login::{HALFWAY_COOKIE, LOGIN, cleared, cookie_for, session_cookie};
use super::once::shown_once;
use super::page::Place;
use super::people::{GONE, OPERATORS, operator_id};
use super::qr::qr;
use super::throttle::Attempt;
use super::{Dashboard, assets, page};
use crate::accounts::AccountError;
use crate::edge::RemoteAddr;
use crate::reason::Reason;
use crate::record::Operator;
use crate::reply;
use crate::totp::TotpSecret;

const WRONG_CODE: &str = "This code is wrong, or was used before.";
const LOCKED: &str = "Too many wrong codes were given in a row, by somebody who has the password: codes of the app count no more. Give a recovery code, or have an admin reset the second factor; then set another password.";

fn code_field(hint: &str) -> Markup {
    html! {
        label { span { (hint) }
            input type="text" name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" required maxlength="40";
        }
    }
}

impl Dashboard {
    /// The part of the account page; `draft` is what was sent to switch it off.
    pub(super) async fn factor_section(&self, visitor: &Visitor, draft: &Draft) -> Result<Markup, Fault> {
        let active = self.management.accounts.active_factor(visitor.id()).await?;
        let password = html! {
            label { span { "Your password" } input type="password" name="password" autocomplete="current-password" required; }
        };
        Ok(html! {
            section { h2 { "Second factor" }
                @if let Some(factor) = active {
                    @if factor.is_locked() { p.notice.bad { (LOCKED) } }
                    p { "A code of your authenticator app is asked for when you sign in. Recovery codes left: " b { (factor.recovery_codes) } "." }
                    form.stack method="post" action={ (ACCOUNT) "/factor/off" } {
                        (token(visitor)) (password) (code_field("A code of the app, or a recovery code")) (draft.told("code"))
                        div { button.bad { "Switch it off" } }
                    }
                } @else {
                    p { "With an authenticator app on your phone, nobody signs in with your password alone." }
                    form.stack method="post" action={ (ACCOUNT) "/factor" } {
                        (token(visitor)) (password)
                        div { button { "Set up an authenticator app" } }
                    }
                }
            }
        })
    }

    async fn show_begun(
        &self,
        visitor: &Visitor,
        secret: &TotpSecret,
        wrong: Option<&str>,
    ) -> Result<Response, Fault> {
        let url = secret.url(&visitor.operator.email);
        let main = html! {
            main.narrow id="main" {
                h1 { "Set up an authenticator app" }
                @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
                section.once { p { "Scan this with the app:" } (qr(&url, "QR code of the key below")) }
                (shown_once("Or add this key to the app by hand, as one that is based on time.", &secret.base32()))
                (shown_once("The same as a link, for apps that take one.", &url))
                form.stack method="post" action={ (ACCOUNT) "/factor/confirm" } {
                    (token(visitor)) (code_field("The code that the app shows now"))
                    p.hint { "It counts from then on; you are signed out everywhere else." }
                    div { button.primary { "Switch it on" } }
                }
            }
        };
        Ok(self.show(visitor, Place::Account, "Second factor", &main).await?)
    }

    /// Refuses unless the field has a code of the operator's; tries count as those of passwords do.
    async fn prove_code<'a>(
        &self,
        attempt: Attempt<'a>,
        operator: &Operator,
        remote: IpAddr,
        form: &Pairs,
    ) -> Result<Attempt<'a>, Fault> {
        let code = Zeroizing::new(form.text("code").unwrap_or_default().to_owned());
        match self.management.accounts.use_code(operator.actor(), &code).await {
            Ok(true) => Ok(attempt),
            Ok(false) => {
                self.note_failure("code", &attempt, operator, remote);
                Err(Fault::Unusable(WRONG_CODE.to_owned()))
            }
            Err(AccountError::FactorLocked) => {
                self.note_failure("code", &attempt, operator, remote);
                Err(Fault::Unusable(LOCKED.to_owned()))
            }
            Err(error) => {
                attempt.taken_back();
                Err(error.into())
            }
        }
    }

    fn waiting(&self, headers: &HeaderMap) -> Option<(Waiting, String)> {
        let token = cookie_named(headers, HALFWAY_COOKIE)?;
        Some((self.halfway.find(token, self.clock.now())?, token.to_owned()))
    }
}

pub(super) async fn begin(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Form(form): Form,
) -> Result<Response, Fault> {
    if let Some(asks) = dashboard.asks_password(&visitor, &form, "To set up an authenticator app.").await? {
        return Ok(asks);
    }
    let secret = dashboard.management.accounts.begin_factor(visitor.actor(), visitor.session.id).await?;
    dashboard.show_begun(&visitor, &secret, None).await
}

fn begin_anew(error: AccountError) -> Fault {
    match error {
        AccountError::NotFound => Fault::Unusable(
            "No authenticator waits for a code here, or it waited too long. Begin anew.".to_owned(),
        ),
        error => error.into(),
    }
}

pub(super) async fn confirm(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Form(form): Form,
) -> Result<Response, Fault> {
    let (accounts, code) = (&dashboard.management.accounts, form.text("code").unwrap_or_default());
    let codes = match accounts.confirm_factor(visitor.actor(), code, visitor.session.id).await {
        Ok(codes) => codes,
        Err(AccountError::WrongCode) => {
            let begun = accounts.begun_factor(visitor.id(), visitor.session.id).await;
            let secret = begun.map_err(begin_anew)?;
            let page = dashboard.show_begun(&visitor, &secret, Some(WRONG_CODE)).await?;
            return Ok(reply::refused(Reason::Forbidden, page));
        }
        Err(error) => return Err(begin_anew(error)),
    };
    let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let title = "Your recovery codes: each stands in for one code of the app, once, should you lose it. Keep them where the app is not; they are not shown again.";
    dashboard.tell_value(&visitor, ACCOUNT, title, &Zeroizing::new(codes.join("\n")));
    Ok(dashboard.done(&visitor, ACCOUNT, "A code of the app is asked for from now on when you sign in."))
}

pub(super) async fn switch_off(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Form(form): Form,
) -> Result<Response, Fault> {
    if let Some(asks) = dashboard.asks_password(&visitor, &form, "To switch the second factor off.").await? {
        return Ok(asks);
    }
    let attempt = dashboard.attempt_within(&visitor)?;
    match dashboard.prove_code(attempt, &visitor.operator, visitor.remote, &form).await {
        Ok(attempt) => attempt.taken_back(),
        Err(Fault::Unusable(wrong)) => {
            return dashboard.show_account(&visitor, &Draft::refused("code", wrong)).await;
        }
        Err(fault) => return Err(fault),
    }
    dashboard.management.accounts.delete_factor(visitor.actor(), visitor.id()).await?;
    Ok(dashboard.done(&visitor, ACCOUNT, "The second factor is switched off."))
}

/// For whoever has lost app and recovery codes.
pub(super) async fn reset(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(operator): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let id = operator_id(&operator)?;
    if id == visitor.id() {
        return Err(Fault::Unusable("Switch off your own on your account page, with a code.".to_owned()));
    }
    let (accounts, told) = (&dashboard.management.accounts, told_on(OPERATORS, GONE));
    let person = accounts.operator(visitor.workspace_id(), id).await.map_err(&told)?;
    let what = format!("To let {} sign in with the password alone.", person.email);
    if let Some(asks) = dashboard.asks_password(&visitor, &form, &what).await? {
        return Ok(asks);
    }
    accounts.delete_factor(visitor.actor(), id).await.map_err(&told)?;
    Ok(dashboard.done(&visitor, OPERATORS, format!("{} signs in with the password alone now.", person.email)))
}

pub(super) async fn code_form(State(dashboard): State<Arc<Dashboard>>, headers: HeaderMap) -> Response {
    match dashboard.waiting(&headers) {
        Some(_) => reply::html(code_page(None)),
        None => reply::see_other(LOGIN),
    }
}

fn code_page(wrong: Option<&str>) -> String {
    let main = html! {
        main.lonely id="main" {
            (assets::mark())
            h1 { "One more step" }
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
            form method="post" action={ (LOGIN) "/code" } {
                (code_field("The code that your authenticator app shows"))
                button.primary { "Sign in" }
            }
            p.hint { "Without the app, give one of your recovery codes. Without these, an admin can reset it." }
        }
    };
    page::bare("Sign in", &main)
}

pub(super) async fn sign_in_with_code(
    State(dashboard): State<Arc<Dashboard>>,
    Extension(RemoteAddr(remote)): Extension<RemoteAddr>,
    headers: HeaderMap,
    EarlyForm(form): EarlyForm,
) -> Result<Response, Fault> {
    let Some((waiting, halfway)) = dashboard.waiting(&headers) else { return Ok(reply::see_other(LOGIN)) };
    let operator = dashboard.store.operator(waiting.operator_id).await?;
    let operator = operator.filter(|operator| operator.password_hash == waiting.password_hash);
    let Some(operator) = operator.filter(|operator| operator.has_second_factor()) else {
        dashboard.halfway.end(&halfway);
        return Ok(reply::see_other(LOGIN));
    };
    let attempt = dashboard.attempt(&operator.email, remote)?;
    let attempt = match dashboard.prove_code(attempt, &operator, remote, &form).await {
        Ok(attempt) => attempt,
        Err(Fault::Unusable(wrong)) => {
            return Ok(reply::html_problem(Some(Reason::Forbidden), code_page(Some(&wrong))));
        }
        Err(fault) => return Err(fault),
    };
    dashboard.halfway.end(&halfway);
    let Some(session) = dashboard.open_session(&operator, true, remote, &headers).await? else {
        return Ok(reply::see_other(LOGIN));
    };
    attempt.succeeded();
    let mut response = reply::see_other(&waiting.next);
    response.headers_mut().append(SET_COOKIE, session_cookie(&session.token));
    response.headers_mut().append(SET_COOKIE, cleared(HALFWAY_COOKIE));
    Ok(response)
}

/// The reply that leads to the question for a code.
pub(super) fn ask(halfway: &str) -> Response {
    let mut response = reply::see_other(&format!("{LOGIN}/code"));
    response.headers_mut().insert(SET_COOKIE, cookie_for(HALFWAY_COOKIE, halfway));
    response
}
