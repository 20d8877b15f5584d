//! What a reply says: accepted, refused, or nothing that the contract knows.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use agentflow_events::LeadId;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

use crate::{Failure, Problem, ReplyFault};

/// AgentFlow has the lead on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The lead: a new one, or the open one of the same person that this submission has joined.
    pub lead_id: LeadId,
    /// Whether AgentFlow had this body before: most often from an attempt whose reply was lost. Nothing new happens then.
    pub duplicate: bool,
    /// How many attempts it took, from 1.
    pub attempts: u32,
}

/// Largest reply in bytes that is read; the contract's are a few hundred.
pub(crate) const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Reads a reply that is there as a whole.
///
/// # Errors
/// [`Failure::Refused`] or [`Failure::UnexpectedReply`].
pub(crate) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    attempts: u32,
    now: SystemTime,
) -> Result<Accepted, Failure> {
    let unexpected = |fault| unexpected(status, headers, fault, now);
    match status {
        StatusCode::ACCEPTED | StatusCode::OK => match serde_json::from_slice::<Wire>(body) {
            Ok(wire) if wire.status == "received" && wire.duplicate == (status == StatusCode::OK) => {
                match LeadId::from_str(&wire.lead_id) {
                    Ok(lead_id) => Ok(Accepted { lead_id, duplicate: wire.duplicate, attempts }),
                    Err(_) => Err(unexpected(ReplyFault::NotTheContract)),
                }
            }
            _ => Err(unexpected(ReplyFault::NotTheContract)),
        },
        _ if status.is_redirection() => Err(unexpected(ReplyFault::Redirect)),
        _ if !status.is_client_error() && !status.is_server_error() => {
            Err(unexpected(ReplyFault::NotTheContract))
        }
        _ if !is_problem(headers) => Err(unexpected(ReplyFault::NotTheContract)),
        _ => match Problem::parse(status.as_u16(), body, retry_after(status, headers, now)) {
            Some(problem) => Err(Failure::Refused(Box::new(problem))),
            None => Err(unexpected(ReplyFault::NotTheContract)),
        },
    }
}

/// A reply that is not of the contract; its status and its wish to wait count all the same, for proxies have them too.
pub(crate) fn unexpected(
    status: StatusCode,
    headers: &HeaderMap,
    fault: ReplyFault,
    now: SystemTime,
) -> Failure {
    let retry_after = retry_after(status, headers, now);
    Failure::UnexpectedReply { status: Some(status.as_u16()), fault, retry_after }
}

#[derive(Deserialize)]
struct Wire {
    status: String,
    lead_id: String,
    duplicate: bool,
}

fn is_problem(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/problem+json")
}

/// The wait that `Retry-After` asks for: seconds, or a date, of which what is past is no wait. With 429 and 503 only.
fn retry_after(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = headers.get(RETRY_AFTER).map(HeaderValue::to_str)?.ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::{HeaderMap, HeaderValue, StatusCode};
    use proptest::prelude::*;

    use super::{read, retry_after};

    const ID: &str = "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f";

    /// Reads a reply; expects a lead (new or known), or the failure's code.
    #[track_caller]
    fn check(status: u16, content_type: &str, body: &str, expected: Result<bool, &str>) {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let reply = read(status, &headers, body.as_bytes(), 1, UNIX_EPOCH);
        let found = reply.as_ref().map(|accepted| accepted.duplicate).map_err(|failure| failure.code());
        assert_eq!(found, expected, "{status} {body}");
    }

    fn accepted(duplicate: bool) -> String {
        format!(r#"{{"status":"received","lead_id":"{ID}","duplicate":{duplicate},"more":null}}"#)
    }

    #[test]
    fn an_acceptance_is_new_with_202_and_known_with_200() {
        check(202, "application/json", &accepted(false), Ok(false));
        check(200, "application/json", &accepted(true), Ok(true));
        check(202, "application/json", &accepted(true), Err("unexpected_reply"));
        check(200, "application/json", &accepted(false), Err("unexpected_reply"));
    }

    #[test]
    fn other_successes_are_none() {
        check(202, "application/json", "", Err("unexpected_reply"));
        check(202, "text/html", "<p>Thank you!</p>", Err("unexpected_reply"));
        check(202, "application/json", &accepted(false).replace("lead_", "evt_"), Err("unexpected_reply"));
        check(
            202,
            "application/json",
            &accepted(false).replace("received", "queued"),
            Err("unexpected_reply"),
        );
        check(201, "application/json", &accepted(false), Err("unexpected_reply"));
        check(204, "application/json", "", Err("unexpected_reply"));
    }

    #[test]
    fn a_problem_is_one_by_its_media_type_and_its_reason() {
        let body = r#"{"reason":"unknown_endpoint"}"#;
        check(404, "application/problem+json", body, Err("unknown_endpoint"));
        check(404, "Application/Problem+JSON; charset=utf-8", body, Err("unknown_endpoint"));
        check(404, "application/json", body, Err("unexpected_reply"));
        check(404, "application/problem+json", "{}", Err("unexpected_reply"));
        check(307, "application/problem+json", body, Err("unexpected_reply"));
        check(502, "text/html", "<h1>Bad gateway</h1>", Err("unexpected_reply"));
    }

    #[track_caller]
    fn check_wait(status: u16, value: &str, expected: Option<u64>) {
        let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), value.parse().unwrap())]);
        let now = UNIX_EPOCH + Duration::from_secs(1_731_573_840);
        let found = retry_after(StatusCode::from_u16(status).unwrap(), &headers, now);
        assert_eq!(found, expected.map(Duration::from_secs), "{status} {value}");
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        check_wait(429, "7", Some(7));
        check_wait(503, " 0 ", Some(0));
        check_wait(503, "Thu, 14 Nov 2024 08:45:00 GMT", Some(60));
        check_wait(503, "Thu, 14 Nov 2024 08:43:00 GMT", Some(0));
        check_wait(503, "99999999999999999999999", Some(u64::MAX));
    }

    #[test]
    fn no_wait_is_read_where_none_is_told() {
        for value in ["", "-1", "1.5", "+7", "soon", "Thu, 99 Nov 2024 08:45:00 GMT"] {
            check_wait(429, value, None);
        }
        for status in [200, 401, 500, 502] {
            check_wait(status, "7", None);
        }
    }

    proptest! {
        #[test]
        fn no_reply_makes_a_panic(
            status in 100_u16..1000,
            content_type in prop_oneof![Just("application/problem+json".as_bytes().to_vec()), any::<Vec<u8>>()],
            wait in prop_oneof!["[0-9]{0,30}".prop_map(String::into_bytes), any::<Vec<u8>>()],
            body in prop_oneof![
                any::<Vec<u8>>(),
                r#"\{"(reason|status|errors)":("[a-z_]{0,70}"|[0-9]|\[\{"field":"[a-z@]{1,3}","code":"x"\}\])\}"#
                    .prop_map(String::into_bytes),
            ],
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [("content-type", content_type), ("retry-after", wait)] {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.insert(name, value);
                }
            }
            // What is not accepted has a code and a text.
            let status = StatusCode::from_u16(status).unwrap();
            if let Err(failure) = read(status, &headers, &body, 1, UNIX_EPOCH) {
                prop_assert!(!failure.code().is_empty() && !failure.to_string().is_empty());
            }
        }
    }
}
