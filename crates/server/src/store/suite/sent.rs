//! One submission as the intake would bring it to the store, and the decisions on its lead.

use std::time::Duration;

use agentflow_events::{
    Action, Confidence, DecidedBy, Decision, Dimensions, Moment, OperatorId, Outcome, Qualification, Score,
    WorkspaceId,
};
use agentflow_lead::Submission;
use bytes::Bytes;

use super::world::{DAY, START};
use crate::announce;
use crate::id::{EndpointId, mint};
use crate::qualify::state_after;
use crate::record::{DecisionRecord, Lead, LeadState, Scored, Signal, StoredSubmission};
use crate::store::{Basis, LeadWrite};

/// A submission: by default it brings its lead into review.
#[derive(Clone)]
pub struct Sent {
    /// What was sent.
    pub body: Bytes,
    /// When.
    pub at: Moment,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// The workspace's duplicate window.
    pub window: Duration,
    /// What its lead comes to; absent: it is not scored yet.
    pub outcome: Option<Outcome>,
}

impl Sent {
    /// The JSON object given, sent at the start.
    pub fn body(json: impl Into<String>) -> Self {
        Self {
            body: Bytes::from(json.into()),
            at: START,
            key: None,
            window: Duration::from_secs(DAY),
            outcome: Some(Outcome::ReviewRequested),
        }
    }

    /// From this address.
    pub fn from(email: &str) -> Self {
        Self::saying(email, "We need 40 seats before March.")
    }

    /// From this address with this message.
    pub fn saying(email: &str, message: &str) -> Self {
        Self::body(format!(r#"{{"name":"Jordan Ellis","email":"{email}","message":"{message}"}}"#))
    }

    /// Sent then.
    pub fn at(self, at: Moment) -> Self {
        Self { at, ..self }
    }

    /// Under this key.
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// Asked with a window of so many seconds.
    pub fn window(self, seconds: u64) -> Self {
        Self { window: Duration::from_secs(seconds), ..self }
    }

    /// Its lead is approved at once.
    pub fn approved(self) -> Self {
        Self { outcome: Some(Outcome::Approved), ..self }
    }

    /// Its lead is rejected at once.
    pub fn rejected(self) -> Self {
        Self { outcome: Some(Outcome::Rejected), ..self }
    }

    /// Stored before it is scored.
    pub fn unscored(self) -> Self {
        Self { outcome: None, ..self }
    }

    /// The submission as it is kept.
    pub fn submission(&self, endpoint_id: EndpointId) -> StoredSubmission {
        StoredSubmission { id: mint(self.at), endpoint_id, at: self.at, body: self.body.clone() }
    }

    /// The lead as it shall be with this submission, resting on `newest`.
    pub fn plan(&self, workspace_id: WorkspaceId, newest: Option<&Lead>) -> LeadWrite {
        let details = Submission::parse(&self.body).expect("the case sends a lead within the rules");
        let basis = newest.map_or(Basis::NoLead, |lead| Basis::Newest(lead.id, lead.version));
        let mut lead = match newest {
            Some(open) if open.state.is_open() => {
                let mut lead = open.clone();
                lead.details.merge(&details);
                lead.version += 1;
                lead
            }
            closed => Lead {
                id: mint(self.at),
                workspace_id,
                version: 1,
                state: LeadState::Received,
                details,
                previous_lead_id: closed.map(|lead| lead.id),
                scored: None,
                decision: None,
                received_at: self.at,
                scored_at: None,
            },
        };
        let event = self.outcome.and_then(|outcome| {
            let scored = scored();
            (lead.scored, lead.scored_at) = (Some(scored.clone()), Some(self.at));
            let decision = Decision { outcome, by: DecidedBy::Auto, operator_id: None, note: None };
            (lead.state == LeadState::Received)
                .then(|| announce(&mut lead, &scored.qualification, decision, self.at))
        });
        LeadWrite { basis, lead, event }
    }
}

/// The lead as an operator decides it, on the version given.
pub fn judge(lead: &Lead, approve: bool, operator: OperatorId, at: Moment) -> LeadWrite {
    let basis = Basis::Newest(lead.id, lead.version);
    let decision = Decision {
        outcome: if approve { Outcome::Approved } else { Outcome::Rejected },
        by: DecidedBy::Operator,
        operator_id: Some(operator),
        note: Some("Spoke on the phone: “call back in May”.".to_owned()),
    };
    let mut lead = lead.clone();
    lead.version += 1;
    let event = announce(&mut lead, &scored().qualification, decision, at);
    LeadWrite { basis, lead, event: Some(event) }
}

fn announce(
    lead: &mut Lead,
    qualification: &Qualification,
    decision: Decision,
    at: Moment,
) -> crate::record::EventRow {
    lead.state = state_after(decision.outcome);
    if !lead.state.is_open() {
        lead.decision = Some(DecisionRecord { decision: decision.clone(), decided_at: at });
    }
    announce::event(lead, qualification, &decision, at)
}

/// How every lead of the suite is scored.
pub fn scored() -> Scored {
    let score = Score::clamped(61);
    Scored {
        qualification: Qualification {
            score,
            confidence: Confidence::Medium,
            summary: "A “business” address; no budget named.".to_owned(),
            recommended_action: Action::Review,
            dimensions: Dimensions {
                company_fit: score,
                intent_strength: Score::MAX,
                budget_signal: Score::MIN,
                timeline: score,
            },
            scored_by: "rules/1".to_owned(),
        },
        signals: vec![
            Signal { name: "business_domain".into(), points: 20, detail: "The domain is a firm's.".into() },
            Signal {
                name: "budget_none".into(),
                points: -5,
                detail: "There is said to be no budget.".into(),
            },
        ],
    }
}
