//! A destination: a real HTTPS server on a free port that answers as it is told and hands on what it was sent.

use std::path::PathBuf;
use std::sync::Arc;

use agentflow_server::config::Limits;
use agentflow_server::edge::{Edge, TlsSource};
use agentflow_server::telemetry::Metrics;
use axum::Router;
use axum::extract::Path;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Receiver {
    pub(crate) requests: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    /// Requests to `/held/{status}` are answered once there is a permit.
    pub(crate) gate: Arc<Semaphore>,
    port: u16,
    folder: tempfile::TempDir,
    _stops_when_dropped: DropGuard,
}

impl Receiver {
    /// Answers `/{status}` with that status.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = TlsSource::self_signed(folder.path(), &["localhost".to_owned()]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::unbounded_channel();
        let answer = move |Path(status): Path<u16>, headers: HeaderMap, body: Bytes| {
            sender.send((headers, body)).ok();
            std::future::ready(StatusCode::from_u16(status).unwrap())
        };
        let gate = Arc::new(Semaphore::new(0));
        let (held, held_answer) = (Arc::clone(&gate), answer.clone());
        let hold = async move |path: Path<u16>, headers: HeaderMap, body: Bytes| {
            let status = held_answer(path, headers, body).await;
            held.acquire().await.unwrap().forget();
            status
        };
        let router = Router::new()
            .route("/{status}", axum::routing::post(answer))
            .route("/held/{status}", axum::routing::post(hold));
        let shutdown = CancellationToken::new();
        let edge = Edge { limits: Limits::default(), tls, metrics: Arc::new(Metrics::new()) };
        tokio::spawn(edge.serve(listener, router, shutdown.clone()));
        Self { requests, gate, port, folder, _stops_when_dropped: shutdown.drop_guard() }
    }

    pub(crate) fn url(&self, status: u16) -> String {
        format!("https://localhost:{}/{status}", self.port)
    }

    pub(crate) fn held_url(&self, status: u16) -> String {
        format!("https://localhost:{}/held/{status}", self.port)
    }

    /// What `delivery.extra_ca` must name.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub(crate) async fn next(&mut self) -> (HeaderMap, Bytes) {
        self.requests.recv().await.expect("the receiver runs")
    }
}
