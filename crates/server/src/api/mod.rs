//! The management API, version 1: JSON over HTTPS with bearer tokens, and what operations asks for (health, metrics).
//!
//! Every request passes: route, method, token, role, then query or body, each refused with a problem. Whatever a token may
//! not see does not exist for it. `openapi.json` beside this file is the contract; a test holds both together.

mod attempts;
mod auth;
mod deliveries;
mod destinations;
mod events;
mod form;
mod leads;
mod logs;
mod operations;
mod operators;
mod query;
mod secrets;
mod settings;
mod tokens;

use std::sync::Arc;

use agentflow_events::{Id, IdKind};
use axum::Router;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::clock::Clock;
use crate::deliver::Deliver;
use crate::directory::Directory;
use crate::edge::{BodyBudget, finish_changes};
use crate::management::Management;
use crate::reason::Reason;
use crate::record::AuditRow;
use crate::reply::{self, Problem};
use crate::review::Review;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

use auth::Caller;
use operations::Recent;

/// Everything that the API speaks for.
pub struct App {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    deliver: Arc<Deliver>,
    review: Arc<Review>,
    management: Arc<Management>,
    clock: Clock,
    metrics: Arc<Metrics>,
    base_url: String,
    bodies: Arc<BodyBudget>,
    readiness: Recent<Result<(), String>>,
    pending: Recent<u64>,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Who is who.
    pub directory: Arc<Directory>,
    /// Told of changes; sends test events.
    pub deliver: Arc<Deliver>,
    /// Takes decisions.
    pub review: Arc<Review>,
    /// Manages people, secrets, destinations and settings.
    pub management: Arc<Management>,
    /// Time.
    pub clock: Clock,
    /// Shown to Prometheus.
    pub metrics: Arc<Metrics>,
    /// Where senders reach the server, without a slash at the end.
    pub base_url: String,
}

impl App {
    /// Bytes of a request's body.
    const BODY_BYTES_MAX: usize = 256 * 1024;
    /// Bytes of all bodies that are on their way.
    const BODIES_BYTES_MAX: usize = 16 * 1024 * 1024;

    /// The API over these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { store, directory, deliver, review, management, clock, metrics, base_url } = parts;
        Arc::new(Self {
            store,
            directory,
            deliver,
            review,
            management,
            clock,
            metrics,
            base_url,
            bodies: BodyBudget::new(Self::BODIES_BYTES_MAX),
            readiness: Recent::default(),
            pending: Recent::default(),
        })
    }

    /// The row that tells of a change by this caller.
    fn audit(&self, caller: &Caller, action: &str, subject: impl ToString) -> AuditRow {
        AuditRow::new(*caller, self.clock.now(), action, subject)
    }
}

type Routes = Vec<(&'static str, &'static str, MethodRouter<Arc<App>>)>;

