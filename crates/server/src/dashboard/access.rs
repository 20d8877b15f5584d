//! Who asks: the session in the cookie, the role that a page needs, and proof that a change comes from our own page.
//!
//! Three defences against foreign pages, each enough by itself: the cookie is `SameSite=Strict`; a browser's `Sec-Fetch-Site`
//! or `Origin` must say that the request is our own; and a form carries a token that only our pages know.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{Moment, OperatorId, WorkspaceId};
use axum::extract::FromRequestParts;
use base64ct::{Base64UrlUnpadded, Encoding};
use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use super::Dashboard;
use super::fault::Fault;
use super::page::Place;
use crate::directory::{credential_hash, sha256};
use crate::edge::RemoteAddr;
use crate::record::{Actor, Operator, Role, Session};

/// The session's cookie. The prefix has browsers refuse it without `Secure`, with a domain, or for another path.
pub(super) const COOKIE_NAME: &str = "__Host-agentflow";
/// A session ends when it was not used for so long.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// A session ends at this age, however busy.
pub(super) const AGE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// How exactly a session's last use is kept.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// An operator who is signed in.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) session: Session,
    pub(super) operator: Operator,
    /// What forms carry.
    pub(super) form_token: String,
    /// Which path this request asks for.
    pub(super) path: String,
    /// Where it comes from.
    pub(super) remote: IpAddr,
    /// Whether a person is shown what is answered; `HEAD` is asked by programs.
    pub(super) reads: bool,
}

impl Visitor {
    pub(super) fn workspace_id(&self) -> WorkspaceId {
        self.operator.workspace_id
    }

    pub(super) fn id(&self) -> OperatorId {
        self.operator.id
    }

    pub(super) fn actor(&self) -> Actor {
        self.operator.actor()
    }

    pub(super) fn may(&self, role: Role) -> bool {
        self.operator.role >= role
    }
}

/// Whether a request is the operator's doing, which keeps the session alive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Operator,
    /// A page that is left open asks by itself.
    Page,
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = $role:expr, $by:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name(pub(super) Visitor);

        impl FromRequestParts<Arc<Dashboard>> for $name {
            type Rejection = Fault;

            async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, Fault> {
                visitor(dashboard, parts, $role, $by).await.map(Self)
            }
        }
    )*};
}

roles! {
    /// Whoever is signed in.
    Views = Role::Viewer, By::Operator;
    /// A page of whoever is signed in, which asks again and again while nobody may be there: the session idles on.
    Watches = Role::Viewer, By::Page;
    /// An operator who may decide on leads and send deliveries again.
    Operates = Role::Operator, By::Operator;
    /// An admin.
    Administers = Role::Admin, By::Operator;
}

pub(super) async fn visitor(
    dashboard: &Dashboard,
    parts: &Parts,
    needed: Role,
    by: By,
) -> Result<Visitor, Fault> {
    let changes = parts.method != Method::GET && parts.method != Method::HEAD;
    if changes {
        check_is_our_own(parts)?;
    }
    let stranger = || match (changes, Place::of(parts.uri.path())) {
        (false, _) => Fault::SignInFirst(Some(path_and_query(&parts.uri))),
        (true, Place::Nowhere) => Fault::SignInFirst(None),
        (true, place) => Fault::SessionOver(place),
    };
    let token = cookie(&parts.headers).ok_or_else(stranger)?;
    let now = dashboard.clock.now();
    let found = dashboard.store.session(credential_hash(token)).await?;
    let alive = found.filter(|(session, _)| is_alive(session, now));
    let (session, operator) = alive.ok_or_else(stranger)?;
    if by == By::Operator && now.since(session.seen_at) >= SEEN_EVERY {
        dashboard.store.touch_session(session.id, now).await?;
    }
    if operator.role < needed {
        return Err(Fault::Forbidden(needed.as_str()));
    }
    let &RemoteAddr(remote) = parts.extensions.get().ok_or(Fault::Internal)?;
    let reads = parts.method != Method::HEAD;
    let path = parts.uri.path().to_owned();
    Ok(Visitor { session, operator, form_token: form_token(token), path, remote, reads })
}

