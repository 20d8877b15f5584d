//! What the tests share: one event of each kind, as the golden files have it.

use agentflow_events::{
    Action, Confidence, DecidedBy, Decision, Dimensions, Event, EventData, EventType, Fields, LeadSnapshot,
    Outcome, Qualification, Score, Timestamps,
};

pub(crate) fn score(value: u8) -> Score {
    Score::new(value).unwrap()
}

/// `lead_qualified.json`.
pub(crate) fn lead_qualified() -> Event {
    Event {
        id: "evt_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f".parse().unwrap(),
        event_type: EventType::LeadQualified,
        timestamp: "2024-11-14T08:46:12.345Z".parse().unwrap(),
        workspace_id: "ws_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f".parse().unwrap(),
        lead_id: "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f".parse().unwrap(),
        test: false,
        data: EventData {
            lead: LeadSnapshot {
                name: "Jordan Ellis".to_owned(),
                email: "jordan.ellis@stacklane.co".to_owned(),
                company: Some("Stacklane".to_owned()),
                message: Some(
                    "We're evaluating tools to handle inbound demo requests at scale. \
                     Currently doing it manually."
                        .to_owned(),
                ),
                source: Some("website_contact_form".to_owned()),
                submitted_at: Some("2024-11-14T08:44:00Z".to_owned()),
                fields: Fields::empty(),
                previous_lead_id: None,
            },
            qualification: Qualification {
                score: score(82),
                confidence: Confidence::High,
                summary: "Business address, a clear need and a named volume.".to_owned(),
                recommended_action: Action::Approve,
                dimensions: dimensions([85, 90, 75, 70]),
                scored_by: "rules/1".to_owned(),
            },
            decision: Decision {
                outcome: Outcome::Approved,
                by: DecidedBy::Operator,
                operator_id: Some("op_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f".parse().unwrap()),
                note: None,
            },
            timestamps: Timestamps {
                received_at: "2024-11-14T08:44:01.007Z".parse().unwrap(),
                scored_at: "2024-11-14T08:44:01.008Z".parse().unwrap(),
                decided_at: Some("2024-11-14T08:46:12.345Z".parse().unwrap()),
            },
        },
    }
}

pub(crate) fn dimensions([company_fit, intent_strength, budget_signal, timeline]: [u8; 4]) -> Dimensions {
    Dimensions {
        company_fit: score(company_fit),
        intent_strength: score(intent_strength),
        budget_signal: score(budget_signal),
        timeline: score(timeline),
    }
}
