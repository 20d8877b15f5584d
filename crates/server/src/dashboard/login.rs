//! Signing in and out. A wrong name takes as long as a wrong password, and neither is told from the other.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use base64ct::{Base64UrlUnpadded, Encoding};
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::access::{AGE_MAX, COOKIE_NAME, IDLE_MAX, Views};
use super::fault::Fault;
use super::forms::{EarlyForm, Form, Query};
use super::{Dashboard, assets, factor, page};
use crate::directory::credential_hash;
use crate::edge::{RemoteAddr, Sender};
use crate::id::{SessionId, mint, random};
use crate::reason::Reason;
use crate::record::{AuditRow, Operator, Session};
use crate::reply;
use crate::store::Proven;

/// Where a sign-in leads that began nowhere.
pub(super) const HOME: &str = "/dashboard/review";
pub(super) const LOGIN: &str = "/dashboard/login";
/// In the query: a change was sent after the session had ended.
pub(super) const UNDONE: &str = "undone";
const SESSION_OVER: &str =
    "Your session had ended, and what you sent was not done. Sign in, then do it again.";
/// Longer than any email address.
const EMAIL_BYTES_MAX: usize = 254;
/// A sign-in that began at a longer address leads home.
const NEXT_BYTES_MAX: usize = 1024;
/// The cookie of a sign-in that waits for a code.
pub(super) const HALFWAY_COOKIE: &str = "__Host-agentflow-code";

pub(super) async fn home(Views(_): Views) -> Response {
    reply::see_other(HOME)
}

pub(super) async fn home_without_slash() -> Response {
    reply::see_other("/dashboard")
}

pub(super) async fn form(Query(query): Query) -> Response {
    let next = query.text("next").filter(|next| is_short(next));
    let undone = query.has(UNDONE).then_some(SESSION_OVER);
    reply::html(page::bare("Sign in", &sign_in_form(next, undone, "")))
}

/// `told`: why there is no page yet, or none again.
fn sign_in_form(next: Option<&str>, told: Option<&str>, email: &str) -> Markup {
    html! {
        main.lonely id="main" {
            (assets::mark())
            h1 { "Sign in to AgentFlow" }
            @if let Some(told) = told { p.notice.bad role="alert" { (told) } }
            form method="post" action="/dashboard/login" {
                @if let Some(next) = next { input type="hidden" name="next" value=(next); }
                label { span { "Email" }
                    input type="text" inputmode="email" name="email" autocomplete="username" required autofocus value=(email);
                }
                label { span { "Password" }
                    input type="password" name="password" autocomplete="current-password" required;
                }
                button.primary { "Sign in" }
            }
            p.hint { "The first admin's name and password were told when the data folder was made." }
        }
    }
}

pub(super) async fn sign_in(
    State(dashboard): State<Arc<Dashboard>>,
    Extension(RemoteAddr(remote)): Extension<RemoteAddr>,
    headers: HeaderMap,
    EarlyForm(form): EarlyForm,
) -> Result<Response, Fault> {
    let email = form.text("email").unwrap_or_default();
    if email.len() > EMAIL_BYTES_MAX {
        return Err(Fault::Unusable(format!("An email address has {EMAIL_BYTES_MAX} bytes at most.")));
    }
    let password = Zeroizing::new(form.exact("password").unwrap_or_default().to_owned());
    let next = form.text("next").filter(|next| is_short(next) && is_ours(next)).unwrap_or(HOME);
    let Some(entered) = dashboard.enter_as(email, password, next, remote, &headers).await? else {
        let wrong = Some("Wrong email or password.");
        let body = sign_in_form(Some(next).filter(|next| *next != HOME), wrong, email);
        return Ok(reply::html_problem(Some(Reason::Forbidden), page::bare("Sign in", &body)));
    };
    Ok(entered)
}

pub(super) async fn sign_out(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Form(_): Form,
) -> Result<Response, Fault> {
    let audit = AuditRow::new(visitor.actor(), dashboard.clock.now(), "session.close", visitor.session.id);
    dashboard.store.close_sessions(visitor.id(), Some(visitor.session.id), Some(audit)).await?;
    let mut response = reply::see_other(LOGIN);
    response.headers_mut().insert(SET_COOKIE, cleared(COOKIE_NAME));
    Ok(response)
}

