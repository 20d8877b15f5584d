//! An operator's decision on a lead in review.

use std::sync::Arc;

use agentflow_events::{DecidedBy, Decision, EventType, LeadId, OperatorId, Outcome, WorkspaceId};

use crate::announce;
use crate::clock::Clock;
use crate::intake::Dispatch;
use crate::qualify;
use crate::record::{Actor, AuditRow, DecisionRecord, Lead, LeadState};
use crate::store::{Basis, Decide, Decided, LeadWrite, Store, StoreError};
use crate::telemetry::Metrics;

/// What an operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The lead is qualified.
    Approve,
    /// The lead is rejected.
    Reject,
}

/// A decision as asked for.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Workspace of the operator; leads of others do not exist for them.
    pub workspace_id: WorkspaceId,
    /// The lead.
    pub lead_id: LeadId,
    /// The operator.
    pub operator_id: OperatorId,
    /// What is decided.
    pub verdict: Verdict,
    /// A note for the receivers of the event and later readers.
    pub note: Option<String>,
    /// The version that the operator saw; absent: whichever it is in.
    pub version: Option<u64>,
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// There is no such lead.
    #[error("there is no such lead")]
    NotFound,
    /// The lead is decided already, or not ready to be.
    #[error("the lead is {}, not in review: the decision stands", .0.as_str())]
    Closed(LeadState),
    /// The lead has changed since the operator saw it.
    #[error("the lead is in version {0} now; read it again, then decide")]
    Changed(u64),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes decisions.
pub struct Review {
    store: Arc<dyn Store>,
    dispatch: Arc<dyn Dispatch>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Review {
    /// Over `store`.
    pub fn new(
        store: Arc<dyn Store>,
        dispatch: Arc<dyn Dispatch>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { store, dispatch, clock, metrics }
    }

    /// Decides a lead in review; answers the lead as decided.
    ///
    /// # Errors
    /// [`ReviewError`]; nothing was changed then.
    pub async fn decide(&self, judgement: &Judgement) -> Result<Lead, ReviewError> {
        loop {
            let lead = self
                .store
                .lead(judgement.workspace_id, judgement.lead_id)
                .await?
                .ok_or(ReviewError::NotFound)?;
            if lead.state != LeadState::InReview {
                return Err(ReviewError::Closed(lead.state));
            }
            if judgement.version.is_some_and(|version| version != lead.version) {
                return Err(ReviewError::Changed(lead.version));
            }
            let decide = self.plan(judgement, lead);
            let decided = decide.write.lead.clone();
            match self.store.decide(decide).await? {
                Decided::Stored(deliveries) => {
                    if let Some(record) = &decided.decision {
                        self.metrics.event(announce::event_type(record.decision.outcome));
                    }
                    self.dispatch.reconsider(decided.id, EventType::LeadReviewRequested);
                    self.dispatch.dispatch(deliveries);
                    return Ok(decided);
                }
                Decided::NotFound => return Err(ReviewError::NotFound),
                // Somebody was faster: look again. Each turn means that another change was committed.
                Decided::Changed => {}
            }
        }
    }

    fn plan(&self, judgement: &Judgement, mut lead: Lead) -> Decide {
        let now = self.clock.now();
        let basis = Basis::Newest(lead.id, lead.version);
        let (outcome, action) = match judgement.verdict {
            Verdict::Approve => (Outcome::Approved, "lead.approve"),
            Verdict::Reject => (Outcome::Rejected, "lead.reject"),
        };
        let decision = Decision {
            outcome,
            by: DecidedBy::Operator,
            operator_id: Some(judgement.operator_id),
            note: judgement.note.clone(),
        };
        lead.version += 1;
        lead.state = qualify::state_after(outcome);
        lead.decision = Some(DecisionRecord { decision: decision.clone(), decided_at: now });
        let event =
            lead.scored.as_ref().map(|scored| announce::event(&lead, &scored.qualification, &decision, now));
        let actor = Actor { workspace_id: judgement.workspace_id, operator_id: judgement.operator_id };
        let audit = AuditRow::new(actor, now, action, lead.id);
        Decide { write: LeadWrite { basis, lead, event }, audit }
    }
}
