//! The lead as an event tells it: what was known when the event was made.

use std::fmt;

use serde::Serialize;

use crate::{Fields, LeadId};

/// The lead at the time of the event; a later submission does not change it.
///
/// It is personal data: `Debug` shows none of it, only the previous lead's id.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct LeadSnapshot {
    /// Full name.
    pub name: String,
    /// Email address, as sent.
    pub email: String,
    /// Company, where given.
    pub company: Option<String>,
    /// The inquiry's text, where given.
    pub message: Option<String>,
    /// Where the lead came from, where given: the name of a form, channel or campaign.
    pub source: Option<String>,
    /// When the sender says that it was submitted, in the sender's own notation: an ISO 8601 date or date-time.
    pub submitted_at: Option<String>,
    /// Whatever else was sent, digit for digit.
    pub fields: Fields,
    /// The lead before this one of the same email, where there is one.
    pub previous_lead_id: Option<LeadId>,
}

impl fmt::Debug for LeadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeadSnapshot")
            .field("previous_lead_id", &self.previous_lead_id)
            .finish_non_exhaustive()
    }
}