impl Dashboard {
    /// Lets whoever signs in with this in; nothing where that is nobody.
    async fn enter_as(
        &self,
        email: &str,
        password: Zeroizing<String>,
        next: &str,
        remote: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Option<Response>, Fault> {
        let attempt = self.attempt(email, remote)?;
        let operator = match self.store.operators_by_email(email).await {
            Ok(found) => found.into_iter().next(),
            Err(error) => {
                attempt.taken_back();
                return Err(error.into());
            }
        };
        let Some((operator, attempt)) = self.try_password(attempt, remote, operator, password).await? else {
            return Ok(None);
        };
        let entered = self.enter(&operator, next, remote, headers).await?;
        match &entered {
            // Only a whole sign-in forgets what failed before, or codes could be tried without end between right passwords.
            Some(_) if operator.has_second_factor() => attempt.taken_back(),
            Some(_) => attempt.succeeded(),
            None => {}
        }
        Ok(entered)
    }

    /// Opens a session for an operator whose password was given, or asks for the code of their second factor first. Nothing
    /// where they are gone or have another password by now.
    pub(super) async fn enter(
        &self,
        operator: &Operator,
        next: &str,
        remote: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Option<Response>, Fault> {
        if operator.has_second_factor() {
            return Ok(Some(factor::ask(&self.halfway.begin(
                operator,
                next,
                Sender::from(remote),
                self.clock.now(),
            ))));
        }
        let opened = self.open_session(operator, false, remote, headers).await?;
        Ok(opened.map(|opened| {
            let mut response = reply::see_other(next);
            response.headers_mut().insert(SET_COOKIE, session_cookie(&opened.token));
            response
        }))
    }

    /// Opens a session; none where the operator is gone, has another password by now than the one that they were known by, or a
    /// second factor and was not let in `by_code`.
    pub(super) async fn open_session(
        &self,
        operator: &Operator,
        by_code: bool,
        remote: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Option<Opened>, Fault> {
        let token = Zeroizing::new(Base64UrlUnpadded::encode_string(&random::<32>()));
        let now = self.clock.now();
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let session = Session {
            id: mint(now),
            workspace_id: operator.workspace_id,
            operator_id: operator.id,
            token_hash: credential_hash(&token),
            created_at: now,
            seen_at: now,
            remote_addr: remote.to_string(),
            user_agent: agent.chars().take(200).collect(),
        };
        let id = session.id;
        let subject = format!("{id} from {remote}");
        let audit = AuditRow::new(operator.actor(), now, "session.open", subject);
        let (begun_before, seen_before) = (now.minus(AGE_MAX), now.minus(IDLE_MAX));
        let proven = Proven { password_hash: operator.password_hash.clone(), by_code };
        let is_open = self.store.open_session(session, proven, begun_before, seen_before, audit).await?;
        Ok(is_open.then_some(Opened { id, token }))
    }
}

/// A session that has just been opened.
pub(super) struct Opened {
    pub(super) id: SessionId,
    /// Nothing but the browser keeps it.
    pub(super) token: Zeroizing<String>,
}

/// Until the browser is closed, or the session ends by itself.
pub(super) fn session_cookie(token: &str) -> HeaderValue {
    cookie_for(COOKIE_NAME, token)
}

pub(super) fn cookie_for(name: &str, token: &str) -> HeaderValue {
    let cookie = format!("{name}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Has the browser forget a cookie.
pub(super) fn cleared(name: &str) -> HeaderValue {
    cookie_for(name, "; Max-Age=0")
}

/// Whether it leaves room in the form for name and password, which is a short one.
pub(super) fn is_short(next: &str) -> bool {
    next.len() <= NEXT_BYTES_MAX
}

/// Whether a path is one of the dashboard's pages, as browsers understand it, so that nobody is led elsewhere after the sign-in.
fn is_ours(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let Some(below) = path.strip_prefix("/dashboard") else { return false };
    let leads_up = |segment: &str| segment.to_ascii_lowercase().replace("%2e", ".") == "..";
    (below.is_empty() || below.starts_with('/'))
        && !below.split('/').any(leads_up)
        && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn a_sign_in_leads_nowhere_else() {
        for ours in [
            "/dashboard",
            "/dashboard/",
            "/dashboard?x",
            "/dashboard/leads?q=a/../b",
            "/dashboard/leads?q=%5C",
            "/dashboard/a..b/...",
            "/dashboard/leads#../x",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/dashboardx",
            "/dashboard@evil.example",
            "/",
            "",
            "/dashboard/../v1/inbound",
            "/dashboard/..",
            "/dashboard/%2e%2E/v1",
            "/dashboard/.%2e?x",
            "/dashboard/..\\evil.example",
            "/dashboard\\x",
            "/dashboard?\\x",
            "/dashboard/\r\nx",
            "/dashboard/\tx",
            "/dashboard/\u{7f}",
            "/dashboard/\u{85}",
            "/dashboard/ x",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }
}
