//! The lead: one person's open or closed qualification.

use std::borrow::Cow;
use std::fmt;

use agentflow_events::{Decision, LeadId, Moment, Qualification, WorkspaceId};
use agentflow_lead::Submission;
use serde::{Deserialize, Serialize};

/// Where a lead stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadState {
    /// Stored, not scored yet.
    Received,
    /// Waits for an operator.
    InReview,
    /// Approved, final.
    Qualified,
    /// Rejected, final.
    Rejected,
}

impl LeadState {
    /// Every state.
    pub const ALL: [LeadState; 4] =
        [LeadState::Received, LeadState::InReview, LeadState::Qualified, LeadState::Rejected];

    /// The name on the wire, for instance `in_review`.
    pub fn as_str(self) -> &'static str {
        match self {
            LeadState::Received => "received",
            LeadState::InReview => "in_review",
            LeadState::Qualified => "qualified",
            LeadState::Rejected => "rejected",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether a further submission with the same email joins the lead.
    pub fn is_open(self) -> bool {
        matches!(self, LeadState::Received | LeadState::InReview)
    }
}

/// A signal that the scorer found, and the points that it gave or took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signal {
    /// Stable name, for instance `business_domain`.
    pub name: Cow<'static, str>,
    /// Points, negative where the signal counts against the lead.
    pub points: i32,
    /// One sentence for the operator; no more personal data than the lead itself shows.
    pub detail: Cow<'static, str>,
}

/// A qualification with what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The qualification as events carry it.
    pub qualification: Qualification,
    /// Which signal gave how much.
    pub signals: Vec<Signal>,
}

/// A decision with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The decision as events carry it.
    pub decision: Decision,
    /// When it was made.
    pub decided_at: Moment,
}

/// One lead, all its submissions merged.
#[derive(Clone)]
pub struct Lead {
    /// Id.
    pub id: LeadId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// Grows by one with every change; the first is 1.
    pub version: u64,
    /// Where it stands.
    pub state: LeadState,
    /// The merged submissions: newer non-empty fields win.
    pub details: Submission,
    /// The newest earlier lead with this email, where there is one.
    pub previous_lead_id: Option<LeadId>,
    /// Absent while `received`.
    pub scored: Option<Scored>,
    /// Absent until decided (a review is not a decision).
    pub decision: Option<DecisionRecord>,
    /// First submission's time.
    pub received_at: Moment,
    /// Time of the latest scoring.
    pub scored_at: Option<Moment>,
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
