//! Writing leads: an accepted request, an operator's decision.

use std::time::Duration;

use agentflow_events::{LeadId, Moment, WorkspaceId};
use async_trait::async_trait;

use super::StoreError;
use crate::id::EndpointId;
use crate::record::{AuditRow, DueDelivery, EventRow, InboundLogRow, Lead, StoredSubmission};

/// What a change of a lead rests on: the newest lead with the same email, as the caller knows it.
///
/// A caller that knows nothing yet says [`Basis::NoLead`], which is right for nearly every new lead; where it is wrong, the
/// store answers with the lead that it has and the caller plans again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// There is no lead with this email.
    NoLead,
    /// This is the newest one, in this version.
    Newest(LeadId, u64),
}

/// A lead as it shall be after the transaction, with the event that the change makes, if any.
#[derive(Clone, Debug)]
pub struct LeadWrite {
    /// What the plan rests on.
    pub basis: Basis,
    /// The lead to insert, or to put in place of the one with the same id.
    pub lead: Lead,
    /// The event that the change makes. One delivery is made for each enabled destination that subscribes to it.
    pub event: Option<EventRow>,
}

/// An inbound request that passed every check.
#[derive(Clone)]
pub struct Accept {
    /// The submission.
    pub submission: StoredSubmission,
    /// SHA-256 of the body.
    pub body_digest: [u8; 32],
    /// How long a body counts as a duplicate.
    pub duplicate_window: Duration,
    /// The request's `Idempotency-Key`, if it had one. Remembered for [`IDEMPOTENCY_KEY_KEPT`](Self::IDEMPOTENCY_KEY_KEPT).
    pub idempotency_key: Option<String>,
    /// The lead that the submission opens or joins.
    pub write: LeadWrite,
    /// The log row for the case that it is stored (`received`, with the lead's id). For a duplicate the store writes it
    /// as `duplicate` with the first lead's id.
    pub log: InboundLogRow,
}

impl Accept {
    /// How long an `Idempotency-Key` is kept.
    pub const IDEMPOTENCY_KEY_KEPT: Duration = Duration::from_secs(86_400);
}

/// What became of an [`Accept`].
#[derive(Debug)]
pub enum Accepted {
    /// Committed. The deliveries that are due at once are claimed by this process.
    Stored(Vec<DueDelivery>),
    /// The body, or its key with the same body, is known: only the log row was written. No key is recorded.
    Duplicate(LeadId),
    /// The key is known with another body. Nothing was written.
    KeyReused,
    /// The basis does not hold. Nothing was written; plan again on this lead.
    Rebase(Option<Box<Lead>>),
}

/// Looks for an earlier acceptance of the same request.
#[derive(Clone, Debug)]
pub struct SeenQuery {
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// Bodies are unique at an endpoint.
    pub endpoint_id: EndpointId,
    /// The identity of the email in the body. None: it is known that the body was never accepted, as where it is no lead.
    pub email_identity: Option<String>,
    /// SHA-256 of the body.
    pub body_digest: [u8; 32],
    /// How long a body counts as a duplicate.
    pub duplicate_window: Duration,
    /// Keys are unique in a workspace.
    pub idempotency_key: Option<String>,
    /// The present moment.
    pub now: Moment,
}

/// An earlier acceptance of the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Never accepted.
    No,
    /// Accepted; this lead.
    Duplicate(LeadId),
    /// The key was accepted with another body.
    KeyReused,
}

/// An operator's decision.
#[derive(Clone, Debug)]
pub struct Decide {
    /// The lead as decided, its event, and the version that the operator saw. The basis is always `Newest`.
    pub write: LeadWrite,
    /// Who did it.
    pub audit: AuditRow,
}

/// What became of a [`Decide`].
#[derive(Debug)]
pub enum Decided {
    /// Committed. The deliveries that are due at once are claimed by this process.
    Stored(Vec<DueDelivery>),
    /// The lead is in another version now. Nothing was written. An older lead with the same email does not matter here:
    /// the lead with the given id is compared.
    Changed,
    /// There is no such lead.
    NotFound,
}

/// The intake's part of the store.
#[async_trait]
pub trait IntakeStore: Send + Sync + 'static {
    /// Commits an accepted request: submission, lead, log row, event and deliveries in one transaction. It is committed
    /// even where the caller goes away before the answer; the deliveries are not claimed then. So for `decide`.
    ///
    /// # Errors
    /// Nothing was written.
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError>;

    /// Looks for an earlier acceptance. `accept` checks the same in its transaction; this serves requests that are refused
    /// for what comes later in the order of checks.
    ///
    /// # Errors
    /// The store could not be read.
    async fn seen(&self, query: SeenQuery) -> Result<Seen, StoreError>;

    /// Writes log rows that stand alone (refusals and duplicates found early), without waiting for a sync. Where too
    /// many wait, rows are dropped: a refused request must not cost more than an accepted one.
    fn log(&self, row: InboundLogRow);

    /// Commits an operator's decision: lead, event, deliveries and audit row in one transaction. Where the workspace has it so
    /// set, deliveries of the lead's review request that are pending are superseded with it, those that this process has
    /// claimed at the end of their attempt.
    ///
    /// # Errors
    /// Nothing was written.
    async fn decide(&self, decide: Decide) -> Result<Decided, StoreError>;
}
