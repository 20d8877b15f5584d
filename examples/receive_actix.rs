//! An actix-web service that takes events: verified, typed, each done once, remembered in an SQLite file.
//!
//! ```text
//! AGENTFLOW_OUTBOUND_SECRET=whsec_… cargo run -p agentflow-examples --example receive_actix 127.0.0.1:8444 events.db
//! ```

#[expect(dead_code, reason = "actix-web brings its own accept loop")]
mod https;
mod self_test;

use std::env;
use std::io;
use std::net::TcpListener;
use std::path::Path;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, rt, web};
use agentflow_receiver::stores::sqlite::SqliteStore;
use agentflow_receiver::{Answer, Handler, Received, Receiver};
use agentflow_signature::OutboundSecret;

use crate::https::Failure;

async fn on_event(handler: web::Data<Handler<SqliteStore>>, received: Received) -> Answer {
    handler.handle(received, work).await
}

/// The work. It may take longer than the reply: then the sender is told to come again, and finds it done.
async fn work(received: Received) -> io::Result<()> {
    let event = received.event();
    // Ids, type and score only: the rest is somebody's personal data.
    println!("{} {} {}", event.event_type, event.lead_id, event.data.qualification.score.value());
    Ok(())
}

async fn server(
    listener: TcpListener,
    tls: rustls::ServerConfig,
    secret: OutboundSecret,
    events: &Path,
) -> Result<Server, Failure> {
    // Once, and shared by all workers: each has an app of its own.
    let receiver = web::Data::new(Receiver::new(secret));
    let handler = web::Data::new(Handler::new(SqliteStore::open(events).await?));
    let app = move || {
        App::new()
            .app_data(receiver.clone())
            .app_data(handler.clone())
            .route("/agentflow", web::post().to(on_event))
    };
    Ok(HttpServer::new(app).workers(2).listen_rustls_0_23(listener, tls)?.run())
}

#[actix_web::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [listen, events] = &arguments[..] else {
        return match arguments.first().map(String::as_str) {
            Some("--self-test") => check_itself().await,
            _ => Err("usage: receive_actix LISTEN EVENTS.DB | --self-test".into()),
        };
    };
    let secret = env::var("AGENTFLOW_OUTBOUND_SECRET").map_err(
        |_| "AGENTFLOW_OUTBOUND_SECRET is not set: the outbound secret that the server's first start told",
    )?;
    let made = https::self_made(Some(".".as_ref()))?;
    println!("{}", made.certificate_pem);
    let tls = (**made.acceptor.config()).clone();
    Ok(server(TcpListener::bind(listen)?, tls, OutboundSecret::new(secret)?, events.as_ref()).await?.await?)
}

async fn check_itself() -> Result<(), Failure> {
    let secret = OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    let folder = tempfile::tempdir()?;
    let (sender, listener, acceptor) = self_test::start().await?;
    let tls = (**acceptor.config()).clone();
    let server = server(listener.into_std()?, tls, secret.clone(), &folder.path().join("events.db")).await?;
    rt::spawn(server);

    sender.tampered(&secret, 401, "invalid_signature").await?;
    sender.signed(&secret, 200, "done").await?;
    sender.signed(&secret, 200, "already_done").await?;
    Ok(())
}
