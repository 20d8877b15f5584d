//! Says why a signature was refused, by trying the mistakes that people make.
//!
//! A [`Doctor`] knows the secrets, is shown the request that a [`Verifier`](crate::Verifier) refused, and signs it again
//! with each known mistake until a tag comes out that the request carries. Then it knows the mistake for certain, and the
//! [`Finding`] says how to mend it.
//!
//! It goes from the likely to the unlikely: the forms of the headers, the clock, the secret, what was signed, the body's
//! bytes, the JSON written in another way, and likely pairs of these.
//!
//! # Whom to tell
//!
//! **Only whoever owns the secret**: in a log, a dashboard, a command at the terminal. Never in the reply to a request,
//! for a stranger who sends it has proven nothing, and a finding tells about the secret's use. No finding holds a secret,
//! a tag that is right, or a byte of the body.
//!
//! # What it costs
//!
//! At most [`HASHES_MAX`] hashes over at most [`HASHED_BYTES_MAX`] bytes altogether, beside one hash of the body for each
//! secret and each way to read the timestamp header (two for a well-formed one, never more than five). The first three
//! secrets are tried with every mistake. JSON is written anew for bodies up to [`JSON_BYTES_MAX`] and 64 levels. So it is for
//! refusals, off the path of the requests that are answered; who explains for strangers bounds how often.

mod bodies;
mod budget;
mod claims;
mod doctor;
mod finding;
mod json;
mod keys;
mod messages;
mod mistake;
mod rewrite;
mod search;
mod stamp;

pub use self::budget::{HASHED_BYTES_MAX, HASHES_MAX};
pub use self::doctor::Doctor;
pub use self::finding::Finding;
pub use self::json::JSON_BYTES_MAX;
pub use self::mistake::Mistake;
pub use self::rewrite::JsonForm;
