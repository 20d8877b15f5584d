//! Makes the event that tells others what became of a lead: its bytes are made here, once.

use agentflow_events::{
    Decision, EventRef, EventType, Fields, LeadRef, Moment, Outcome, Qualification, Timestamps,
};
use agentflow_lead::SubmittedAt;
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
pub fn event(lead: &Lead, qualification: &Qualification, decision: &Decision, now: Moment) -> EventRow {
    let details = &lead.details;
    row(&EventRef {
        id: mint(now),
        event_type: event_type(decision.outcome),
        timestamp: now,
        workspace_id: lead.workspace_id,
        lead_id: lead.id,
        test: false,
        lead: LeadRef {
            name: &details.name,
            email: details.email.as_sent(),
            company: details.company.as_deref(),
            message: details.message.as_deref(),
            source: details.source.as_deref(),
            submitted_at: details.submitted_at.as_ref().map(SubmittedAt::as_sent),
            fields: &fields(&details.fields),
            previous_lead_id: lead.previous_lead_id,
        },
        qualification,
        decision,
        timestamps: Timestamps {
            received_at: lead.received_at,
            scored_at: lead.scored_at.unwrap_or(now),
            decided_at: lead.decision.as_ref().map(|decision| decision.decided_at),
        },
    })
}

/// An event as the store keeps it.
pub fn row(event: &EventRef<'_>) -> EventRow {
    EventRow {
        id: event.id,
        workspace_id: event.workspace_id,
        lead_id: event.lead_id,
        event_type: event.event_type,
        at: event.timestamp,
        body: Bytes::from(event.to_bytes()),
    }
}

fn fields(fields: &agentflow_lead::Fields) -> Fields {
    let json = serde_json::value::to_raw_value(fields).expect("strings and raw JSON always serialise");
    Fields::try_from(json).expect("a lead's fields are written as an object")
}
