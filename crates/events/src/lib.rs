//! AgentFlow events: the envelope, the ids, and idempotent receiving under crashes and races.

mod decision;
mod error;
mod event;
mod event_type;
mod fields;
mod id;
pub mod idempotency;
mod lead;
mod moment;
mod object;
mod qualification;
mod text;

pub use decision::{DecidedBy, Decision, Outcome, Timestamps};
pub use error::EventError;
pub use event::{Event, EventData};
pub use event_type::EventType;
pub use fields::{Fields, FieldsError};
pub use id::{
    EventId, EventKind, Id, IdError, IdKind, LeadId, LeadKind, OperatorId, OperatorKind, WorkspaceId,
    WorkspaceKind,
};
pub use idempotency::IdempotencyKey;
pub use lead::LeadSnapshot;
pub use moment::{Moment, MomentError};
pub use qualification::{Action, Confidence, Dimensions, Qualification, Score, ScoreError};
pub use text::UnknownWord;
