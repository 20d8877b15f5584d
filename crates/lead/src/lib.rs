//! The AgentFlow lead payload: parse untrusted JSON, validate it, and report every violation at once.

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
