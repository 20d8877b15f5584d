//! AgentFlow events: the envelope, the ids, and idempotent receiving under crashes and races.
//!
//! AgentFlow tells other services what became of a lead by events: JSON bodies that it signs and posts to their
//! webhooks, again and again until one is acknowledged. This crate is what both ends share about them.
//!
//! # An event
//!
//! An [`Event`] says what happened ([`EventType`]) to which lead ([`LeadId`]), with the lead as it was then
//! ([`LeadSnapshot`]), its score ([`Qualification`]) and the decision ([`Decision`]). [`Event::to_bytes`] writes the
//! envelope of API version 1, and [`Event::parse`] reads it. An [`EventRef`] is written without copying the lead first.
//!
//! # Example: read a body
//!
//! Verify its signature first; what was not verified is not AgentFlow's.
//!
//! ```
//! use agentflow_events::{Event, EventType};
//!
//! # let body = include_bytes!("../tests/golden/lead_qualified.json");
//! let event = Event::parse(body)?;
//! assert_eq!(event.event_type, EventType::LeadQualified);
//! assert_eq!(event.data.lead.email, "jordan.ellis@stacklane.co");
//! assert_eq!(event.data.qualification.score.value(), 82);
//! # Ok::<(), agentflow_events::EventError>(())
//! ```
//!
//! # What the parser tolerates, and what not
//!
//! The contract grows by addition, so unknown fields are passed over. An unknown type, an unknown word and another API
//! version each have an error of their own, apart from those for broken bodies; [`EventError::code`] is stable.
//!
//! ```
//! use agentflow_events::Event;
//!
//! let error = Event::parse(br#"{"api_version": "1", "type": "lead.merged"}"#).unwrap_err();
//! assert_eq!(error.code(), "unknown_event_type");
//! ```
//!
//! # Ids and times
//!
//! An [`Id`] is a prefix and a UUIDv7, sortable by time; a [`Moment`] is a time in milliseconds, written as RFC 3339.
//! Nothing here reads a clock or draws randomness: both are arguments, so tests hold them in their hands.
//!
//! ```
//! use agentflow_events::{LeadId, Moment};
//!
//! let now = Moment::from_unix_millis(1_731_573_972_345);
//! assert_eq!(now.to_string(), "2024-11-14T08:46:12.345Z");
//! assert_eq!(LeadId::at(now, [0xab; 10]).to_string(), "lead_019329d9fd797bababababababababab");
//! ```
//!
//! # Receiving each event once
//!
//! Deliveries are repeated, so a receiver has to know what it has done already; and a receiver that crashes in the
//! middle, or gets the same event twice at a time, has to know it rightly. The [`idempotency`] module has the protocol
//! for that, with a table of what to answer when. The rule that is most often broken: **work that is in flight elsewhere
//! must not be acknowledged**, for should it fail there, nobody would send the event again.
//!
//! ```
//! use std::time::Duration;
//! use agentflow_events::idempotency::{MemoryStore, run_once};
//! use agentflow_events::{Event, IdempotencyKey, Moment};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let body = include_bytes!("../tests/golden/lead_qualified.json");
//! # async fn create_crm_record(event: &Event) -> Result<(), std::io::Error> { Ok(()) }
//! let store = MemoryStore::new();
//! let event = Event::parse(body)?;
//! let key = IdempotencyKey::of(&event);
//! let clock = || Moment::from(std::time::SystemTime::now());
//!
//! let receipt =
//!     run_once(&store, key, Duration::from_secs(60), clock, |_| create_crm_record(&event)).await?;
//! let status = if receipt.is_acknowledged() { 200 } else { 503 };
//! assert_eq!(status, 200);
//! # Ok(())
//! # }
//! ```
//!
//! Another store is an implementation of [`idempotency::IdempotencyStore`]; with the feature `suite`, the module
//! `suite` proves that it keeps the protocol.
//!
//! # Personal data
//!
//! An event is full of it. `Debug` shows ids, types and scores only, and errors name fields and never their values.
//!
//! # What it does not do
//!
//! It signs and verifies nothing (`agentflow-signature` does), speaks no HTTP and knows no status code, and checks
//! neither that an event's parts agree with each other nor that an id is one that AgentFlow made.

mod decision;
mod error;
mod event;
mod event_ref;
mod event_type;
mod fields;
mod id;
pub mod idempotency;
mod lead;
mod moment;
mod object;
mod one_pass;
mod qualification;
#[cfg(feature = "suite")]
pub mod suite;
mod text;
mod write;

pub use decision::{DecidedBy, Decision, Outcome, Timestamps};
pub use error::EventError;
pub use event::{Event, EventData};
pub use event_ref::{EventRef, LeadRef};
pub use event_type::EventType;
pub use fields::{Fields, FieldsError};
pub use id::{
    EventId, EventKind, Id, IdError, IdKind, LeadId, LeadKind, OperatorId, OperatorKind, WorkspaceId,
    WorkspaceKind,
};
pub use idempotency::IdempotencyKey;
pub use lead::LeadSnapshot;
pub use moment::{Moment, MomentError};
pub use qualification::{Action, Confidence, Dimensions, Qualification, Score, ScoreError};
pub use text::UnknownWord;
