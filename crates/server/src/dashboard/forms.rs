//! What browsers send: posted forms with their token, and queries. Unknown fields and values that no page offers are passed
//! over in a query, as a bookmark may be old, and refused in a form.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::Dashboard;
use super::access::{self, check_is_our_own};
use super::fault::Fault;
use super::shares::Shares;
use crate::edge::{self, BodyBudget, BodyFault, RemoteAddr, Sender};

/// Names and values in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(encoded);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first value with this name that is not blank, without white space around it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).map(str::trim).find(|value| !value.is_empty())
    }

    /// The value exactly as it was typed, for passwords.
    pub(super) fn exact(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value as a `T`, where it is one.
    pub(super) fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// Every value with this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is a field with this name, as a ticked box leaves one.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Names and values of all other fields.
    pub(super) fn except(&self, names: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        let others = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        others.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same as a query, without `except` and without blank values; `more` comes last.
    pub(super) fn query(&self, except: &[&str], more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in
            self.0.iter().filter(|(name, value)| !except.contains(&name.as_str()) && !value.is_empty())
        {
            query.append_pair(name, value);
        }
        for (name, value) in more {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

/// A request's query.
pub(super) struct Query(pub(super) Pairs);

impl FromRequestParts<Arc<Dashboard>> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Dashboard>) -> Result<Self, Self::Rejection> {
        Ok(Self(Pairs::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}

/// What a path names. One that is no text names no page.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Dashboard>> for Path<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, Fault> {
        let named = axum::extract::Path::<T>::from_request_parts(parts, dashboard).await;
        named.map(|axum::extract::Path(named)| Self(named)).map_err(|_| Fault::NoPage)
    }
}

/// A form posted by one of our pages in a session.
pub(super) struct Form(pub(super) Pairs);

/// A form posted by one of our pages before there is a session: a few short fields, out of a budget that only strangers share.
pub(super) struct EarlyForm(pub(super) Pairs);

impl FromRequest<Arc<Dashboard>> for EarlyForm {
    type Rejection = Fault;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, Fault> {
        let (head, body) = checked(request)?;
        let &RemoteAddr(remote) = head.extensions.get().ok_or(Fault::Internal)?;
        dashboard.early_bodies.read(body, Sender::from(remote)).await.map(Self)
    }
}

/// The forms of strangers that are on their way. None of them has long, and no sender has more than a few at once: whoever sends
/// many and ends none would keep everybody else from signing in.
pub(super) struct EarlyBodies {
    budget: Arc<BodyBudget>,
    shares: Shares<Sender>,
}

impl EarlyBodies {
    const BYTES_MAX: usize = 4 * 1024;
    const ALL_BYTES_MAX: usize = 1024 * 1024;
    const SENDER_MAX: usize = 8;
    /// For all of a form, with the wait for one of the sender's places.
    const WITHIN: Duration = Duration::from_secs(3);

    pub(super) fn new() -> Self {
        Self { budget: BodyBudget::new(Self::ALL_BYTES_MAX), shares: Shares::new(Self::SENDER_MAX) }
    }

    async fn read(&self, body: Body, sender: Sender) -> Result<Pairs, Fault> {
        let until = Instant::now() + Self::WITHIN;
        let place = timeout_at(until, self.shares.take(sender)).await;
        let _place = place.ok().flatten().ok_or(Fault::Body(BodyFault::Crowded))?;
        let reading = read(body, Self::BYTES_MAX, &self.budget);
        timeout_at(until, reading).await.unwrap_or(Err(Fault::Body(BodyFault::Stalled)))
    }
}

/// A request with a form of one of our own pages.
fn checked(request: Request) -> Result<(Parts, Body), Fault> {
    let (head, body) = request.into_parts();
    check_is_our_own(&head)?;
    if !is_form(&head.headers) {
        return Err(Fault::Unusable("This takes a form as browsers send it.".to_owned()));
    }
    Ok((head, body))
}

async fn read(body: Body, bytes_max: usize, budget: &Arc<BodyBudget>) -> Result<Pairs, Fault> {
    let body = edge::read(body, bytes_max, budget).await.map_err(|unread| Fault::Body(unread.fault))?;
    Ok(Pairs::parse(&body.bytes))
}

impl FromRequest<Arc<Dashboard>> for Form {
    type Rejection = Fault;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, Fault> {
        let (head, body) = checked(request)?;
        let expected = access::cookie(&head.headers).map(access::form_token);
        let pairs = read(body, Dashboard::FORM_BYTES_MAX, &dashboard.bodies).await?;
        // Both are hashes of what the other side must know, so how long the comparison takes tells nothing of use.
        if expected.is_none() || pairs.exact("token") != expected.as_deref() {
            return Err(Fault::Foreign(
                "This form belongs to an earlier session. Go back, reload the page, and send it again.",
            ));
        }
        Ok(Self(pairs))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::future::join_all;
    use futures_util::stream::{StreamExt, once, pending};
    use tokio::time::{Instant, sleep};

    use super::{EarlyBodies, Pairs};
    use crate::dashboard::fault::Fault;
    use crate::edge::{BodyFault, Sender};

    /// A form that never ends.
    fn stalled() -> Body {
        let begun = once(async { Ok::<_, Infallible>(Bytes::from_static(&[b'a'; 4_091])) });
        Body::from_stream(begun.chain(pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_ends_no_form_keeps_nobody_else_from_sending_theirs() {
        let bodies = EarlyBodies::new();
        let network = |host: u128| Sender::from(IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8 << 96 | host)));
        let begun = Instant::now();
        let flood = join_all((0..300).map(|host| bodies.read(stalled(), network(host))));
        let others = async {
            sleep(Duration::from_secs(1)).await;
            let other = Sender::from(IpAddr::from(Ipv4Addr::LOCALHOST));
            assert!(bodies.read(Body::from("email=a"), other).await.is_ok());
            assert_eq!(begun.elapsed().as_secs(), 1);
        };
        let (flood, ()) = tokio::join!(flood, others);
        assert_eq!(begun.elapsed().as_secs(), 3);
        let refused = |read: &_| matches!(read, Err(Fault::Body(BodyFault::Stalled | BodyFault::Crowded)));
        assert!(flood.iter().all(refused));
        assert!(bodies.read(Body::from("email=a"), network(0)).await.is_ok(), "the places are free again");
    }

    #[test]
    fn a_query_is_written_anew_without_what_is_blank_or_left_out() {
        let pairs = Pairs::parse(b"q=a+b%26c&state=&cursor=a1&pick=1&pick=2");
        assert_eq!(pairs.text("q"), Some("a b&c"));
        assert_eq!(pairs.text("state"), None);
        assert_eq!(pairs.all("pick").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(pairs.query(&["cursor", "pick"], &[("lead", "x y")]), "q=a+b%26c&lead=x+y");
    }
}
