//! `POST /v1/inbound/{endpoint_token}`: what is checked of a lead before its signature, in the contract's order.
//!
//! Endpoint, method, media type, size; then the [`Intake`]. The token is a credential: it is in no log, metric or reply.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use agentflow_events::LeadId;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::Method;
use http::header::CONTENT_LENGTH;
use serde::Serialize;

use super::body::{BodyBudget, ReadBody, Unread, read};
use super::unstoppable::Unstoppable;
use super::{RemoteAddr, media};
use crate::config::Limits;
use crate::directory::{Directory, LiveEndpoint};
use crate::intake::{InboundRequest, Intake, Receipt, Refusal};
use crate::reason::Reason;
use crate::reply::{self, Problem};
use crate::telemetry::Metrics;

/// Bodies of the greatest size that may be on their way at the same time.
const BODIES_MAX: usize = 1_024;

/// Where leads are sent to.
pub const ROUTE: &str = "/v1/inbound/{endpoint_token}";

struct Inbound {
    intake: Arc<Intake>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    body_bytes_max: usize,
    bodies: Arc<BodyBudget>,
}

/// The inbound route.
pub fn router(
    intake: Arc<Intake>,
    directory: Arc<Directory>,
    limits: &Limits,
    metrics: Arc<Metrics>,
) -> Router {
    let body_bytes_max = limits.body_bytes_max;
    let bodies = BodyBudget::new(body_bytes_max.saturating_mul(BODIES_MAX));
    let inbound = Inbound { intake, directory, metrics, body_bytes_max, bodies };
    Router::new().route(ROUTE, any(receive)).with_state(Arc::new(inbound))
}

async fn receive(
    State(inbound): State<Arc<Inbound>>,
    token: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let endpoint = token.ok().and_then(|Path(token)| inbound.directory.endpoint(&token));
    let Some(endpoint) = endpoint else {
        inbound.metrics.unknown_endpoint();
        return Problem::new(
            Reason::UnknownEndpoint,
            "No endpoint has this URL; compare it with the one that the first start or the last rotation told.",
        )
        .into_response();
    };
    let remote =
        request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |RemoteAddr(remote)| *remote);
    let declared = declared_bytes(&request);
    let refuse = |refusal: Refusal, problem: Problem, body_bytes| {
        let body_bytes = if body_bytes == 0 { declared } else { body_bytes };
        inbound.intake.log_refusal(&endpoint, &refusal, remote, body_bytes);
        problem.into_response()
    };
    if let Err((reason, detail)) = check_head(&request) {
        let problem = Problem::new(reason, detail);
        let problem = if reason == Reason::MethodNotAllowed { problem.allow("POST") } else { problem };
        return refuse(Refusal::new(reason, detail), problem, 0);
    }
    let (head, body) = request.into_parts();
    let body = match read(body, inbound.body_bytes_max, &inbound.bodies).await {
        Ok(body) => body,
        Err(Unread { fault, bytes_read }) => {
            return refuse(Refusal::new(fault.reason(), fault.to_string()), fault.into(), bytes_read);
        }
    };
    // A sender that hangs up now must not stop a lead between its commit and its first delivery.
    Unstoppable::new(hand_over(inbound, endpoint, head, body, remote)).await
}

/// How large the request says that its body is.
fn declared_bytes(request: &Request) -> usize {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn check_head(request: &Request) -> Result<(), (Reason, &'static str)> {
    if request.method() != Method::POST {
        return Err((Reason::MethodNotAllowed, "Leads are sent with POST."));
    }
    media::check_json(request.headers()).map_err(|detail| (Reason::UnsupportedMediaType, detail))
}

async fn hand_over(
    inbound: Arc<Inbound>,
    endpoint: LiveEndpoint,
    head: http::request::Parts,
    body: ReadBody,
    remote: IpAddr,
) -> Response {
    let request = InboundRequest { headers: &head.headers, body: body.bytes.clone(), remote };
    match inbound.intake.receive(&endpoint, request).await {
        Ok(receipt) => receipt_reply(receipt),
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

fn receipt_reply(Receipt { lead_id, duplicate }: Receipt) -> Response {
    #[derive(Serialize)]
    struct Wire {
        status: &'static str,
        lead_id: LeadId,
        duplicate: bool,
    }
    let wire = Wire { status: "received", lead_id, duplicate };
    if duplicate { reply::ok(wire) } else { reply::accepted(wire) }
}

#[cfg(test)]
mod tests {
    use agentflow_events::Moment;
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;

    use super::{Receipt, check_head, receipt_reply};
    use crate::id::mint;

    #[track_caller]
    fn check(method: &str, content_type: &str, expected: Option<&str>) {
        let request = Request::builder().method(method).header("content-type", content_type);
        let refused = check_head(&request.body(Body::empty()).unwrap()).err();
        assert_eq!(refused.map(|(reason, _)| reason.code()), expected, "{method} {content_type}");
    }

    #[test]
    fn the_method_comes_before_the_media_type() {
        check("POST", "application/json", None);
        check("POST", "text/plain", Some("unsupported_media_type"));
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "post"] {
            check(method, "text/plain", Some("method_not_allowed"));
        }
    }

    #[tokio::test]
    async fn a_new_lead_is_accepted_and_a_known_one_is_fine() {
        for (duplicate, status) in [(false, 202), (true, 200)] {
            let lead_id = mint(Moment::from_unix_millis(1_700_000_000_000));
            let response = receipt_reply(Receipt { lead_id, duplicate });
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["content-type"], "application/json");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let expected =
                format!(r#"{{"status":"received","lead_id":"{lead_id}","duplicate":{duplicate}}}"#);
            assert_eq!(body, expected);
        }
    }
}
