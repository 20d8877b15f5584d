//! Send leads to AgentFlow: validated, signed and posted over HTTPS, with retries that are safe.
//!
//! For services that have leads to hand over: the backend of a form, a chat, an import. It follows the inbound half of
//! AgentFlow's wire contract, so that a sender need not know it.
//!
//! # Example: send a lead
//!
//! ```no_run
//! use agentflow_client::{Client, InboundSecret, Lead};
//!
//! # async fn send() -> Result<(), Box<dyn std::error::Error>> {
//! // Once, at start-up: the URL and the secret as AgentFlow shows them. Both are credentials.
//! let secret = InboundSecret::new(std::env::var("AGENTFLOW_INBOUND_SECRET")?)?;
//! let client = Client::new(&std::env::var("AGENTFLOW_INBOUND_URL")?, secret)?;
//!
//! let lead = Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co")
//!     .company("Stacklane")
//!     .message("We need 250 seats this quarter.")
//!     .field("budget", 5000)?;
//! let accepted = client.send(&lead).await?;
//! println!("{} is on AgentFlow's disk", accepted.lead_id);
//! # Ok(())
//! # }
//! ```
//!
//! # Validated before it is sent
//!
//! A [`Prepared`] lead has passed the parser that AgentFlow itself uses. What would be refused is refused here, all
//! violations at once, before a connection is opened.
//!
//! ```
//! use agentflow_client::{Error, Lead, Prepared};
//!
//! let refused = Prepared::new(&Lead::new(" ", "jordan@stacklane")).unwrap_err();
//! assert_eq!((refused.code(), refused.attempts()), ("validation_failed", 0));
//!
//! let Error::Lead(found) = refused else { unreachable!() };
//! let found: Vec<_> = found.violations().iter().map(|v| (v.field, v.code.code())).collect();
//! assert_eq!(found, [("name", "required"), ("email", "invalid_format")]);
//! ```
//!
//! # Retries
//!
//! An attempt that may succeed later is made again: no connection, no whole reply in time, and the statuses 429, 500,
//! 502, 503 and 504. Everything else is final at once. The waits grow from one to the next, are jittered, and are at
//! least what `Retry-After` asks for; nothing is begun that would end past the deadline of the whole. All of it can be
//! set: see [`ClientBuilder`].
//!
//! Retries are safe: every attempt sends the same bytes under the same [`IdempotencyKey`], so AgentFlow knows the lead
//! again if it was stored and only the reply was lost ([`Accepted::duplicate`]). Timestamp and signature are fresh on
//! each attempt, for a signature lasts five minutes.
//!
//! # Example: retries that outlive the process
//!
//! Keep body and key where the lead is kept; whoever finds them later sends the very same request.
//!
//! ```
//! use agentflow_client::{IdempotencyKey, Lead, Prepared};
//!
//! let prepared = Prepared::new(&Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co"))?;
//! let (body, key) = (prepared.body().to_vec(), prepared.key().as_str().to_owned());
//!
//! // After the restart; then `client.send_prepared(&again)`.
//! let again = Prepared::from_json(body)?.with_key(IdempotencyKey::new(key)?);
//! assert_eq!(again.body(), prepared.body());
//! # Ok::<(), agentflow_client::Error>(())
//! ```
//!
//! # What can go wrong
//!
//! [`Error`] says whether anything was sent ([`attempts`](Error::attempts)), whether it is worth another try
//! ([`is_retryable`](Error::is_retryable)), and has a stable [`code`](Error::code). A reply that is no acceptance is a
//! [`Problem`] with a [`Reason`], whose [`advice`](Reason::advice) says what to mend.
//!
//! ```
//! use agentflow_client::Reason;
//!
//! assert_eq!(Reason::from_code("stale_timestamp"), Some(Reason::StaleTimestamp));
//! assert!(Reason::StaleTimestamp.advice().contains("clock"));
//! ```
//!
//! # Without an async runtime
//!
//! With the feature `blocking`, `blocking::Client` does the same and returns when it is done.
//!
//! # Personal data and credentials
//!
//! The endpoint's URL and the secret are credentials, leads are personal data. No `Debug` and no error text here shows
//! any of them: of the URL, only its host. What the other side says in words ([`Problem::detail`]) is not shown
//! either, for it might repeat what was sent.
//!
//! # What it does not do
//!
//! It keeps no queue: a lead that could not be sent is the caller's to keep. It follows no redirect, reads no proxy
//! variable, speaks no plain HTTP, and logs nothing.

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod client;
mod clock;
mod endpoint;
mod error;
mod exchange;
mod failure;
mod fault;
mod key;
mod lead;
mod prepared;
mod problem;
mod random;
mod reason;
mod reply;
mod retry;
mod tls;

pub use agentflow_events::LeadId;
pub use agentflow_lead::{FieldCode, ParseError, Violation};
pub use agentflow_signature::{InboundSecret, SecretError};
pub use builder::ClientBuilder;
pub use client::Client;
pub use endpoint::EndpointError;
pub use error::Error;
pub use failure::{Failure, ReplyFault};
pub use key::{IdempotencyKey, KeyError};
pub use lead::{FieldError, Lead};
pub use prepared::Prepared;
pub use problem::{FieldProblem, Problem};
pub use reason::Reason;
pub use reply::Accepted;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/sending.md")]
struct Guide;

#[cfg(test)]
#[path = "../tests/client/rig.rs"]
mod rig;
