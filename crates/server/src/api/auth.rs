//! Who asks: the bearer token, and the role that a request needs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::App;
use crate::reason::Reason;
use crate::record::{Actor, Role};
use crate::reply::Problem;

/// The operator that a valid token acts for.
pub(super) type Caller = Actor;

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = $role:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name(pub(super) Caller);

        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
                authorise(app, &parts.headers, $role).map(Self)
            }
        }
    )*};
}

roles! {
    /// A caller who may read. Handlers that take it need no more.
    Reads = Role::Viewer;
    /// A caller who may decide on leads and send deliveries again.
    Decides = Role::Operator;
    /// A caller who may change the workspace.
    Administers = Role::Admin;
}

fn authorise(app: &App, headers: &HeaderMap, needed: Role) -> Result<Caller, Problem> {
    let text = bearer(headers).ok_or_else(|| {
        Problem::new(Reason::Unauthorized, "Send one `Authorization: Bearer` header with an API token.")
    })?;
    let token = app.directory.use_token(text, app.clock.now()).ok_or_else(|| {
        Problem::new(Reason::Unauthorized, "This API token is not known; it may have been deleted.")
    })?;
    if token.role < needed {
        let detail =
            format!("This needs the role {}; the token has {}.", needed.as_str(), token.role.as_str());
        return Err(Problem::new(Reason::Forbidden, detail));
    }
    Ok(Caller { workspace_id: token.workspace_id, operator_id: token.operator_id })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{AUTHORIZATION, HeaderValue};

    use super::bearer;

    #[track_caller]
    fn check(values: &[&'static str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        assert_eq!(bearer(&headers), expected, "{values:?}");
    }

    #[test]
    fn a_token_comes_in_one_header_under_its_scheme() {
        check(&["Bearer aft_x"], Some("aft_x"));
        check(&["bearer  aft_x"], Some("aft_x"));
        check(&["Basic aft_x"], None);
        check(&["aft_x"], None);
        check(&[], None);
        check(&["Bearer aft_x", "Bearer aft_x"], None);
    }
}
