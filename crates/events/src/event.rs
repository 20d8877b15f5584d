//! The envelope: what a destination receives as the body of a delivery.

use std::fmt;

use serde::Serialize;

use crate::object::Object;
use crate::one_pass;
use crate::text::clip;
use crate::{
    Decision, Dimensions, EventError, EventId, EventRef, EventType, LeadId, LeadSnapshot, Moment,
    Qualification, Timestamps, WorkspaceId,
};

pub(crate) const API_VERSION: &str = "1";

/// One event: what happened to one lead, with all that was known of it.
///
/// A sender builds it, takes its bytes once and sends those; a receiver verifies the body it got and only then
/// parses it. `Debug` shows ids and the type, nothing of the person.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Names the event; the same on every attempt, resend and destination.
    pub id: EventId,
    /// What happened. On the wire: `type`.
    pub event_type: EventType,
    /// When the event was made.
    pub timestamp: Moment,
    /// Where it happened.
    pub workspace_id: WorkspaceId,
    /// Whom it is about. With the type it is the deduplication key.
    pub lead_id: LeadId,
    /// A sample that an operator asked for. On the wire only where true.
    pub test: bool,
    /// The lead, its score and its decision.
    pub data: EventData,
}

/// The part of an event that says what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventData {
    /// The lead as it was then.
    pub lead: LeadSnapshot,
    /// How it was scored.
    pub qualification: Qualification,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub timestamps: Timestamps,
}

impl Event {
    /// The body: compact JSON in the order of the contract, absent values as `null`.
    ///
    /// To be called once, when the event is made; keep the bytes and send the same ones on every attempt and to
    /// every destination. A later version of this crate may write more fields.
    pub fn to_bytes(&self) -> Vec<u8> {
        EventRef::from(self).to_bytes()
    }

    /// Reads a body whose signature has been verified.
    ///
    /// Fields that it does not know are passed over, for the contract grows by addition. Fields that may be null may
    /// also be absent. What it drops is gone: to pass an event on, pass on its bytes.
    ///
    /// # Errors
    ///
    /// An [`EventError`] for the first thing that is wrong. Version and type are looked at before all else, so an
    /// event of a later version or a new type is told apart from a broken one.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let json = std::str::from_utf8(body)
            .map_err(|error| EventError::MalformedJson { line: 0, column: error.valid_up_to() + 1 })?;
        match one_pass::read(json) {
            Some(event) => Ok(event),
            None => Self::parse_carefully(json),
        }
    }

    /// Field by field, so that an error can name the field.
    pub(crate) fn parse_carefully(json: &str) -> Result<Self, EventError> {
        let event = Object::read("", json)?;
        let version = event.text("api_version")?;
        if version != API_VERSION {
            return Err(EventError::UnsupportedVersion { version: clip(&version) });
        }
        let event_type = event.text("type")?;
        let event_type =
            event_type.parse().map_err(|_| EventError::UnknownType { event_type: clip(&event_type) })?;
        Ok(Self {
            id: event.parsed("id")?,
            event_type,
            timestamp: event.moment("timestamp")?,
            workspace_id: event.parsed("workspace_id")?,
            lead_id: event.parsed("lead_id")?,
            test: event.flag("test")?,
            data: read_data(&event.object("data", "data")?)?,
        })
    }
}

fn read_data(data: &Object<'_>) -> Result<EventData, EventError> {
    Ok(EventData {
        lead: read_lead(&data.object("lead", "data.lead")?)?,
        qualification: read_qualification(&data.object("qualification", "data.qualification")?)?,
        decision: read_decision(&data.object("decision", "data.decision")?)?,
        timestamps: read_timestamps(&data.object("timestamps", "data.timestamps")?)?,
    })
}

fn read_lead(lead: &Object<'_>) -> Result<LeadSnapshot, EventError> {
    Ok(LeadSnapshot {
        name: lead.text("name")?,
        email: lead.text("email")?,
        company: lead.optional_text("company")?,
        message: lead.optional_text("message")?,
        source: lead.optional_text("source")?,
        submitted_at: lead.optional_text("submitted_at")?,
        fields: lead.fields("fields")?,
        previous_lead_id: lead.optional_parsed("previous_lead_id")?,
    })
}

fn read_qualification(qualification: &Object<'_>) -> Result<Qualification, EventError> {
    let dimensions = qualification.object("dimensions", "data.qualification.dimensions")?;
    Ok(Qualification {
        score: qualification.score("score")?,
        confidence: qualification.word("confidence")?,
        summary: qualification.text("summary")?,
        recommended_action: qualification.word("recommended_action")?,
        dimensions: Dimensions {
            company_fit: dimensions.score("company_fit")?,
            intent_strength: dimensions.score("intent_strength")?,
            budget_signal: dimensions.score("budget_signal")?,
            timeline: dimensions.score("timeline")?,
        },
        scored_by: qualification.text("scored_by")?,
    })
}

fn read_decision(decision: &Object<'_>) -> Result<Decision, EventError> {
    Ok(Decision {
        outcome: decision.word("outcome")?,
        by: decision.word("by")?,
        operator_id: decision.optional_parsed("operator_id")?,
        note: decision.optional_text("note")?,
    })
}

fn read_timestamps(timestamps: &Object<'_>) -> Result<Timestamps, EventError> {
    Ok(Timestamps {
        received_at: timestamps.moment("received_at")?,
        scored_at: timestamps.moment("scored_at")?,
        decided_at: timestamps.optional_parsed("decided_at")?,
    })
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("workspace_id", &self.workspace_id)
            .field("lead_id", &self.lead_id)
            .finish_non_exhaustive()
    }
}
