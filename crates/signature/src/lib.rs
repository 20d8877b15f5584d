//! Sign and verify AgentFlow webhooks: HMAC-SHA256 over timestamp and raw body, no_std, no unsafe code.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod direction;
mod error;
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
pub use crate::verified::{Verified, VerifiedStream};
pub use crate::verifier::Verifier;
