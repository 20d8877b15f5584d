//! What makes two deliveries the same piece of work.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Event, EventType, IdError, LeadId, UnknownWord};

/// A lead and an event type: the deduplication key that AgentFlow promises to be stable across retries and resends.
///
/// Each event type fires at most once for a lead. As text it is `lead_…:lead.qualified`, and that form is stable
/// too, so it may be a database's primary key.
///
/// # Example: there and back
///
/// ```
/// use agentflow_events::idempotency::IdempotencyKey;
///
/// let text = "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f:lead.qualified";
/// assert_eq!(text.parse::<IdempotencyKey>()?.to_string(), text);
/// # Ok::<(), agentflow_events::idempotency::KeyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    /// Whom the work is about.
    pub lead_id: LeadId,
    /// What happened to them.
    pub event_type: EventType,
}

impl IdempotencyKey {
    /// The key of an event.
    pub const fn of(event: &Event) -> Self {
        Self { lead_id: event.lead_id, event_type: event.event_type }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lead_id, self.event_type)
    }
}

/// Why a text is not an [`IdempotencyKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No colon in it.
    #[error("no colon between lead id and event type")]
    NoColon,
    /// What stands before the colon is no lead id.
    #[error(transparent)]
    Lead(#[from] IdError),
    /// What stands after the colon is no event type that this version knows.
    #[error(transparent)]
    Type(#[from] UnknownWord),
}

impl KeyError {
    /// The stable code: `invalid_key`.
    pub const fn code(&self) -> &'static str {
        "invalid_key"
    }
}

impl FromStr for IdempotencyKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (lead_id, event_type) = text.split_once(':').ok_or(KeyError::NoColon)?;
        Ok(Self { lead_id: lead_id.parse()?, event_type: event_type.parse()? })
    }
}

impl Serialize for IdempotencyKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IdempotencyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize(deserializer, "an idempotency key")
    }
}
