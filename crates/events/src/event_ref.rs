//! An event whose parts lie elsewhere, and the bytes of any event.

use std::fmt;

use crate::event::API_VERSION;
use crate::write::{Write, Writer};
use crate::{
    Decision, Dimensions, Event, EventId, EventType, Fields, LeadId, LeadSnapshot, Moment, Qualification,
    Timestamps, WorkspaceId,
};

/// Most events are shorter, so their bytes are written without being moved.
const EXPECTED_BYTES: usize = 2_048;

/// An [`Event`] that borrows its parts: for a sender that has the lead already and wants the event's bytes without a copy of it.
///
/// `Debug` shows ids and the type, nothing of the person.
///
/// # Example: the same bytes
///
/// ```
/// use agentflow_events::{Event, EventRef};
///
/// # let body = include_bytes!("../tests/golden/lead_qualified.json");
/// let event = Event::parse(body)?;
/// assert_eq!(EventRef::from(&event).to_bytes(), event.to_bytes());
/// # Ok::<(), agentflow_events::EventError>(())
/// ```
#[derive(Clone, Copy)]
pub struct EventRef<'a> {
    /// As [`Event::id`].
    pub id: EventId,
    /// As [`Event::event_type`].
    pub event_type: EventType,
    /// As [`Event::timestamp`].
    pub timestamp: Moment,
    /// As [`Event::workspace_id`].
    pub workspace_id: WorkspaceId,
    /// As [`Event::lead_id`].
    pub lead_id: LeadId,
    /// As [`Event::test`].
    pub test: bool,
    /// The lead as it is now.
    pub lead: LeadRef<'a>,
    /// How it was scored.
    pub qualification: &'a Qualification,
    /// What was decided.
    pub decision: &'a Decision,
    /// When.
    pub timestamps: Timestamps,
}

/// A [`LeadSnapshot`] that borrows its texts. It is personal data: `Debug` shows only the previous lead's id.
#[derive(Clone, Copy)]
pub struct LeadRef<'a> {
    /// As [`LeadSnapshot::name`].
    pub name: &'a str,
    /// As [`LeadSnapshot::email`].
    pub email: &'a str,
    /// As [`LeadSnapshot::company`].
    pub company: Option<&'a str>,
    /// As [`LeadSnapshot::message`].
    pub message: Option<&'a str>,
    /// As [`LeadSnapshot::source`].
    pub source: Option<&'a str>,
    /// As [`LeadSnapshot::submitted_at`].
    pub submitted_at: Option<&'a str>,
    /// As [`LeadSnapshot::fields`].
    pub fields: &'a Fields,
    /// As [`LeadSnapshot::previous_lead_id`].
    pub previous_lead_id: Option<LeadId>,
}

impl EventRef<'_> {
    /// The body, as [`Event::to_bytes`] writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::bytes_of(self, EXPECTED_BYTES)
    }
}

impl<'a> From<&'a Event> for EventRef<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: event.id,
            event_type: event.event_type,
            timestamp: event.timestamp,
            workspace_id: event.workspace_id,
            lead_id: event.lead_id,
            test: event.test,
            lead: LeadRef::from(&event.data.lead),
            qualification: &event.data.qualification,
            decision: &event.data.decision,
            timestamps: event.data.timestamps,
        }
    }
}

impl<'a> From<&'a LeadSnapshot> for LeadRef<'a> {
    fn from(lead: &'a LeadSnapshot) -> Self {
        Self {
            name: &lead.name,
            email: &lead.email,
            company: lead.company.as_deref(),
            message: lead.message.as_deref(),
            source: lead.source.as_deref(),
            submitted_at: lead.submitted_at.as_deref(),
            fields: &lead.fields,
            previous_lead_id: lead.previous_lead_id,
        }
    }
}

/// The envelope in the order of the contract.
impl Write for EventRef<'_> {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member("id", self.id);
            json.member("type", self.event_type);
            json.member("api_version", API_VERSION);
            json.member("timestamp", self.timestamp);
            json.member("workspace_id", self.workspace_id);
            json.member("lead_id", self.lead_id);
            if self.test {
                json.member("test", true);
            }
            json.member("data", Data(self));
        });
    }
}

struct Data<'a>(&'a EventRef<'a>);

impl Write for Data<'_> {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member("lead", self.0.lead);
            json.member("qualification", self.0.qualification);
            json.member("decision", self.0.decision);
            json.member("timestamps", self.0.timestamps);
        });
    }
}

impl Write for LeadRef<'_> {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member("name", self.name);
            json.member("email", self.email);
            json.member("company", self.company);
            json.member("message", self.message);
            json.member("source", self.source);
            json.member("submitted_at", self.submitted_at);
            json.member("fields", self.fields);
            json.member("previous_lead_id", self.previous_lead_id);
        });
    }
}

impl Write for &Qualification {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member("score", self.score);
            json.member("confidence", self.confidence);
            json.member("summary", self.summary.as_str());
            json.member("recommended_action", self.recommended_action);
            json.member("dimensions", self.dimensions);
            json.member("scored_by", self.scored_by.as_str());
        });
    }
}

impl Write for Dimensions {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member("company_fit", self.company_fit);
            json.member("intent_strength", self.intent_strength);
            json.member("budget_signal", self.budget_signal);
            json.member("timeline", self.timeline);
        });
    }
}

impl Write for &Decision {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member("outcome", self.outcome);
            json.member("by", self.by);
            json.member("operator_id", self.operator_id);
            json.member("note", self.note.as_deref());
        });
    }
}

impl Write for Timestamps {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member("received_at", self.received_at);
            json.member("scored_at", self.scored_at);
            json.member("decided_at", self.decided_at);
        });
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRef")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("workspace_id", &self.workspace_id)
            .field("lead_id", &self.lead_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LeadRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeadRef").field("previous_lead_id", &self.previous_lead_id).finish_non_exhaustive()
    }
}
