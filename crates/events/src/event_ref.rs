//! An event whose parts lie elsewhere, and the bytes of any event.

use std::fmt;

use crate::event::API_VERSION;
use crate::write::{Write, Writer, name};
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
            json.member(name!("id"), self.id);
            json.member(name!("type"), self.event_type);
            json.member(name!("api_version"), API_VERSION);
            json.member(name!("timestamp"), self.timestamp);
            json.member(name!("workspace_id"), self.workspace_id);
            json.member(name!("lead_id"), self.lead_id);
            if self.test {
                json.member(name!("test"), true);
            }
            json.member(name!("data"), Data(self));
        });
    }
}

struct Data<'a>(&'a EventRef<'a>);

impl Write for Data<'_> {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member(name!("lead"), self.0.lead);
            json.member(name!("qualification"), self.0.qualification);
            json.member(name!("decision"), self.0.decision);
            json.member(name!("timestamps"), self.0.timestamps);
        });
    }
}

impl Write for LeadRef<'_> {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member(name!("name"), self.name);
            json.member(name!("email"), self.email);
            json.member(name!("company"), self.company);
            json.member(name!("message"), self.message);
            json.member(name!("source"), self.source);
            json.member(name!("submitted_at"), self.submitted_at);
            json.member(name!("fields"), self.fields);
            json.member(name!("previous_lead_id"), self.previous_lead_id);
        });
    }
}

impl Write for &Qualification {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member(name!("score"), self.score);
            json.member(name!("confidence"), self.confidence);
            json.member(name!("summary"), self.summary.as_str());
            json.member(name!("recommended_action"), self.recommended_action);
            json.member(name!("dimensions"), self.dimensions);
            json.member(name!("scored_by"), self.scored_by.as_str());
        });
    }
}

impl Write for Dimensions {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member(name!("company_fit"), self.company_fit);
            json.member(name!("intent_strength"), self.intent_strength);
            json.member(name!("budget_signal"), self.budget_signal);
            json.member(name!("timeline"), self.timeline);
        });
    }
}

impl Write for &Decision {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member(name!("outcome"), self.outcome);
            json.member(name!("by"), self.by);
            json.member(name!("operator_id"), self.operator_id);
            json.member(name!("note"), self.note.as_deref());
        });
    }
}

impl Write for Timestamps {
    fn write(&self, json: &mut Writer) {
        json.object(|json| {
            json.member(name!("received_at"), self.received_at);
            json.member(name!("scored_at"), self.scored_at);
            json.member(name!("decided_at"), self.decided_at);
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
