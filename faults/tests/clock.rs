//! A server whose clock leaps and comes back, with a sender whose clock leaps along and a receiver whose clock is right: it
//! refuses what is signed meanwhile, so retries are put off by a clock that is wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, UNIX_EPOCH};

use agentflow_benches::stack::{Client, Credentials, LeadReply, Receiver, leads};
use agentflow_events::Moment;
use agentflow_server::clock::Clock;
use agentflow_server::config::Config;
use agentflow_server::server::{Server, StoreFailed};
use agentflow_server::setup;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3_600);
const YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

struct Rig {
    clock: Clock,
    /// When the clock was right.
    start: Moment,
    client: Client,
    receiver: Receiver,
    accepted: Vec<String>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), StoreFailed>>,
    _folder: tempfile::TempDir,
}

#[derive(Deserialize)]
struct Row {
    id: String,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = Clock::system().now();
        let clock = Clock::manual(start);
        let mut config = Config::default();
        config.listen.set_port(0);
        config.data_dir = folder.path().join("data");
        config.delivery.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
        let home = setup::open(&config, "https://127.0.0.1:8443", &clock).await.unwrap();
        let first = home.untold.unwrap();
        home.store.close().await;
        drop(home.store);
        let receiver = Receiver::start(&first.outbound_secret).await.unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, receiver.authority_pem()).unwrap();
        config.delivery.extra_ca = Some(authority);

        let server = Server::start(config, clock.clone()).await.unwrap();
        let port = server.local_addr().port();
        let (_, path) = first.inbound_url.split_once(":8443").unwrap();
        let credentials = Credentials {
            inbound_url: format!("https://127.0.0.1:{port}{path}"),
            inbound_secret: first.inbound_secret.clone(),
            outbound_secret: first.outbound_secret.clone(),
            api_token: first.api_token.clone(),
            admin_email: first.admin_email.clone(),
            admin_password: first.admin_password.clone(),
            certificate_path: first.certificate_path.clone(),
        };
        let client = Client::new(&credentials, port).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(server.run(shutdown.clone()));
        client.add_destination(receiver.url()).await.unwrap();
        Self { clock, start, client, receiver, accepted: Vec::new(), shutdown, running, _folder: folder }
    }

    fn set(&self, to: Moment) {
        self.clock.set(to);
    }

    /// A lead signed at the server's time, which must be accepted.
    async fn lead(&mut self) {
        let number = self.accepted.len() as u64;
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.now().unix_millis()).unwrap());
        let mut connection = self.client.connect().await.unwrap();
        match connection.send_lead_at(leads::body(1, number), at).await.unwrap() {
            LeadReply::Accepted(accepted) => self.accepted.push(accepted.lead_id),
            LeadReply::Refused(line) => panic!("{line}"),
        }
    }

    /// Until the receiver has had so many events, and refused at least so many attempts.
    async fn had(&self, events: usize, refused: usize) {
        while self.receiver.count() < events || self.receiver.refused().len() < refused {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every lead is stored; the server stops well.
    async fn stop(self) {
        let stored: Vec<Row> = self.client.list("/api/v1/leads").await.unwrap();
        let mut stored: Vec<String> = stored.into_iter().map(|row| row.id).collect();
        let mut accepted = self.accepted;
        stored.sort();
        accepted.sort();
        assert_eq!(stored, accepted);
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// One lead before the leap, one meanwhile, one after the return.
async fn leaps(to: impl FnOnce(Moment) -> Moment) -> Rig {
    let mut rig = Rig::start().await;
    rig.lead().await;
    rig.had(1, 0).await;
    rig.set(to(rig.start));
    rig.lead().await;
    rig.had(1, 1).await;
    rig.set(rig.start.plus(Duration::from_secs(60)));
    rig.lead().await;
    rig.had(2, 1).await;
    rig
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_ten_years_ahead_loses_nothing_and_leaves_no_retry_waiting_once_it_is_back() {
    let rig = leaps(|start| start.plus(YEARS)).await;
    rig.set(rig.start.plus(Duration::from_secs(120)));
    rig.had(3, 1).await;
    assert_eq!(rig.receiver.refused().len(), 1, "no storm of attempts");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_ahead_puts_retries_off_by_no_more_than_that() {
    let rig = leaps(|start| start.plus(HOUR)).await;
    assert_eq!(rig.receiver.refused().len(), 1, "no storm of attempts");
    // Due by now; the receiver, whose clock stands, refuses the signature again, which shows that it was attempted.
    rig.set(rig.start.plus(HOUR).plus(Duration::from_secs(60)));
    // Any change of the destinations makes the server look at the time, which it otherwise does every few seconds.
    rig.client.add_destination(rig.receiver.url()).await.unwrap();
    rig.had(2, 2).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_ten_years_behind_loses_nothing_and_attempts_again_once_it_is_back() {
    let rig = leaps(|start| start.minus(YEARS)).await;
    // The refused attempt may have been recorded before the return or after it; its retry is due by now either way.
    rig.set(rig.start.plus(Duration::from_secs(120)));
    rig.had(3, 1).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_behind_loses_nothing_and_attempts_again_once_it_is_back() {
    let rig = leaps(|start| start.minus(HOUR)).await;
    // The refused attempt may have been recorded before the return or after it; its retry is due by now either way.
    rig.set(rig.start.plus(Duration::from_secs(120)));
    rig.had(3, 1).await;
    rig.stop().await;
}
