//! What the store keeps: plain records, shared by every stage, that know nothing of SQL or HTTP.

mod delivery;
mod inbound;
mod lead;
mod session;
mod workspace;

pub use delivery::{
    Attempt, AttemptOutcome, AuditRow, Delivery, DeliveryState, Destination, DestinationChange,
    DisabledReason, DueDelivery, EventRow, FinishedAttempt,
};
pub use inbound::{InboundLogRow, InboundStatus, SignatureFinding, StoredSubmission};
pub use lead::{DecisionRecord, Lead, LeadState, Scored, Signal};
pub use session::Session;
pub use workspace::{
    ApiToken, Endpoint, Operator, Role, ScoringRules, SealedBytes, SecretDirection, SecretRow, Settings,
    Workspace,
};
