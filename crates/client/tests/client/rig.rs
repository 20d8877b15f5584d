//! AgentFlow's own server in this process, in a fresh data folder on a free port. Knows nothing of the client.

use agentflow_server::clock::Clock;
use agentflow_server::config::Config;
use agentflow_server::server::{Server, StoreFailed};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running server.
pub(crate) struct Rig {
    /// Where leads are sent.
    pub(crate) url: String,
    /// Signs them.
    pub(crate) secret: String,
    /// What senders must trust, PEM.
    pub(crate) certificate: Vec<u8>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), StoreFailed>>,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(Clock::system(), |_| {}).await
    }

    pub(crate) async fn start_with(clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.listen.set_port(0);
        config.data_dir = folder.path().join("data");
        change(&mut config);
        let server = Server::start(config, clock).await.unwrap();
        let first = server.untold().cloned().expect("the first start");
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(server.run(shutdown.clone()));
        let certificate = std::fs::read(&first.certificate_path).unwrap();
        let (url, secret) = (first.inbound_url, first.inbound_secret);
        Self { url, secret, certificate, shutdown, running, _folder: folder }
    }

    /// Stops the server; it must have nothing to complain of.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}
