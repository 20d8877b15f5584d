//! What the store keeps: plain records, shared by every stage, that know nothing of SQL or HTTP.

mod delivery;
mod exchange;
mod inbound;
mod lead;
mod session;
mod workspace;

pub use delivery::{
    Attempt, AttemptOutcome, Delivery, DeliveryState, Destination, DestinationChange, DisabledReason,
    DueDelivery, EventRow, FinishedAttempt, OperationKind, OperationRow, StateReason,
};
pub use exchange::{Exchange, SentRequest, SignedRequest, Timings};
pub use inbound::{Finding, InboundLogRow, InboundStatus, StoredSubmission};
pub use lead::{DecisionRecord, Lead, LeadState, Scored, Signal};
pub use session::{FactorState, SecondFactor, Session};
pub use workspace::{
    Actor, ApiToken, AuditRow, Change, Endpoint, Invitation, Operator, OperatorChange, Role, ScoringRules,
    SealedBytes, SecretDirection, SecretRow, SecretUses, Settings, Workspace,
};
