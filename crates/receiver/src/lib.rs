//! Receive AgentFlow's events in an HTTP service: verified, typed, and each done once.
//!
//! AgentFlow posts signed events to your service and sends each again until it is answered with 2xx within ten seconds.
//! This crate is everything between the socket and your function: it reads the raw body under a cap and a deadline,
//! verifies the signature before a byte of it is parsed, hands over the typed event together with the proof, runs the
//! idempotency protocol around your work and answers in time.
//!
//! # Tour: an axum service
//!
//! With the features `axum` and `sqlite`:
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "sqlite"))]
//! # mod tour {
//! use agentflow_receiver::stores::sqlite::SqliteStore;
//! use agentflow_receiver::{Answer, Handler, Received, Receiver};
//! use agentflow_signature::OutboundSecret;
//! use axum::extract::FromRef;
//! use axum::{Router, extract::State, routing::post};
//!
//! #[derive(Clone, FromRef)]
//! struct App {
//!     receiver: Receiver,
//!     handler: Handler<SqliteStore>,
//! }
//!
//! async fn router(secret: OutboundSecret) -> Result<Router, Box<dyn std::error::Error>> {
//!     let app = App {
//!         receiver: Receiver::new(secret),
//!         handler: Handler::new(SqliteStore::open("events.db").await?),
//!     };
//!     Ok(Router::new().route("/agentflow", post(on_event)).with_state(app))
//! }
//!
//! async fn on_event(State(app): State<App>, received: Received) -> Answer {
//!     app.handler.handle(received, create_crm_record).await
//! }
//!
//! async fn create_crm_record(received: Received) -> Result<(), std::io::Error> {
//!     println!("{} is {}", received.event().lead_id, received.event().event_type);
//!     Ok(())
//! }
//! # }
//! ```
//!
//! # The parts
//!
//! | feature | what it adds |
//! | --- | --- |
//! | - | [`Receiver`], [`Received`], [`Rejection`], [`Handler`], [`Answer`]: for any server, through the types of `http` |
//! | `tower` | `VerifyLayer` in front of a service of yours; `Handler::service`, a whole one: hyper, axum, beside tonic |
//! | `axum` | [`Received`] as extractor, [`Answer`] and [`Rejection`] as responses |
//! | `actix` | the same for actix-web |
//! | `sqlite`, `postgres`, `redis` | [`stores`] that outlive the process |
//!
//! No feature changes what another does.
//!
//! # What the sender is told
//!
//! [`Rejection`] has a stable code and a status for every request that is not an event of yours, [`Answer`] for every
//! one that is. Both write RFC 9457 `application/problem+json`:
//!
//! ```json
//! {"type": "urn:agentflow:problem:stale_timestamp", "title": "Unauthorized", "status": 401,
//!  "detail": "signed 301 seconds ago, …", "reason": "stale_timestamp"}
//! ```
//!
//! To answer otherwise, ask for `Result<Received, Rejection>` in a handler.
//!
//! # What can go wrong, and what then
//!
//! - Your service crashes in the middle of the work: the claim's lease runs out, a later attempt does it again. To do it
//!   exactly once, record it in the transaction that does it: the stores' `commit_in`.
//! - The work takes longer than the reply may: the sender hears 503, the work goes on, a later attempt finds it done.
//! - The work takes longer than the lease: another attempt may begin it, and the first one's commit is refused. Set
//!   [`Handler::lease`] above what it ever takes.
//! - The store is down when an event comes: 503, and nothing is run. It is down when the work is done: recording is tried
//!   again until the lease ends.
//! - AgentFlow adds an event type: it is answered with 200 and passed over ([`Rejection::is_acknowledged`]).
//!
//! # What it does not do
//!
//! It opens no socket, ends no TLS, retries nothing and logs nothing: count [`Rejection::code`] and [`Answer::code`]
//! where you like. It does not put events in order: within a lead, their times say what came first.

#[cfg(feature = "actix")]
mod actix;
mod answer;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod handler;
mod patient;
mod received;
#[cfg(feature = "tower")]
mod received_body;
mod receiver;
mod rejection;
mod reply;
pub mod stores;
#[cfg(feature = "tower")]
mod tower;

pub use answer::Answer;
pub use handler::{Handler, RETENTION};
pub use received::Received;
#[cfg(feature = "tower")]
pub use received_body::ReceivedBody;
pub use receiver::Receiver;
pub use rejection::Rejection;
#[cfg(feature = "tower")]
pub use tower::{EventService, Verify, VerifyLayer};

#[cfg(all(
    doctest,
    feature = "actix",
    feature = "axum",
    feature = "postgres",
    feature = "sqlite",
    feature = "tower"
))]
mod guides {
    #[doc = include_str!("../../../docs/receiving.md")]
    struct Receiving;
    #[doc = include_str!("../../../docs/rotation.md")]
    struct Rotation;
    #[doc = include_str!("../../../docs/queues.md")]
    struct Queues;
}
