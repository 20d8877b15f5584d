//! One try at a delivery, as the API shows it.

use std::net::IpAddr;

use agentflow_events::Moment;
use serde::Serialize;

use crate::record::{Attempt, Exchange, SentRequest};

/// An attempt with what crossed the wire.
#[derive(Serialize)]
pub(super) struct AttemptJson {
    number: u32,
    at: Moment,
    status: Option<u16>,
    duration_ms: u32,
    error: Option<String>,
    url: Option<String>,
    request_head: Option<String>,
    response_headers: Option<Vec<HeaderJson>>,
    response_headers_complete: Option<bool>,
    response_head: Option<String>,
    remote_address: Option<IpAddr>,
    connection_reused: Option<bool>,
    timings: TimingsJson,
}

#[derive(Serialize)]
struct HeaderJson {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct TimingsJson {
    resolve_ms: Option<u32>,
    connect_ms: Option<u32>,
    tls_ms: Option<u32>,
    first_byte_ms: Option<u32>,
}

impl AttemptJson {
    /// `request_head`: as it was sent, if it is known.
    pub(super) fn new(attempt: Attempt, request_head: Option<String>) -> Self {
        let Attempt { number, at, status, duration_ms, error, response_head, exchange } = attempt;
        let Exchange { request, remote, reused, timings, response_headers } = exchange;
        let signed = request.as_ref().is_some_and(|request| request.signed.is_some());
        let headers = response_headers.as_deref();
        Self {
            number,
            at,
            status,
            duration_ms,
            error,
            url: request.map(|SentRequest { url, .. }| url.to_string()),
            request_head,
            response_headers: headers.map(|lines| lines.lines().filter_map(header).collect()),
            response_headers_complete: headers.map(|lines| lines.lines().all(|line| line != "…")),
            response_head,
            remote_address: remote,
            connection_reused: signed.then_some(reused),
            timings: TimingsJson {
                resolve_ms: timings.resolve_ms,
                connect_ms: timings.connect_ms,
                tls_ms: timings.tls_ms,
                first_byte_ms: timings.first_byte_ms,
            },
        }
    }
}

fn header(line: &str) -> Option<HeaderJson> {
    let (name, value) = line.split_once(": ")?;
    Some(HeaderJson { name: name.to_owned(), value: value.to_owned() })
}
