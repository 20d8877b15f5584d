//! Equality of records that have none of their own, since production has no use for it.

use crate::record::{DueDelivery, EventRow, Lead};

#[track_caller]
pub(super) fn assert_same_lead(found: &Lead, expected: &Lead) {
    assert_eq!(
        (found.id, found.workspace_id, found.version),
        (expected.id, expected.workspace_id, expected.version)
    );
    assert_eq!(found.state, expected.state);
    assert!(found.details == expected.details, "the details are those that were stored");
    assert_eq!(found.details.email.as_sent(), expected.details.email.as_sent());
    assert_eq!(found.previous_lead_id, expected.previous_lead_id);
    assert_eq!(found.scored, expected.scored);
    assert_eq!(found.decision, expected.decision);
    assert_eq!((found.received_at, found.scored_at), (expected.received_at, expected.scored_at));
}

#[track_caller]
pub(super) fn assert_same_event(found: &EventRow, expected: &EventRow) {
    assert_eq!(
        (found.id, found.workspace_id, found.lead_id),
        (expected.id, expected.workspace_id, expected.lead_id)
    );
    assert_eq!((found.event_type, found.at), (expected.event_type, expected.at));
    assert!(found.body == expected.body, "the body is the event's, byte for byte");
}

#[track_caller]
pub(super) fn assert_same_due(found: &DueDelivery, expected: &DueDelivery) {
    assert_eq!(
        (found.id, found.workspace_id, found.destination_id),
        (expected.id, expected.workspace_id, expected.destination_id)
    );
    assert_eq!(
        (found.event_id, found.event_type, found.lead_id),
        (expected.event_id, expected.event_type, expected.lead_id)
    );
    assert!(found.body == expected.body, "the body is the event's, byte for byte");
    assert_eq!(
        (found.attempt_number, found.schedule_step),
        (expected.attempt_number, expected.schedule_step)
    );
    assert_eq!(found.due_at, expected.due_at);
}
