//! Where leads go: an HTTPS URL whose path is a credential.

use std::borrow::Cow;
use std::fmt;

use http::Uri;
use http::uri::Scheme;
use idna::AsciiDenyList;

/// The inbound URL. `Debug` shows its host alone: the path holds the endpoint's token.
#[derive(Clone)]
pub(crate) struct Endpoint(Uri);

/// Why a text is no URL to send leads to. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an absolute URL: no scheme, no host, a character that URLs have not, white space that was copied along.
    #[error("the endpoint is no URL: copy the whole inbound URL, from https:// to its last character")]
    NotAUrl,
    /// Another scheme than `https`.
    #[error("the endpoint's URL does not begin with https://: leads are personal data and go encrypted only")]
    NotHttps,
    /// A user name or password before the host.
    #[error("the endpoint's URL has a user name before its host: AgentFlow has none, remove it")]
    UserInfo,
    /// Something after a `#`.
    #[error("the endpoint's URL has a # in it: nothing after that would be sent")]
    Fragment,
    /// No path, and so no token.
    #[error("the endpoint's URL ends with its host: the token is missing, copy the whole inbound URL")]
    NoPath,
}

impl EndpointError {
    /// The stable code: `invalid_endpoint`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_endpoint"
    }
}

impl Endpoint {
    /// Reads an absolute HTTPS URL strictly: nothing is trimmed, mended or dropped. A host with other letters than ASCII's
    /// becomes the name that is asked for and that certificates are for (UTS 46, as browsers have it).
    pub(crate) fn parse(url: &str) -> Result<Self, EndpointError> {
        // `Uri` would drop it in silence.
        if url.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let uri: Uri = with_ascii_host(url)?.parse().map_err(|_| EndpointError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EndpointError::NotAUrl);
        };
        if *scheme != Scheme::HTTPS {
            return Err(EndpointError::NotHttps);
        }
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        // A port that is no number up to 65535 counts as none.
        let has_port = authority.as_str().len() > authority.host().len();
        if authority.host().is_empty() || has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointError::NotAUrl);
        }
        if uri.path() == "/" {
            return Err(EndpointError::NoPath);
        }
        Ok(Self(uri))
    }

    pub(crate) fn uri(&self) -> Uri {
        self.0.clone()
    }
}

fn with_ascii_host(url: &str) -> Result<Cow<'_, str>, EndpointError> {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(after_scheme);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_ascii() {
        return Ok(Cow::Borrowed(url));
    }
    if authority.contains('@') {
        return Err(EndpointError::UserInfo);
    }
    let (host, port) = authority.split_at(authority.rfind(':').unwrap_or(authority.len()));
    let host = idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::URL);
    let host = host.map_err(|_| EndpointError::NotAUrl)?;
    Ok(Cow::Owned(format!("{scheme}{host}{port}{path}")))
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/..", self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, EndpointError};

    #[track_caller]
    fn check(url: &str, expected: Result<&str, EndpointError>) {
        let shown = Endpoint::parse(url).map(|endpoint| format!("{endpoint:?}"));
        assert_eq!(shown.as_deref().map_err(|error| *error), expected, "{url:?}");
    }

    #[test]
    fn an_https_url_with_a_path_is_taken_and_shown_without_it() {
        check("https://leads.example/v1/inbound/TOKEN", Ok("https://leads.example/.."));
        check("HTTPS://127.0.0.1:8443/v1/inbound/TOKEN?x=y", Ok("https://127.0.0.1:8443/.."));
        check("https://[::1]:8443/v1/inbound/TOKEN", Ok("https://[::1]:8443/.."));
    }

    #[test]
    fn a_host_with_other_letters_becomes_the_name_in_ascii() {
        check("https://leads.müller.example/t", Ok("https://leads.xn--mller-kva.example/.."));
        check("https://MÜLLER.example:8443/t?ä=ö", Ok("https://xn--mller-kva.example:8443/.."));
        check("https://例え.テスト/t", Ok("https://xn--r8jz45g.xn--zckzah/.."));
        check("https://leads。example/t", Ok("https://leads.example/.."));
        check("https://müller.example", Err(EndpointError::NoPath));
        check("http://müller.example/t", Err(EndpointError::NotHttps));
        check("https://jördan@leads.example/t", Err(EndpointError::UserInfo));
        check("https://jordan@müller.example/t", Err(EndpointError::UserInfo));
        for url in [
            "https://leads.example\u{a0}/t",
            "https://leads.example／t",
            "https://jordan＠leads.example/t",
            "https://müller.example:port/t",
            "https://müller.example：8443/t",
            "https://mül ler.example/t",
            "https://\u{301}a.example/t",
            "müller.example/t",
        ] {
            check(url, Err(EndpointError::NotAUrl));
        }
    }

    #[test]
    fn leads_do_not_go_in_the_clear() {
        for url in ["http://leads.example/t", "ftp://leads.example/t", "ws://leads.example/t"] {
            check(url, Err(EndpointError::NotHttps));
        }
    }

    #[test]
    fn what_would_be_dropped_or_misread_is_refused() {
        check("https://jordan:secret@leads.example/t", Err(EndpointError::UserInfo));
        check("https://jordan@leads.example/t", Err(EndpointError::UserInfo));
        check("https://leads.example/t#part", Err(EndpointError::Fragment));
        check("https://leads.example", Err(EndpointError::NoPath));
        check("https://leads.example/", Err(EndpointError::NoPath));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let texts =
            ["", " ", "/v1/inbound/t", "leads.example", "leads.example:443", "https://", "https:///t"];
        for text in texts {
            check(text, Err(EndpointError::NotAUrl));
        }
        for text in ["https://leads.example/t\n", " https://leads.example/t", "https://leads.example:0/t"] {
            check(text, Err(EndpointError::NotAUrl));
        }
        check("https://leads.example:65536/t", Err(EndpointError::NotAUrl));
        check("https://leads.example:/t", Err(EndpointError::NotAUrl));
    }
}
