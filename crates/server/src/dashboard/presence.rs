//! Who is looking at which lead.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentflow_events::{LeadId, Moment, OperatorId, WorkspaceId};

use crate::record::Operator;

/// Operators seen at leads of their workspace within the last half minute. In memory: it is a courtesy, not a lock.
#[derive(Default)]
pub(super) struct Presence {
    seen: Mutex<HashMap<(WorkspaceId, LeadId), Vec<Seen>>>,
}

struct Seen {
    operator_id: OperatorId,
    email: String,
    at: Moment,
}

impl Presence {
    const KEPT: Duration = Duration::from_secs(30);
    const LEADS_KEPT: usize = 10_000;

    /// Notes that an operator looks at the lead; answers the emails of the others who do.
    pub(super) fn look(&self, lead: LeadId, operator: &Operator, now: Moment) -> Vec<String> {
        let is_fresh = |seen: &Seen| now.since(seen.at) < Self::KEPT;
        let key = (operator.workspace_id, lead);
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= Self::LEADS_KEPT && !all.contains_key(&key) {
            all.retain(|_, seen| seen.iter().any(is_fresh));
            if all.len() >= Self::LEADS_KEPT {
                return Vec::new();
            }
        }
        let here = all.entry(key).or_default();
        here.retain(|seen| seen.operator_id != operator.id && is_fresh(seen));
        let others = here.iter().map(|seen| seen.email.clone()).collect();
        here.push(Seen { operator_id: operator.id, email: operator.email.clone(), at: now });
        others
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::Presence;
    use crate::id::mint;
    use crate::record::{Operator, Role};

    #[test]
    fn others_are_seen_for_half_a_minute() {
        let start = Moment::from_unix_millis(1_700_000_000_000);
        let workspace = mint(start);
        let person = |workspace_id, email: &str| Operator {
            id: mint(start),
            workspace_id,
            email: email.to_owned(),
            password_hash: String::new(),
            role: Role::Viewer,
            created_at: start,
            invited_until: None,
            has_second_factor: false,
        };
        let (ann, bob) = (person(workspace, "ann@example.com"), person(workspace, "bob@example.com"));
        let (lead, presence) = (mint(start), Presence::default());
        let none: [&str; 0] = [];
        assert_eq!(presence.look(lead, &ann, start), none);
        assert_eq!(presence.look(lead, &ann, start), none, "nobody sees themselves");
        let later = start.plus(Duration::from_secs(29));
        assert_eq!(presence.look(lead, &bob, later), ["ann@example.com"]);
        assert_eq!(presence.look(mint(start), &bob, later), none);
        let elsewhere = person(mint(start), "eve@example.com");
        assert_eq!(presence.look(lead, &elsewhere, later), none, "another workspace");
        let later = start.plus(Duration::from_secs(30));
        assert_eq!(presence.look(lead, &bob, later), none);
    }
}
