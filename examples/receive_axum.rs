//! An axum service that takes events: verified, typed, each done once, remembered in an SQLite file.
//!
//! ```text
//! AGENTFLOW_OUTBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example receive_axum 127.0.0.1:8444 events.db
//! ```

mod https;
mod self_test;

use std::env;
use std::io;
use std::path::Path;
use std::time::Duration;

use agentflow_receiver::stores::sqlite::SqliteStore;
use agentflow_receiver::{Answer, Handler, Received, Receiver};
use agentflow_signature::OutboundSecret;
use axum::Router;
use axum::extract::{FromRef, State};
use axum::routing::post;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::https::Failure;

/// What axum hands to every request. The extractor `Received` looks for the receiver in it.
#[derive(Clone, FromRef)]
struct App {
    receiver: Receiver,
    handler: Handler<SqliteStore>,
}

impl App {
    async fn new(secret: OutboundSecret, events: &Path) -> Result<Self, Failure> {
        let handler = Handler::new(SqliteStore::open(events).await?);
        Ok(Self { receiver: Receiver::new(secret), handler })
    }

    fn router(self) -> Router {
        Router::new().route("/agentflow", post(on_event)).with_state(self)
    }
}

async fn on_event(State(app): State<App>, received: Received) -> Answer {
    app.handler.handle(received, work).await
}

/// The work. It may take longer than the reply: then the sender is told to come again, and finds it done.
async fn work(received: Received) -> io::Result<()> {
    let event = received.event();
    // Ids, type and score only: the rest is somebody's personal data.
    println!("{} {} {}", event.event_type, event.lead_id, event.data.qualification.score.value());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [listen, events] = &arguments[..] else {
        return match arguments.first().map(String::as_str) {
            Some("--self-test") => check_itself().await,
            _ => Err("usage: receive_axum LISTEN EVENTS.DB | --self-test".into()),
        };
    };
    let secret = env::var("AGENTFLOW_OUTBOUND_SECRET").map_err(
        |_| "AGENTFLOW_OUTBOUND_SECRET is not set: the outbound secret that the server's first start told",
    )?;
    let app = App::new(OutboundSecret::new(secret)?, events.as_ref()).await?;
    let handler = app.handler.clone();
    tokio::spawn(async move {
        handler.keep_purging(Duration::from_secs(3600), |error| eprintln!("{error}")).await;
    });
    let made = https::self_made(Some(".".as_ref()))?;
    println!("{}", made.certificate_pem);
    https::serve(TcpListener::bind(listen).await?, made.acceptor, TowerToHyperService::new(app.router()))
        .await;
    Ok(())
}

async fn check_itself() -> Result<(), Failure> {
    let secret = OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let folder = tempfile::tempdir()?;
    let app = App::new(secret.clone(), &folder.path().join("events.db")).await?;
    let (sender, listener, acceptor) = self_test::start().await?;
    tokio::spawn(https::serve(listener, acceptor, TowerToHyperService::new(app.router())));

    sender.tampered(&secret, 401, "invalid_signature").await?;
    sender.signed(&secret, 200, "done").await?;
    sender.signed(&secret, 200, "already_done").await?;
    Ok(())
}
