//! Refuses requests whose framing or target can be read in two ways (RFC 9112, sections 3.2 and 6; RFC 9113, 8.3).

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{Request, Version};

use super::heads::FramingCount;

/// Says what is wrong with the request's framing headers, if anything. `sent`: how often they were sent.
pub(super) fn check<B>(request: &Request<B>, sent: FramingCount) -> Result<(), &'static str> {
    if sent.is_unclear {
        return Err("The request's framing cannot be read: send one plain `Content-Length`.");
    }
    // Those of HTTP/2 are all in the map; of HTTP/1 hyper keeps one.
    let kept = request.headers().get_all(CONTENT_LENGTH).iter().count();
    if sent.content_lengths > 1 || kept > 1 {
        return Err("`Content-Length` must not be repeated.");
    }
    if sent.content_lengths > 0 && sent.transfer_encodings > 0 {
        return Err("`Content-Length` and `Transfer-Encoding` exclude each other.");
    }
    let coding = request.headers().get(TRANSFER_ENCODING);
    let is_chunked = coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if sent.transfer_encodings > 1 || !is_chunked {
        return Err("`Transfer-Encoding` must be `chunked`, once.");
    }
    check_host(request)
}

fn check_host<B>(request: &Request<B>) -> Result<(), &'static str> {
    let target = request.uri().authority().filter(|_| request.version() == Version::HTTP_2);
    if target.is_some_and(|target| target.as_str().contains('@')) {
        return Err("`:authority` must be a host and, if need be, a port.");
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        let must_have_one = request.version() == Version::HTTP_11;
        return if must_have_one { Err("`Host` is missing.") } else { Ok(()) };
    };
    if hosts.next().is_some() {
        return Err("`Host` must not be repeated.");
    }
    if host.is_empty() {
        return Ok(());
    }
    let authority: Authority = match host.to_str().map(str::parse) {
        Ok(Ok(authority)) => authority,
        _ => return Err("`Host` must be a host and, if need be, a port."),
    };
    if authority.as_str().contains('@') {
        return Err("`Host` must be a host and, if need be, a port.");
    }
    if target.is_some_and(|target| *target != authority) {
        return Err("`Host` and `:authority` must be the same.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::{FramingCount, check};

    #[track_caller]
    fn check_headers(version: Version, headers: &[(&str, &str)], expected: Result<(), &str>) {
        let mut request = Request::post("/").version(version);
        if version == Version::HTTP_2 {
            request = Request::post("https://a.example/").version(version);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = |name: &str| headers.iter().filter(|(header, _)| *header == name).count() as u32;
        let sent = FramingCount {
            content_lengths: sent("content-length"),
            transfer_encodings: sent("transfer-encoding"),
            is_unclear: false,
        };
        assert_eq!(check(&request.body(()).unwrap(), sent), expected, "{headers:?}");
    }

    #[test]
    fn framing_headers_stand_once_and_alone() {
        let host = ("host", "a.example");
        let check = |headers: &[(&str, &str)], expected| check_headers(Version::HTTP_11, headers, expected);
        check(&[host, ("content-length", "5")], Ok(()));
        check(&[host, ("transfer-encoding", "Chunked")], Ok(()));
        let repeated = Err("`Content-Length` must not be repeated.");
        check(&[host, ("content-length", "5"), ("content-length", "5")], repeated);
        let coding = Err("`Transfer-Encoding` must be `chunked`, once.");
        check(&[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], coding);
        check(&[host, ("transfer-encoding", "gzip, chunked")], coding);
        let both = Err("`Content-Length` and `Transfer-Encoding` exclude each other.");
        check(&[host, ("content-length", "5"), ("transfer-encoding", "chunked")], both);
    }

    #[test]
    fn a_request_names_one_host() {
        let repeated = Err("`Host` must not be repeated.");
        let malformed = Err("`Host` must be a host and, if need be, a port.");
        check_headers(Version::HTTP_11, &[], Err("`Host` is missing."));
        check_headers(Version::HTTP_10, &[], Ok(()));
        check_headers(Version::HTTP_2, &[], Ok(()));
        check_headers(Version::HTTP_11, &[("host", "")], Ok(()));
        check_headers(Version::HTTP_11, &[("host", "[::1]:8443")], Ok(()));
        check_headers(Version::HTTP_11, &[("host", "a.example"), ("host", "a.example")], repeated);
        check_headers(Version::HTTP_11, &[("host", "a.example, b.example")], malformed);
        check_headers(Version::HTTP_11, &[("host", "user@a.example")], malformed);
        check_headers(Version::HTTP_2, &[("host", "A.example")], Ok(()));
        let differ = Err("`Host` and `:authority` must be the same.");
        check_headers(Version::HTTP_2, &[("host", "b.example")], differ);
        let request = Request::post("https://user@a.example/").version(Version::HTTP_2).body(()).unwrap();
        let malformed = Err("`:authority` must be a host and, if need be, a port.");
        assert_eq!(check(&request, FramingCount::default()), malformed);
    }

    #[test]
    fn what_http_2_has_repeated_is_counted_in_the_map() {
        let request = Request::post("https://a.example/").version(Version::HTTP_2);
        let request = request.header("content-length", "5").header("content-length", "5").body(()).unwrap();
        let repeated = Err("`Content-Length` must not be repeated.");
        assert_eq!(check(&request, FramingCount::default()), repeated);
    }
}
