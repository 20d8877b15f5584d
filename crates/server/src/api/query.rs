//! Query strings and pages. A parameter that is not known, given twice, or wrong is refused rather than passed over: a
//! mistyped filter must not answer everything.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use http::Uri;
use http::request::Parts;
use serde::Serialize;

use super::App;
use crate::reason::Reason;
use crate::reply::Problem;
use crate::store::{Page, PageRequest};

/// A request's parameters; one that is known and has no value counts as absent.
pub(super) struct Params(Vec<(String, String)>);

impl FromRequestParts<Arc<App>> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| bad("The query is not made of `name=value` pairs.".to_owned()))?;
        if let Some((name, _)) = pairs.iter().find(|(_, value)| value.contains('\0')) {
            return Err(bad(format!("The parameter {:?} has a NUL character.", clip(name))));
        }
        Ok(Self(pairs))
    }
}

impl Params {
    const LIMIT: usize = 50;
    const LIMIT_MAX: usize = 100;

    /// Refuses parameters that are not among `known`, and repeated ones.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(bad(format!("There is no parameter {:?} here; there are: {known}.", clip(name))));
            }
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(bad(format!("The parameter `{name}` is given twice.")));
            }
        }
        Ok(())
    }

    /// The parameter's text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// The parameter as `parse` reads it; `expected` completes "must be …".
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| bad(format!("`{name}` must be {expected}.")))
    }

    /// Which page is asked for, by `cursor` and `limit`.
    pub(super) fn page(&self) -> Result<PageRequest, Problem> {
        let cursor = self.parsed("cursor", "a `next_cursor` of the page before", |text| text.parse().ok())?;
        let limit = self.parsed("limit", "a whole number from 1 to 100", |text| {
            text.parse().ok().filter(|limit| (1..=Self::LIMIT_MAX).contains(limit))
        })?;
        Ok(PageRequest { cursor, limit: limit.unwrap_or(Self::LIMIT) })
    }
}

/// Refuses a query where there are no parameters: whoever writes `?dry_run=true` must not be taken to mean nothing.
pub(super) fn check_has_no_query(uri: &Uri) -> Result<(), Problem> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(bad(
            "This route takes no parameters in its URL; what it takes goes into the body.".to_owned()
        )),
    }
}

/// What a path names, where it names one thing. Such a route has no parameters.
pub(super) struct Named(pub(super) String);

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        check_has_no_query(&parts.uri)?;
        let named = Path::<String>::from_request_parts(parts, app).await;
        named
            .map(|Path(text)| Self(text))
            .map_err(|_| Problem::new(Reason::NotFound, "The path names nothing: it is not text."))
    }
}

/// What a path names by two words.
pub(super) struct NamedTwo(pub(super) String, pub(super) String);

impl FromRequestParts<Arc<App>> for NamedTwo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        check_has_no_query(&parts.uri)?;
        let named = Path::<(String, String)>::from_request_parts(parts, app).await;
        named
            .map(|Path((first, second))| Self(first, second))
            .map_err(|_| Problem::new(Reason::NotFound, "The path names nothing: it is not text."))
    }
}

/// A page on the wire.
#[derive(Serialize)]
pub(super) struct PageJson<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> PageJson<T> {
    /// The page with each row as it is shown.
    pub(super) fn new<R>(page: Page<R>, show: impl FnMut(R) -> T) -> Self {
        let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
        Self { items: page.items.into_iter().map(show).collect(), next_cursor }
    }
}

pub(super) fn bad(detail: String) -> Problem {
    Problem::new(Reason::BadRequest, detail)
}

/// Foreign text on its way into a sentence.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}
