//! Whether a body is plain JSON by its headers.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// Says why the body is not taken for JSON, if it is not: one `Content-Type: application/json`, with `charset=utf-8` as its
/// only parameter if it has any, and no `Content-Encoding`.
pub(crate) fn check_json(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err("The body must be sent as it is, without `Content-Encoding`.");
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let one = types.next().and_then(|value| value.to_str().ok()).filter(|_| types.next().is_none());
    if one.is_some_and(is_json) { Ok(()) } else { Err("`Content-Type` must be `application/json`.") }
}

fn is_json(content_type: &str) -> bool {
    let blank = [' ', '\t'];
    let mut parts = content_type.split(';').map(|part| part.trim_matches(blank));
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.filter(|parameter| !parameter.is_empty()).all(|parameter| {
            parameter.eq_ignore_ascii_case("charset=utf-8")
                || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};

    use super::check_json;

    #[track_caller]
    fn check(content_types: &[&'static str], expected: bool) {
        let mut headers = HeaderMap::new();
        for content_type in content_types {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        assert_eq!(check_json(&headers).is_ok(), expected, "{content_types:?}");
    }

    #[test]
    fn takes_json_in_utf_8() {
        check(&["application/json"], true);
        check(&["Application/JSON ; Charset=UTF-8"], true);
        check(&["application/json;charset=\"utf-8\""], true);
        check(&["application/json;"], true);
    }

    #[test]
    fn refuses_what_is_not_json_or_in_doubt() {
        check(&[], false);
        check(&[""], false);
        check(&["text/plain"], false);
        check(&["application/jsonl"], false);
        check(&["application/ld+json"], false);
        check(&["application/json; charset=latin1"], false);
        check(&["application/json; profile=x"], false);
        check(&["application/json, text/plain"], false);
        check(&["application/json", "application/json"], false);
    }

    #[test]
    fn refuses_any_content_encoding() {
        for coding in ["gzip", "identity", ""] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            assert!(check_json(&headers).is_err(), "{coding}");
        }
    }
}
