//! What was decided, by whom and when.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::words;
use crate::{EventType, Moment, OperatorId};

words! {
    /// How the lead was decided.
    pub enum Outcome ("an outcome") {
        /// Qualified.
        Approved = "approved",
        /// Rejected.
        Rejected = "rejected",
        /// Not decided yet: an operator is to.
        ReviewRequested = "review_requested",
    }
}

impl Outcome {
    /// The type of the event that tells of this outcome.
    pub const fn event_type(self) -> EventType {
        match self {
            Self::Approved => EventType::LeadQualified,
            Self::Rejected => EventType::LeadRejected,
            Self::ReviewRequested => EventType::LeadReviewRequested,
        }
    }
}

words! {
    /// Who decided.
    pub enum DecidedBy ("a decider") {
        /// The workspace's thresholds.
        Auto = "auto",
        /// A person.
        Operator = "operator",
    }
}

/// The decision that an event tells of.
///
/// `Debug` leaves the note out: it may speak of the person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was decided.
    pub outcome: Outcome,
    /// Whether thresholds or a person decided; `Auto` for a requested review.
    pub by: DecidedBy,
    /// Which person, where it was one.
    pub operator_id: Option<OperatorId>,
    /// What the person had to say about it.
    pub note: Option<String>,
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("outcome", &self.outcome)
            .field("by", &self.by)
            .field("operator_id", &self.operator_id)
            .finish_non_exhaustive()
    }
}

/// The lead's way so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamps {
    /// When the submission that opened the lead was accepted.
    pub received_at: Moment,
    /// When the lead was scored.
    pub scored_at: Moment,
    /// When it was approved or rejected; `None` while in review.
    pub decided_at: Option<Moment>,
}
