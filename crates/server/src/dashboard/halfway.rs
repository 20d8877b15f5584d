//! Sign-ins that have given the password and are asked for a code. In memory and for minutes: whoever waits longer, or finds the
//! server started anew, gives the password again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentflow_events::{Moment, OperatorId};
use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use crate::directory::credential_hash;
use crate::edge::Sender;
use crate::id::random;
use crate::record::Operator;

/// Found by the hash of the token in the browser's cookie.
#[derive(Default)]
pub(super) struct Halfway(Mutex<HashMap<[u8; 32], Waiting>>);

/// One of them.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) operator_id: OperatorId,
    /// The password that was given had it.
    pub(super) password_hash: String,
    /// Where the sign-in leads.
    pub(super) next: String,
    sender: Sender,
    until: Moment,
}

impl Halfway {
    /// How long a code can be given.
    pub(super) const KEPT: Duration = Duration::from_secs(5 * 60);
    /// All at the same time; more have the oldest forgotten.
    const WAITING_MAX: usize = 1_000;
    /// Those of one operator, likewise: nobody pushes out the others.
    const OF_ONE_MAX: usize = 100;
    /// Those of one operator and sender, likewise: who knows the password alone does not push out its owner.
    const OF_ONE_SENDER_MAX: usize = 5;

    /// Begins one; answers the token for the cookie.
    pub(super) fn begin(
        &self,
        operator: &Operator,
        next: &str,
        sender: Sender,
        now: Moment,
    ) -> Zeroizing<String> {
        let token = Zeroizing::new(Base64UrlUnpadded::encode_string(&random::<32>()));
        let mut all = self.lock();
        all.retain(|_, waiting| waiting.is_within(now));
        make_room(&mut all, Self::OF_ONE_SENDER_MAX, |waiting| {
            waiting.operator_id == operator.id && waiting.sender == sender
        });
        make_room(&mut all, Self::OF_ONE_MAX, |waiting| waiting.operator_id == operator.id);
        make_room(&mut all, Self::WAITING_MAX, |_| true);
        let waiting = Waiting {
            operator_id: operator.id,
            password_hash: operator.password_hash.clone(),
            next: next.to_owned(),
            sender,
            until: now.plus(Self::KEPT),
        };
        all.insert(credential_hash(&token), waiting);
        token
    }

    /// The one with this token.
    pub(super) fn find(&self, token: &str, now: Moment) -> Option<Waiting> {
        self.lock().get(&credential_hash(token)).filter(|waiting| waiting.is_within(now)).cloned()
    }

    pub(super) fn end(&self, token: &str) {
        self.lock().remove(&credential_hash(token));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the oldest of those that are meant, where there are so many of them.
fn make_room(all: &mut HashMap<[u8; 32], Waiting>, most: usize, meant: impl Fn(&Waiting) -> bool) {
    let of_them = || all.iter().filter(|(_, waiting)| meant(waiting));
    if of_them().count() >= most
        && let Some(oldest) = of_them().min_by_key(|(_, waiting)| waiting.until).map(|(hash, _)| *hash)
    {
        all.remove(&oldest);
    }
}

impl Waiting {
    /// One that began in the future is from before the clock was set back.
    fn is_within(&self, now: Moment) -> bool {
        now < self.until && self.until.since(now) <= Halfway::KEPT
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use agentflow_events::Moment;

    use super::Halfway;
    use crate::edge::Sender;
    use crate::id::mint;
    use crate::record::{FactorState, Operator, Role};

    #[test]
    fn a_sign_in_waits_for_minutes_and_the_oldest_makes_room() {
        let start = Moment::from_unix_millis(1_700_000_000_000);
        let operator = Operator {
            id: mint(start),
            workspace_id: mint(start),
            email: "ada@example.com".to_owned(),
            password_hash: "hash".to_owned(),
            role: Role::Viewer,
            created_at: start,
            invited_until: None,
            second_factor: FactorState::On,
        };
        let halfway = Halfway::default();
        let sender = |last: u16| Sender::from(IpAddr::from([192, 0, (last >> 8) as u8, last as u8]));
        let token = halfway.begin(&operator, "/dashboard/leads", sender(1), start);
        let last = start.plus(Halfway::KEPT - std::time::Duration::from_millis(1));
        let waiting = halfway.find(&token, last).expect("it waits");
        assert_eq!((waiting.operator_id, waiting.next.as_str()), (operator.id, "/dashboard/leads"));
        assert!(halfway.find(&token, start.plus(Halfway::KEPT)).is_none());
        assert!(halfway.find(&token, start.minus(Halfway::KEPT)).is_none(), "the clock was set back");
        assert!(halfway.find("another", start).is_none());
        let other = Operator { id: mint(start), ..operator.clone() };
        for _ in 0..9 {
            let _ = halfway.begin(&other, "", sender(1), last);
            let _ = halfway.begin(&operator, "", sender(2), last);
        }
        assert_eq!(halfway.lock().len(), 1 + 2 * Halfway::OF_ONE_SENDER_MAX);
        assert!(halfway.find(&token, last).is_some(), "nobody pushes out the others, nor another sender's");
        for number in 0..2 * Halfway::OF_ONE_MAX {
            let _ = halfway.begin(&other, "", sender(number as u16), last);
        }
        assert_eq!(halfway.lock().len(), 1 + Halfway::OF_ONE_SENDER_MAX + Halfway::OF_ONE_MAX);
        for _ in 0..Halfway::WAITING_MAX {
            let _ = halfway.begin(&Operator { id: mint(start), ..operator.clone() }, "", sender(1), last);
        }
        assert_eq!(halfway.lock().len(), Halfway::WAITING_MAX);
        assert!(halfway.find(&token, last).is_none());
    }
}