/// Whether the session may still be used. One that began in the future is from before the clock was set back.
pub(super) fn is_alive(session: &Session, now: Moment) -> bool {
    now.since(session.seen_at) < IDLE_MAX && now.since(session.created_at) < AGE_MAX
}

/// Refuses what another site, or no page at all, has sent.
pub(super) fn check_is_our_own(parts: &Parts) -> Result<(), Fault> {
    const FOREIGN: Fault = Fault::Foreign(
        "This request does not come from a page of the dashboard. Open the dashboard itself and do it there.",
    );
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(http::HeaderName::from_static("sec-fetch-site")) {
        return if site == "same-origin" { Ok(()) } else { Err(FOREIGN) };
    }
    // Under HTTP/2 the authority is part of the target, and there is no `Host`.
    let authority = parts.uri.authority().map(http::uri::Authority::as_str).or_else(|| text(HOST));
    let origin = text(ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
    match (origin, authority) {
        (Some(origin), Some(authority)) if origin.eq_ignore_ascii_case(authority) => Ok(()),
        _ => Err(FOREIGN),
    }
}

/// The session's token.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, COOKIE_NAME)
}

/// A cookie's value, where exactly one has this name.
pub(super) fn cookie_named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, token)| token);
    let token = found.next()?;
    found.next().is_none().then_some(token)
}

/// What forms of this session carry: it follows from the cookie, and the cookie does not follow from it.
pub(super) fn form_token(session_token: &str) -> String {
    Base64UrlUnpadded::encode_string(&sha256(format!("form {session_token}").as_bytes()))
}

fn path_and_query(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| "/dashboard".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HOST, ORIGIN};
    use http::{HeaderMap, HeaderName, HeaderValue, Request};

    use super::{check_is_our_own, cookie};

    #[track_caller]
    fn check_to(target: &str, headers: &[(HeaderName, &'static str)], is_our_own: bool) {
        let mut request = Request::post(target);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(check_is_our_own(&parts).is_ok(), is_our_own, "{target} {headers:?}");
    }

    #[track_caller]
    fn check(headers: &[(HeaderName, &'static str)], is_our_own: bool) {
        check_to("/dashboard/login", headers, is_our_own);
    }

    #[test]
    fn only_our_own_pages_may_change_anything() {
        let site = || HeaderName::from_static("sec-fetch-site");
        check(&[], false);
        check(&[(site(), "same-origin")], true);
        for foreign in ["same-site", "cross-site", "none", ""] {
            check(&[(site(), foreign)], false);
        }
        check(&[(ORIGIN, "https://a.example:8443"), (HOST, "a.example:8443")], true);
        check(&[(ORIGIN, "https://a.example"), (HOST, "a.example:8443")], false);
        check(&[(ORIGIN, "http://a.example"), (HOST, "a.example")], false);
        check(&[(ORIGIN, "null"), (HOST, "a.example")], false);
        check(&[(HOST, "a.example")], false);
        check(&[(site(), "cross-site"), (ORIGIN, "https://a.example"), (HOST, "a.example")], false);
    }

    #[test]
    fn under_http_2_the_authority_is_in_the_target() {
        let target = "https://a.example:8443/dashboard/login";
        check_to(target, &[(ORIGIN, "https://a.example:8443")], true);
        check_to(target, &[(ORIGIN, "https://A.example:8443")], true);
        check_to(target, &[(ORIGIN, "https://a.example")], false);
        check_to(target, &[(ORIGIN, "https://evil.example"), (HOST, "evil.example")], false);
        check_to(target, &[], false);
    }

    #[test]
    fn a_session_is_in_one_cookie() {
        let with = |cookies: &[&'static str]| {
            let mut map = HeaderMap::new();
            for value in cookies {
                map.append(COOKIE, HeaderValue::from_static(value));
            }
            cookie(&map).map(str::to_owned)
        };
        assert_eq!(with(&["a=b; __Host-agentflow=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(with(&["a=b", "__Host-agentflow=x"]).as_deref(), Some("x"));
        assert_eq!(with(&["__Host-agentflow=x", "__Host-agentflow=y"]), None);
        assert_eq!(with(&["agentflow=x"]), None);
    }
}
