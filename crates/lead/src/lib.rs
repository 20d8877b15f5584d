//! The AgentFlow lead payload: parse untrusted JSON, validate it, and report every violation at once.
//!
//! A lead comes in as the body of a webhook. [`Submission::parse`] turns its bytes into a value in which every field is
//! within its rules, or says all that is wrong with it.
//!
//! ```
//! use agentflow_lead::Submission;
//!
//! let body = br#"{"name": " Jordan Ellis ", "email": "Jordan.Ellis@Stacklane.co", "company": "Stacklane",
//!                 "timestamp": "2024-11-14T08:44:00Z", "seats": 250.0, "utm": {"medium": "cpc"}}"#;
//! let lead = Submission::parse(body)?;
//!
//! assert_eq!(lead.name, "Jordan Ellis");
//! assert_eq!(lead.email.identity(), "jordan.ellis@stacklane.co");
//! assert_eq!(lead.message, None);
//! // What the contract does not name is kept to the digit.
//! assert_eq!(lead.fields.to_json(), r#"{"seats":250.0,"utm":{"medium": "cpc"}}"#);
//! # Ok::<(), agentflow_lead::ParseError>(())
//! ```
//!
//! # The fields
//!
//! | field | rule |
//! | --- | --- |
//! | `name` | required, 1 to 200 characters after trimming |
//! | `email` | required, an [`Email`] of at most 254 bytes, trimmed |
//! | `company`, `source` | at most 200 characters, kept as sent |
//! | `message` | at most 10,000 characters, kept as sent |
//! | `timestamp` | a [`SubmittedAt`]: ISO 8601 date or date-time |
//! | anything else | one of the [`Fields`], kept verbatim, never a violation |
//!
//! A character is a Unicode scalar value. What is trimmed is Unicode white space. A text is blank if it has nothing
//! but white space, control characters and characters that show nothing (a zero-width space). A required
//! field that is null or blank is missing, a recommended one absent. Control characters inside a text are kept: escape
//! every text for the place where it is shown. Names of fields are case-sensitive.
//!
//! # Example: all violations at once
//!
//! ```
//! use agentflow_lead::{ParseError, Submission};
//!
//! let refused = Submission::parse(br#"{"name": " ", "email": "jordan@stacklane", "company": 7}"#).unwrap_err();
//! assert_eq!(refused.code(), "validation_failed");
//!
//! let found: Vec<_> = refused.violations().iter().map(|v| (v.field, v.code.code())).collect();
//! assert_eq!(found, [("name", "required"), ("email", "invalid_format"), ("company", "invalid_type")]);
//! ```
//!
//! # Example: hostile JSON
//!
//! Besides what is no JSON, a body is refused that is too large, deep or wide, that has a key twice (even in different
//! spellings, at any depth), a byte order mark, a NUL or half a surrogate pair. See [`limits`] and [`MalformedJson`].
//!
//! ```
//! use agentflow_lead::{MalformedJson, ParseError, Submission};
//!
//! let refused = Submission::parse(br#"{"email": "a@b.co", "em\u0061il": "c@d.co"}"#).unwrap_err();
//! assert_eq!(refused.code(), "malformed_json");
//! assert_eq!(refused, ParseError::Malformed(MalformedJson::DuplicateKey { offset: 20 }));
//! ```
//!
//! # Example: a further submission of the same person
//!
//! ```
//! use agentflow_lead::Submission;
//!
//! let mut lead = Submission::parse(br#"{"name":"Jo","email":"jo@x.co","company":"Stacklane","seats":5}"#)?;
//! let newer = Submission::parse(br#"{"name":"Jordan","email":"JO@x.co","message":"Hi","seats":50}"#)?;
//! assert_eq!(lead.email.identity(), newer.email.identity());
//!
//! lead.merge(&newer);
//! assert_eq!((lead.name.as_str(), lead.company.as_deref()), ("Jordan", Some("Stacklane")));
//! assert_eq!(lead.fields.to_json(), r#"{"seats":50}"#);
//! # Ok::<(), agentflow_lead::ParseError>(())
//! ```
//!
//! # What it does not do
//!
//! It verifies no signature: verify the bytes first and parse what was verified. It asks no server whether an address
//! exists, knows no HTTP and no clock, and logs nothing. Leads are personal data: no `Debug` and no error text here
//! shows what a person sent.

mod email;
mod error;
mod fields;
mod json;
pub mod limits;
mod submission;
mod submitted_at;
mod text;
mod violation;

pub use email::{Email, EmailError};
pub use error::ParseError;
pub use fields::Fields;
pub use json::MalformedJson;
pub use serde_json::value::RawValue;
pub use submission::Submission;
pub use submitted_at::{SubmittedAt, SubmittedAtError};
pub use violation::{FieldCode, Violation};
