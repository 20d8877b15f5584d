//! Makes the event that tells others what became of a lead: its bytes are made here, once.

use agentflow_events::{
    Decision, Event, EventData, EventType, Fields, LeadSnapshot, Moment, Outcome, Qualification, Timestamps,
};
use bytes::Bytes;

use crate::id::mint;
use crate::record::{EventRow, Lead};

/// The type of event that an outcome fires.
pub fn event_type(outcome: Outcome) -> EventType {
    match outcome {
        Outcome::Approved => EventType::LeadQualified,
        Outcome::Rejected => EventType::LeadRejected,
        Outcome::ReviewRequested => EventType::LeadReviewRequested,
    }
}

/// The event for `decision` on `lead`, as the lead is known at `now`.
pub fn event(lead: &Lead, qualification: &Qualification, decision: Decision, now: Moment) -> EventRow {
    let event_type = event_type(decision.outcome);
    let event = Event {
        id: mint(now),
        event_type,
        timestamp: now,
        workspace_id: lead.workspace_id,
        lead_id: lead.id,
        test: false,
        data: EventData {
            lead: snapshot(lead),
            qualification: qualification.clone(),
            decision,
            timestamps: Timestamps {
                received_at: lead.received_at,
                scored_at: lead.scored_at.unwrap_or(now),
                decided_at: lead.decision.as_ref().map(|decision| decision.decided_at),
            },
        },
    };
    row(&event)
}

/// An event as the store keeps it.
pub fn row(event: &Event) -> EventRow {
    EventRow {
        id: event.id,
        workspace_id: event.workspace_id,
        lead_id: event.lead_id,
        event_type: event.event_type,
        at: event.timestamp,
        body: Bytes::from(event.to_bytes()),
    }
}

fn snapshot(lead: &Lead) -> LeadSnapshot {
    let details = &lead.details;
    LeadSnapshot {
        name: details.name.clone(),
        email: details.email.as_sent().to_owned(),
        company: details.company.clone(),
        message: details.message.clone(),
        source: details.source.clone(),
        submitted_at: details.submitted_at.as_ref().map(|at| at.as_sent().to_owned()),
        fields: fields(&details.fields),
        previous_lead_id: lead.previous_lead_id,
    }
}

fn fields(fields: &agentflow_lead::Fields) -> Fields {
    let json = serde_json::value::to_raw_value(fields).expect("strings and raw JSON always serialise");
    Fields::try_from(json).expect("a lead's fields are written as an object")
}
