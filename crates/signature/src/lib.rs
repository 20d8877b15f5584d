//! Sign and verify AgentFlow webhooks.
//!
//! Every request carries two headers, in both directions:
//!
//! ```text
//! X-AgentFlow-Timestamp: 1731573840
//! X-AgentFlow-Signature: sha256=<64 lower-case hex digits>
//! ```
//!
//! The signature is HMAC-SHA256 over the timestamp header's value, a dot and the raw body, keyed with the bytes of
//! the secret as the server showed it. A receiver refuses what is older or newer than five minutes.
//!
//! # Tour: receive an event
//!
//! A [`Verifier`] holds one secret, or several while one is being rotated. It takes the headers from wherever they are
//! ([`Headers`]), the body as raw bytes and the time, and gives back a [`Verified`] body or a [`VerifyError`] with a
//! stable code.
//!
//! ```
//! use agentflow_signature::{Outbound, OutboundSecret, Timestamp, Verified, Verifier, VerifyError};
//!
//! // Once, at start-up.
//! let verifier = Verifier::new(OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?);
//!
//! // For each request. The body is what came over the wire, never parsed and serialised again.
//! let headers = [
//!     ("X-AgentFlow-Timestamp", "1731573840"),
//!     ("X-AgentFlow-Signature", "sha256=8a7069cdda8d6de62b125baa3cbb3538b07495c2eea5760d55f5dc0b788e5bfe"),
//! ];
//! let now = Timestamp::from_unix_seconds(1_731_573_900); // or Timestamp::from(SystemTime::now())
//! match verifier.verify(&headers, br#"{"type":"lead.qualified"}"#, now) {
//!     Ok(verified) => handle(&verified),
//!     Err(VerifyError::Stale { age_seconds }) => panic!("{age_seconds} seconds old"),
//!     Err(error) => panic!("{}: {error}", error.code()),
//! }
//!
//! // Whoever wants a `Verified` cannot be handed anything else.
//! fn handle(event: &Verified<'_, Outbound>) {
//!     assert!(event.body().starts_with(b"{"));
//! }
//! # Ok::<(), agentflow_signature::SecretError>(())
//! ```
//!
//! # Tour: send a lead
//!
//! ```
//! use agentflow_signature::{InboundSecret, Signer, Timestamp};
//!
//! let signer = Signer::new(&InboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?);
//! let body = br#"{"name":"Jordan Ellis","email":"jordan.ellis@stacklane.co"}"#;
//! let signed = signer.sign(body, Timestamp::from_unix_seconds(1_731_573_840));
//! println!("X-AgentFlow-Timestamp: {}", signed.timestamp());
//! println!("X-AgentFlow-Signature: {}", signed.signature());
//! # Ok::<(), agentflow_signature::SecretError>(())
//! ```
//!
//! # Tour: find out why a signature is refused
//!
//! A [`VerifyError`] says which check failed; with the feature `explain`, a `Doctor` says what the sender did. It signs
//! the request anew with every mistake that people make (JSON serialised again, a line end, a decoded secret, the other
//! direction's secret, milliseconds, base64, forty more) until it gets what was sent. It is for logs and terminals, never
//! for replies.
//!
#![cfg_attr(feature = "explain", doc = "```")]
#![cfg_attr(not(feature = "explain"), doc = "```ignore")]
//! use agentflow_signature::explain::Doctor;
//! use agentflow_signature::{InboundSecret, OutboundSecret, Timestamp};
//!
//! let secret = InboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! let outbound = OutboundSecret::new("whsec_MzE5ZGM0ZTk2YjU5YzI0Zg")?;
//! let doctor = Doctor::new(&secret).other_direction(&outbound);
//!
//! // Signed by Python as `{"name": "Jordan Ellis"}`, then written anew by a proxy.
//! let headers = [
//!     ("X-AgentFlow-Timestamp", "1731573840"),
//!     ("X-AgentFlow-Signature", "sha256=97ff8d4a5e40b95931b50c69de91ad75236abb33c49e64bd3eab0381ba37cb22"),
//! ];
//! let now = Timestamp::from_unix_seconds(1_731_573_900);
//! let finding = doctor.explain(&headers, br#"{"name":"Jordan Ellis"}"#, now).expect("a verifier refuses it");
//! assert_eq!(finding.code(), "json_rewritten");
//! println!("{finding}");
//! # Ok::<(), agentflow_signature::SecretError>(())
//! ```
//!
//! # Where next
//!
//! - A body that arrives in chunks: [`Verifier::begin`] and [`Streaming`].
//! - A proof that owns its bytes, to hand on to another task: [`Verifier::verify_owned`].
//! - Rotation: [`Verifier::or`], then [`Verified::secret_index`] tells whether the sender has changed over.
//! - `http::HeaderMap`, and with it axum, hyper and reqwest: the feature `http`.
//! - Standard Webhooks: [`Signer::sign_standard`].
//! - Other languages: the test vectors in this crate's `vectors` folder.
//!
//! # What the types forbid
//!
//! The secrets of the two directions do not interchange:
//!
//! ```compile_fail,E0308
//! # use agentflow_signature::{InboundSecret, OutboundSecret, Verifier};
//! # fn rotate(inbound: InboundSecret, outbound: OutboundSecret) {
//! Verifier::new(outbound).or(inbound);
//! # }
//! ```
//!
//! nor do what was verified with them:
//!
//! ```compile_fail,E0308
//! # use agentflow_signature::{Inbound, Outbound, Verified};
//! fn parse_lead(lead: &Verified<'_, Inbound>) {}
//! # fn mix(event: &Verified<'_, Outbound>) {
//! parse_lead(event);
//! # }
//! ```
//!
//! Bytes do not become verified by saying so, and a proof does not outlive its bytes:
//!
//! ```compile_fail,E0308
//! # use agentflow_signature::{Inbound, Verified};
//! fn parse_lead(lead: &Verified<'_, Inbound>) {}
//! parse_lead(b"{}");
//! ```
//!
//! ```compile_fail,E0624
//! # use agentflow_signature::{Inbound, Timestamp, Verified};
//! Verified::<Inbound>::new(b"{}", Timestamp::from_unix_seconds(0), 0);
//! ```
//!
//! ```compile_fail,E0451
//! # use agentflow_signature::{Inbound, Verified};
//! fn swap_body<'a>(verified: Verified<'a, Inbound>) -> Verified<'a, Inbound> {
//!     Verified { body: b"{}", ..verified }
//! }
//! ```
//!
//! ```compile_fail,E0505
//! # use agentflow_signature::{Inbound, SignedHeaders, Timestamp, Verifier};
//! # fn keep(verifier: Verifier<Inbound>, signed: SignedHeaders, now: Timestamp) {
//! let body = b"{}".to_vec();
//! let verified = verifier.verify(&signed, &body, now);
//! drop(body);
//! verified.unwrap().body();
//! # }
//! ```
//!
//! There are no further directions, and an event's second signature is not for leads:
//!
//! ```compile_fail,E0277
//! # use agentflow_signature::Direction;
//! enum Sideways {}
//! impl Direction for Sideways {}
//! ```
//!
//! ```compile_fail,E0599
//! # use agentflow_signature::{InboundSecret, Signer, Timestamp};
//! # fn sign(secret: InboundSecret) {
//! Signer::new(&secret).sign_standard("evt_1", b"", Timestamp::from_unix_seconds(0));
//! # }
//! ```
//!
//! A secret is not displayed, nor compared in variable time; a stream that ended once is over:
//!
//! ```compile_fail,E0277
//! # use agentflow_signature::InboundSecret;
//! # fn log(secret: InboundSecret) {
//! println!("{secret}");
//! # }
//! ```
//!
//! ```compile_fail,E0369
//! # use agentflow_signature::InboundSecret;
//! # fn compare(one: InboundSecret, two: InboundSecret) {
//! let _ = one == two;
//! # }
//! ```
//!
//! ```compile_fail,E0382
//! # use agentflow_signature::{Inbound, Streaming};
//! # fn go_on(mut streaming: Streaming<'_, Inbound>) {
//! let _ = streaming.finish();
//! streaming.update(b"more");
//! # }
//! ```
//!
//! # What the crate does not do
//!
//! It reads no clock and no randomness, opens nothing, logs nothing, parses no body, knows no HTTP status and
//! remembers no request: within the tolerance, a replay verifies again, so deduplicate by what the body says.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod direction;
mod error;
#[cfg(feature = "explain")]
pub mod explain;
mod headers;
mod hex;
#[cfg(feature = "http")]
mod http;
mod mac;
mod secret;
mod signer;
mod standard;
mod streaming;
mod timestamp;
mod verified;
mod verifier;

pub use crate::direction::{Direction, Inbound, Outbound};
pub use crate::error::VerifyError;
pub use crate::headers::{
    Headers, SIGNATURE_HEADER, SIGNATURE_HEADER_LOWERCASE, SignatureHeaders, TIMESTAMP_HEADER,
    TIMESTAMP_HEADER_LOWERCASE,
};
pub use crate::secret::{InboundSecret, OutboundSecret, Secret, SecretError};
pub use crate::signer::{SignedHeaders, Signer};
pub use crate::standard::{
    STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER, STANDARD_TIMESTAMP_HEADER, StandardSignature,
};
pub use crate::streaming::Streaming;
pub use crate::timestamp::Timestamp;
pub use crate::verified::{Verified, VerifiedBody, VerifiedStream};
pub use crate::verifier::Verifier;
