//! What operations asks for: liveness, readiness, metrics, the contract. Open to whoever reaches the port; nothing here is
//! personal or secret.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use agentflow_events::Moment;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use http::header::ACCEPT;
use serde::Serialize;

use super::{App, Reply};
use crate::reason::Reason;
use crate::reply::{self, Problem};

/// The contract as it is served.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

#[derive(Serialize)]
struct StatusJson {
    status: &'static str,
}

/// The newest answer to a question that costs the store something, kept for a second: nobody can ask it too often.
pub(super) struct Recent<T>(tokio::sync::Mutex<Option<(Moment, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T: Clone> Recent<T> {
    const KEPT: Duration = Duration::from_secs(1);

    async fn answer(&self, now: Moment, ask: impl Future<Output = T>) -> T {
        let mut newest = self.0.lock().await;
        if let Some((at, answer)) = &*newest
            && now.since(*at) < Self::KEPT
        {
            return answer.clone();
        }
        let answer = ask.await;
        *newest = Some((now, answer.clone()));
        answer
    }
}

pub(super) async fn healthz() -> Response {
    reply::ok(StatusJson { status: "ok" })
}

pub(super) async fn readyz(State(app): State<Arc<App>>) -> Reply {
    let ask = async { app.store.check_writable().await.map_err(|error| error.to_string()) };
    match app.readiness.answer(app.clock.now(), ask).await {
        Ok(()) => Ok(reply::ok(StatusJson { status: "ok" })),
        Err(detail) => Err(Problem::new(Reason::StoreUnavailable, detail)),
    }
}

pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    // The older format's readers take the text as well.
    const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
    let ask = async { app.store.pending_deliveries().await.unwrap_or(0) };
    let pending = app.pending.answer(app.clock.now(), ask).await;
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type =
        if accepts.contains("application/openmetrics-text") { OPEN_METRICS } else { PROMETHEUS };
    reply::text(content_type, app.metrics.render(pending))
}

pub(super) async fn openapi() -> Response {
    reply::text("application/json", OPENAPI)
}
