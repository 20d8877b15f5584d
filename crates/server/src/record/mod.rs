//! What the store keeps: plain records, shared by every stage, that know nothing of SQL or HTTP.

mod delivery;
mod exchange;
mod inbound;
mod lead;
mod workspace;

pub use delivery::{
    Attempt, AttemptOutcome, AuditRow, Delivery, DeliveryState, Destination, DestinationChange,
    DisabledReason, DueDelivery, EventRow, FinishedAttempt,
};
pub use exchange::{Exchange, SentRequest, SignedRequest, Timings};
pub use inbound::{InboundLogRow, InboundStatus, SignatureFinding, StoredSubmission};
pub use lead::{DecisionRecord, Lead, LeadState, Scored, Signal};
pub use workspace::{
    ApiToken, Endpoint, Operator, Role, ScoringRules, SealedBytes, SecretDirection, SecretRow, Settings,
    Workspace,
};
