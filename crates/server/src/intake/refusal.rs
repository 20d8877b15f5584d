//! Why a request is not taken, before anybody gives it a status code.

use std::time::Duration;

use agentflow_lead::{ParseError, Violation};

use crate::reason::Reason;
use crate::record::Finding;
use crate::store::StoreError;

/// Why a request was refused, and what to do about it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The stable code.
    pub reason: Reason,
    /// One or two sentences for whoever runs the sender.
    pub detail: String,
    /// Each field at fault, for [`Reason::ValidationFailed`].
    pub violations: Vec<Violation>,
    /// When to try again, where that helps.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal without fields or a time.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), violations: Vec::new(), retry_after: None }
    }

    /// What it says, for the inbound log: each field at fault, or its sentences.
    pub(super) fn finding(&self) -> Finding {
        let fields: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        let message = if fields.is_empty() { self.detail.clone() } else { fields.join("; ") };
        Finding { code: self.reason.code().to_owned(), message }
    }

    pub(super) fn later(reason: Reason, detail: impl Into<String>, after: Duration) -> Self {
        Self { retry_after: Some(after), ..Self::new(reason, detail) }
    }
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        let detail = "The lead could not be stored and was not accepted. Send it again.";
        Self::later(Reason::StoreUnavailable, detail, Duration::from_secs(1))
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Invalid(violations) => Self {
                violations,
                ..Self::new(
                    Reason::ValidationFailed,
                    "Fields are missing or wrong; see `errors` for each of them.",
                )
            },
            malformed => Self::new(Reason::MalformedJson, malformed.to_string()),
        }
    }
}