/// Every route with its methods, as `Allow` names them.
fn routes() -> Routes {
    vec![
        ("/api/v1/leads", "GET, HEAD", get(leads::list)),
        ("/api/v1/leads/{id}", "GET, HEAD", get(leads::one)),
        ("/api/v1/leads/{id}/decision", "POST", post(leads::decide)),
        ("/api/v1/audit", "GET, HEAD", get(logs::audit)),
        ("/api/v1/operational-logs", "GET, HEAD", get(logs::operational)),
        ("/api/v1/inbound-logs", "GET, HEAD", get(logs::list)),
        ("/api/v1/events", "GET, HEAD", get(events::list)),
        ("/api/v1/events/{id}", "GET, HEAD", get(events::one)),
        ("/api/v1/deliveries", "GET, HEAD", get(deliveries::list)),
        ("/api/v1/deliveries/resend", "POST", post(deliveries::resend_matching)),
        ("/api/v1/deliveries/cancel", "POST", post(deliveries::cancel_matching)),
        ("/api/v1/deliveries/{id}", "GET, HEAD", get(deliveries::one)),
        ("/api/v1/deliveries/{id}/resend", "POST", post(deliveries::resend_one)),
        ("/api/v1/deliveries/{id}/cancel", "POST", post(deliveries::cancel_one)),
        ("/api/v1/destinations", "GET, HEAD, POST", get(destinations::list).post(destinations::create)),
        (
            "/api/v1/destinations/{id}",
            "GET, HEAD, PATCH, DELETE",
            get(destinations::one).patch(destinations::change).delete(destinations::delete),
        ),
        ("/api/v1/destinations/{id}/test", "POST", post(destinations::test)),
        ("/api/v1/destinations/{id}/pause", "POST", post(destinations::pause)),
        ("/api/v1/destinations/{id}/resume", "POST", post(destinations::resume)),
        ("/api/v1/settings", "GET, HEAD, PUT", get(settings::show).put(settings::change)),
        ("/api/v1/secrets", "GET, HEAD", get(secrets::list)),
        ("/api/v1/secrets/{direction}/rotate", "POST", post(secrets::rotate)),
        ("/api/v1/secrets/{direction}/{id}", "DELETE", delete(secrets::delete)),
        ("/api/v1/tokens", "GET, HEAD, POST", get(tokens::list).post(tokens::create)),
        ("/api/v1/tokens/{id}", "DELETE", delete(tokens::delete)),
        ("/api/v1/operators", "GET, HEAD, POST", get(operators::list).post(operators::create)),
        (
            "/api/v1/operators/{id}",
            "GET, HEAD, PATCH, DELETE",
            get(operators::one).patch(operators::change).delete(operators::delete),
        ),
        ("/api/v1/operators/{id}/invitation", "POST", post(operators::invite)),
        ("/api/v1/invitations/accept", "POST", post(operators::accept)),
        ("/api/v1/inbound-endpoint/rotate", "POST", post(secrets::rotate_endpoint)),
        ("/api/v1/openapi.json", "GET, HEAD", get(operations::openapi)),
        ("/healthz", "GET, HEAD", get(operations::healthz)),
        ("/readyz", "GET, HEAD", get(operations::readyz)),
        ("/metrics", "GET, HEAD", get(operations::metrics)),
    ]
}

/// The API's routes, and a problem for every other path.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (path, allow, methods) in routes() {
        let refuse = move |method: Method| async move {
            Problem::new(Reason::MethodNotAllowed, format!("This resource has no {method}; it has {allow}."))
                .allow(allow)
        };
        router = router.route(path, methods.fallback(refuse));
    }
    router.fallback(no_such_route).layer(from_fn(finish_changes)).with_state(app)
}

async fn no_such_route(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    // Whoever opens the server's address in a browser looks for the dashboard.
    let reads_html = |accept: &HeaderValue| accept.to_str().is_ok_and(|accept| accept.contains("text/html"));
    if method.is_safe() && uri.path() == "/" && headers.get(ACCEPT).is_some_and(reads_html) {
        return reply::see_other("/dashboard");
    }
    Problem::new(Reason::NotFound, "There is nothing at this path; /api/v1/openapi.json names what there is.")
        .into_response()
}

/// What a handler answers.
type Reply = Result<Response, Problem>;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a request to the API could not be answered");
        match error {
            StoreError::Backend(_) | StoreError::Unusable(_) => Problem::internal(),
            error => Problem::new(Reason::StoreUnavailable, error.to_string()),
        }
    }
}

fn not_found(what: &str) -> Problem {
    Problem::new(Reason::NotFound, format!("There is no such {what} in this workspace."))
}

/// An id in a path; what is none names nothing.
fn id<K: IdKind>(text: &str, what: &str) -> Result<Id<K>, Problem> {
    text.parse().map_err(|_| not_found(what))
}

#[cfg(test)]
mod tests {
    use super::{operations::OPENAPI, routes};

    #[test]
    fn the_contract_names_every_route_with_its_methods_and_no_other() {
        let contract: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let mut documented: Vec<(String, String)> = Vec::new();
        for (path, operations) in contract["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                documented.push((path.clone(), method.to_ascii_uppercase()));
            }
        }
        let mut served: Vec<(String, String)> = routes()
            .iter()
            .flat_map(|(path, allow, _)| {
                allow.split(", ").map(|method| ((*path).to_owned(), method.to_owned()))
            })
            .filter(|(_, method)| method != "HEAD")
            .collect();
        documented.sort();
        served.push((crate::edge::inbound::ROUTE.to_owned(), "POST".to_owned()));
        served.sort();
        assert_eq!(documented, served);
    }
}
