//! Who is looking at which lead.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentflow_events::{LeadId, Moment, OperatorId};

/// Operators seen at leads within the last half minute. In memory: it is a courtesy, not a lock.
#[derive(Default)]
pub(super) struct Presence {
    seen: Mutex<HashMap<LeadId, Vec<Seen>>>,
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
    pub(super) fn look(
        &self,
        lead: LeadId,
        operator_id: OperatorId,
        email: &str,
        now: Moment,
    ) -> Vec<String> {
        let is_fresh = |seen: &Seen| now.since(seen.at) < Self::KEPT;
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= Self::LEADS_KEPT {
            all.retain(|_, seen| seen.iter().any(is_fresh));
        }
        let here = all.entry(lead).or_default();
        here.retain(|seen| seen.operator_id != operator_id && is_fresh(seen));
        let others = here.iter().map(|seen| seen.email.clone()).collect();
        here.push(Seen { operator_id, email: email.to_owned(), at: now });
        others
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::Presence;
    use crate::id::mint;

    #[test]
    fn others_are_seen_for_half_a_minute() {
        let start = Moment::from_unix_millis(1_700_000_000_000);
        let (lead, ann, bob) = (mint(start), mint(start), mint(start));
        let presence = Presence::default();
        let none: [&str; 0] = [];
        assert_eq!(presence.look(lead, ann, "ann@example.com", start), none);
        assert_eq!(presence.look(lead, ann, "ann@example.com", start), none, "nobody sees themselves");
        let later = start.plus(Duration::from_secs(29));
        assert_eq!(presence.look(lead, bob, "bob@example.com", later), ["ann@example.com"]);
        assert_eq!(presence.look(mint(start), bob, "bob@example.com", later), none);
        let later = start.plus(Duration::from_secs(30));
        assert_eq!(presence.look(lead, bob, "bob@example.com", later), none);
    }
}
