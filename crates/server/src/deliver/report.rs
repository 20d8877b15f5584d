//! An attempt as it is recorded, and its request's head made again from that.

use std::sync::{Arc, LazyLock};

use agentflow_events::Moment;
use agentflow_signature::{Outbound, Signer, Timestamp};

use super::client::Sent;
use super::message::{AGENT, Message, head, leave_signatures_out, signed};
use super::{AddressPolicy, Target};
use crate::record::{Attempt, EventRow, Exchange, SentRequest};

static AGENT_TEXT: LazyLock<Arc<str>> = LazyLock::new(|| AGENT.into());

/// The attempt at `target`, from `at` until `ended`.
pub(super) fn attempt(
    number: u32,
    at: Moment,
    ended: Moment,
    target: Option<&Target>,
    sent: Sent,
) -> Attempt {
    let Sent { trace, answer } = sent;
    let mut attempt = Attempt {
        number,
        at,
        status: None,
        duration_ms: u32::try_from(ended.since(at).as_millis()).unwrap_or(u32::MAX),
        error: None,
        response_head: None,
        exchange: Exchange {
            request: target.map(|target| SentRequest {
                url: Arc::clone(&target.given),
                agent: Arc::clone(&AGENT_TEXT),
                signed: trace.signed,
            }),
            remote: trace.remote,
            reused: trace.reused,
            timings: trace.timings,
            response_headers: None,
        },
    };
    match answer {
        Err(error) => attempt.error = Some(format!("{}: {error}", error.code())),
        Ok(reply) => {
            attempt.status = Some(reply.status);
            attempt.error = match reply.status {
                200..300 => None,
                300..400 => Some(format!(
                    "bad_status: The destination answered {}; redirects are not followed.",
                    reply.status
                )),
                status => Some(format!("bad_status: The destination answered {status}.")),
            };
            attempt.exchange.response_headers = Some(reply.headers);
            attempt.response_head = reply.body.into_head();
        }
    }
    attempt
}

/// The head of an attempt's request as it was sent; absent where none was.
///
/// The signatures are made again with `signer`. Where the secret was rotated since, they cannot be: then the first digits of
/// the one are told, which were kept, and of the other nothing.
pub(super) fn request_head(attempt: &Attempt, event: &EventRow, signer: &Signer<Outbound>) -> Option<String> {
    let sent = attempt.exchange.request.as_ref()?;
    let then = sent.signed?;
    // It was judged when it was sent; what it says is all that counts now.
    let target = Target::parse(&sent.url, &AddressPolicy::any()).ok()?;
    let message = Message {
        event_id: event.id,
        event_type: event.event_type,
        attempt_number: attempt.number,
        body: &event.body,
        signer,
        now: Timestamp::from_unix_seconds(u64::try_from(then.at).ok()?),
        agent: &sent.agent,
    };
    let mut request = message.request(&target);
    if signed(request.headers()) != Some(then) {
        leave_signatures_out(request.headers_mut(), then.mark);
    }
    Some(head(&request))
}
