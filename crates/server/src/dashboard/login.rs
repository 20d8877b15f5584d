//! Signing in and out. A wrong name takes as long as a wrong password, and neither is told from the other.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

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
use super::{Dashboard, assets, elements, page};
use crate::directory::credential_hash;
use crate::edge::RemoteAddr;
use crate::id::{mint, random};
use crate::password;
use crate::reason::Reason;
use crate::record::{Actor, AuditRow, Operator, Session};
use crate::reply;

/// Where a sign-in leads that began nowhere.
const HOME: &str = "/dashboard/review";

pub(super) async fn home(Views(_): Views) -> Response {
    reply::see_other(HOME)
}

pub(super) async fn form(Query(query): Query) -> Response {
    reply::html(page::bare("Sign in", &sign_in_form(query.text("next"), None, "")))
}

fn sign_in_form(next: Option<&str>, wrong: Option<&str>, email: &str) -> Markup {
    html! {
        main.lonely id="main" {
            (assets::mark())
            h1 { "Sign in to AgentFlow" }
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
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
    let password = Zeroizing::new(form.exact("password").unwrap_or_default().to_owned());
    let keys = [format!("account {}", email.to_ascii_lowercase()), format!("address {remote}")];
    let now = dashboard.clock.now();
    if let Some(wait) = dashboard.throttle.wait(&keys, now) {
        let wait = elements::rough(wait.max(std::time::Duration::from_secs(1)));
        return Err(Fault::TooOften(format!(
            "Sign-ins failed too often for this account or from this address. Try again in {wait}."
        )));
    }
    // Before the hashing, which takes a while in which many more could be tried.
    dashboard.throttle.failed(&keys, now);
    let operator = dashboard.store.operators_by_email(email).await?.into_iter().next();
    let Some(operator) = dashboard.check_password(operator, password).await? else {
        let body =
            sign_in_form(form.text("next"), Some("This email and password do not belong together."), email);
        return Ok(reply::html_problem(Some(Reason::Forbidden), page::bare("Sign in", &body)));
    };
    let [account, address] = &keys;
    dashboard.throttle.succeeded(account, address);
    let token = dashboard.open_session(&operator, remote, &headers).await?;
    let next = form.text("next").filter(|next| is_ours(next)).unwrap_or(HOME);
    let mut response = reply::see_other(next);
    response.headers_mut().insert(SET_COOKIE, session_cookie(&token));
    Ok(response)
}

pub(super) async fn sign_out(
    State(dashboard): State<Arc<Dashboard>>,
    Views(visitor): Views,
    Form(_): Form,
) -> Result<Response, Fault> {
    let audit = AuditRow::new(visitor.actor(), dashboard.clock.now(), "session.close", visitor.session.id);
    dashboard.store.close_sessions(visitor.id(), Some(visitor.session.id), Some(audit)).await?;
    let mut response = reply::see_other("/dashboard/login");
    let gone = format!("{COOKIE_NAME}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    response.headers_mut().insert(SET_COOKIE, HeaderValue::from_str(&gone).map_err(|_| Fault::Internal)?);
    Ok(response)
}

impl Dashboard {
    /// The operator, where this is their password. Takes as long for nobody.
    pub(super) async fn check_password(
        &self,
        operator: Option<Operator>,
        password: Zeroizing<String>,
    ) -> Result<Option<Operator>, Fault> {
        static NOBODY: LazyLock<String> = LazyLock::new(|| password::hash(&password::generate()));
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(Fault::TooOften(
                "Too many people sign in at this moment. Try again in a minute.".to_owned(),
            ));
        };
        let _turn = self.hashing.acquire().await.map_err(|_| Fault::Internal)?;
        let checked = tokio::task::spawn_blocking(move || {
            // Whoever is invited and has no password yet takes as long, too.
            let hash = operator.as_ref().map(|operator| operator.password_hash.as_str());
            let hash = hash.filter(|hash| !hash.is_empty()).unwrap_or(NOBODY.as_str());
            let right = password::is_right(&password, hash);
            operator.filter(|_| right)
        });
        checked.await.map_err(|_| Fault::Internal)
    }

    /// Opens a session and answers its token, which nothing but the browser keeps.
    pub(super) async fn open_session(
        &self,
        operator: &Operator,
        remote: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Zeroizing<String>, Fault> {
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
        let actor = Actor { workspace_id: operator.workspace_id, operator_id: operator.id };
        let audit = AuditRow::new(actor, now, "session.open", session.id);
        self.store.open_session(session, now.minus(AGE_MAX), now.minus(IDLE_MAX), audit).await?;
        Ok(token)
    }
}

/// Until the browser is closed, or the session ends by itself.
pub(super) fn session_cookie(token: &str) -> HeaderValue {
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Whether a path is one of the dashboard's pages, so that nobody is led elsewhere after the sign-in.
fn is_ours(path: &str) -> bool {
    let rest = path.strip_prefix("/dashboard");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn a_sign_in_leads_nowhere_else() {
        for ours in ["/dashboard", "/dashboard/leads?q=a", "/dashboard?x"] {
            assert!(is_ours(ours), "{ours}");
        }
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/dashboardx",
            "/",
            "",
            "/dashboard/\r\nx",
            "/dashboard\\x",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }
}
