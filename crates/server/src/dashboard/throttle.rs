//! How often passwords and codes may be tried: for an account from one address, from an address, and for an account. And by an
//! operator who is signed in, whom strangers' tries at the same account keep from nothing.
//!
//! A try counts before anything is compared, so that no number of them at the same time passes a limit; what succeeds is
//! taken back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentflow_events::{Moment, OperatorId};

use crate::directory::sha256;
use crate::edge::Sender;

/// Counts tries by key over a quarter of an hour.
#[derive(Default)]
pub(super) struct Throttle {
    tries: Mutex<HashMap<Key, Tries>>,
}

/// What tries are counted by; accounts by the hash of their name, which may be anything that a stranger sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    AccountFrom([u8; 32], Sender),
    Address(Sender),
    Account([u8; 32]),
    SignedIn(OperatorId),
}

impl Key {
    fn tries_max(self) -> u32 {
        match self {
            Key::AccountFrom(..) | Key::SignedIn(_) => 10,
            Key::Address(_) => 30,
            Key::Account(_) => 100,
        }
    }
}

#[derive(Clone, Copy)]
struct Tries {
    count: u32,
    since: Moment,
}

impl Tries {
    /// A window that begins after `now` is from before the clock was set back.
    fn count_now(self, now: Moment) -> bool {
        self.since <= now && now.since(self.since) < Throttle::WINDOW
    }
}

/// Where a try stands among those of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The account's first.
    First,
    /// The last one at the account that is let through, from there or from anywhere.
    Last,
    /// Any other.
    Between,
}

/// One try. It counts, unless it is said to have succeeded or never to have been made.
#[must_use]
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    /// The first one is whose limit a success clears.
    keys: Vec<Key>,
    pub(super) standing: Standing,
}

impl Throttle {
    const WINDOW: Duration = Duration::from_secs(15 * 60);
    const KEYS_MAX: usize = 20_000;

    /// Counts a try for an account from an address.
    ///
    /// # Errors
    /// How long to wait; nothing was counted.
    pub(super) fn attempt(
        &self,
        account: &str,
        address: IpAddr,
        now: Moment,
    ) -> Result<Attempt<'_>, Duration> {
        let (account, sender) = (sha256(account.to_ascii_lowercase().as_bytes()), Sender::from(address));
        let keys = vec![Key::AccountFrom(account, sender), Key::Address(sender), Key::Account(account)];
        self.count(keys, Key::Account(account), now)
    }

    /// Counts a try by whoever is signed in as this operator.
    ///
    /// # Errors
    /// How long to wait; nothing was counted.
    pub(super) fn attempt_within(&self, operator: OperatorId, now: Moment) -> Result<Attempt<'_>, Duration> {
        let key = Key::SignedIn(operator);
        self.count(vec![key], key, now)
    }

    /// `first_of` is whose first try is told of.
    fn count(&self, keys: Vec<Key>, first_of: Key, now: Moment) -> Result<Attempt<'_>, Duration> {
        let mut tries = self.lock();
        let used_up = keys.iter().filter_map(|key| {
            let known = tries.get(key)?;
            (known.count_now(now) && known.count >= key.tries_max()).then_some(known.since)
        });
        if let Some(since) = used_up.max() {
            return Err(since.plus(Self::WINDOW).since(now));
        }
        let mut standing = Standing::Between;
        for key in &keys {
            let counted = count(&mut tries, *key, now);
            // An address is nobody's account.
            if counted == key.tries_max() && !matches!(key, Key::Address(_)) {
                standing = Standing::Last;
            } else if counted == 1 && *key == first_of && standing != Standing::Last {
                standing = Standing::First;
            }
        }
        Ok(Attempt { throttle: self, keys, standing })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Whoever it is has signed in: forgets the account's tries from this address, and takes this one back from the others. What
    /// else an address or others have tried is not forgiven for one account that somebody there knows.
    pub(super) fn succeeded(self) {
        let mut tries = self.throttle.lock();
        tries.remove(&self.keys[0]);
        self.keys[1..].iter().for_each(|key| take_back(&mut tries, key));
    }

    /// It was no guess, or was not made: as if it had not been.
    pub(super) fn taken_back(self) {
        let mut tries = self.throttle.lock();
        self.keys.iter().for_each(|key| take_back(&mut tries, key));
    }
}

fn count(tries: &mut HashMap<Key, Tries>, key: Key, now: Moment) -> u32 {
    if tries.len() >= Throttle::KEYS_MAX && !tries.contains_key(&key) {
        make_room(tries, now);
    }
    let fresh = Tries { count: 0, since: now };
    let known = tries.entry(key).or_insert(fresh);
    if !known.count_now(now) {
        *known = fresh;
    }
    known.count += 1;
    known.count
}

/// Forgets what is past its window; where nothing is, the key with the fewest tries, so that a crowd of strangers makes nobody be
/// forgotten who is near a limit.
fn make_room(tries: &mut HashMap<Key, Tries>, now: Moment) {
    tries.retain(|_, known| known.count_now(now));
    if tries.len() >= Throttle::KEYS_MAX {
        let least = tries.iter().min_by_key(|(_, known)| (known.count, known.since)).map(|(key, _)| *key);
        least.and_then(|key| tries.remove(&key));
    }
}

fn take_back(tries: &mut HashMap<Key, Tries>, key: &Key) {
    if let Some(known) = tries.get_mut(key) {
        known.count = known.count.saturating_sub(1);
        if known.count == 0 {
            tries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::{Standing, Throttle};
    use crate::id::mint;

    const START: Moment = Moment::from_unix_millis(1_700_000_000_000);

    fn address(last: u16) -> IpAddr {
        Ipv4Addr::from_bits(0xc000_0200 + u32::from(last)).into()
    }

    /// Whether one more failure is let through.
    fn fails(throttle: &Throttle, account: &str, from: IpAddr, now: Moment) -> bool {
        throttle.attempt(account, from, now).is_ok()
    }

    #[test]
    fn ten_tries_of_an_account_from_an_address_have_it_wait_for_the_rest_of_a_quarter_of_an_hour() {
        let throttle = Throttle::default();
        let later = |seconds| START.plus(Duration::from_secs(seconds));
        for _ in 0..10 {
            assert!(fails(&throttle, "ada", address(1), START));
        }
        let refused = throttle.attempt("ADA", address(1), later(60)).err();
        assert_eq!(refused, Some(Duration::from_secs(14 * 60)), "case does not matter");
        assert!(fails(&throttle, "ada", address(2), later(60)), "elsewhere");
        assert!(fails(&throttle, "bob", address(1), later(60)));
        assert!(fails(&throttle, "ada", address(1), START.minus(Duration::from_secs(1))), "a clock set back");
        assert!(fails(&throttle, "ada", address(1), later(901)));
    }

    #[test]
    fn tries_count_before_anybody_knows_what_becomes_of_them() {
        let throttle = Throttle::default();
        let under_way: Vec<_> =
            (0..10).map(|_| throttle.attempt("ada", address(1), START).expect("one of ten")).collect();
        assert!(throttle.attempt("ada", address(1), START).is_err());
        under_way.into_iter().for_each(super::Attempt::taken_back);
        assert!(throttle.lock().is_empty(), "as if they had not been");
    }

    #[test]
    fn an_address_has_thirty_tries_and_an_account_a_hundred() {
        let throttle = Throttle::default();
        for nth in 0..30 {
            assert!(fails(&throttle, &format!("account {}", nth % 5), address(1), START));
        }
        assert!(!fails(&throttle, "another", address(1), START));
        for nth in 0..100 {
            assert!(fails(&throttle, "ada", address(100 + nth), START));
        }
        assert!(!fails(&throttle, "ada", address(99), START));
    }

    #[test]
    fn whoever_is_signed_in_has_ten_tries_of_their_own() {
        let throttle = Throttle::default();
        let (ada, bob) = (mint(START), mint(START));
        for nth in 0..100 {
            assert!(fails(&throttle, "ada", address(nth), START));
        }
        let standings: Vec<_> =
            (0..10).map(|_| throttle.attempt_within(ada, START).expect("one of ten").standing).collect();
        assert_eq!((standings[0], standings[9]), (Standing::First, Standing::Last));
        assert!(standings[1..9].iter().all(|standing| *standing == Standing::Between));
        assert!(throttle.attempt_within(ada, START).is_err());
        assert!(throttle.attempt_within(bob, START).is_ok());
    }

    #[test]
    fn a_64_of_ipv6_is_one_address() {
        let throttle = Throttle::default();
        let within = |network: u128, host: u128| IpAddr::from(Ipv6Addr::from_bits(network << 64 | host));
        for host in 0..10 {
            assert!(fails(&throttle, "ada", within(1, host), START));
        }
        assert!(!fails(&throttle, "ada", within(1, 99), START));
        assert!(fails(&throttle, "ada", within(2, 99), START));
    }

    #[test]
    fn a_sign_in_forgets_the_accounts_tries_there_and_none_else() {
        let throttle = Throttle::default();
        let signs_in = |from| throttle.attempt("ada", from, START).expect("below every limit").succeeded();
        for _ in 0..9 {
            assert!(fails(&throttle, "ada", address(1), START));
        }
        signs_in(address(1));
        for _ in 0..10 {
            assert!(fails(&throttle, "ada", address(1), START));
        }
        assert!(!fails(&throttle, "ada", address(1), START));

        for nth in 0..29 {
            assert!(fails(&throttle, &format!("account {}", nth % 5), address(2), START));
        }
        signs_in(address(2));
        assert!(fails(&throttle, "ada", address(2), START), "the address's thirtieth");
        assert!(!fails(&throttle, "ada", address(2), START));
    }

    #[test]
    fn the_first_and_the_last_try_are_known_as_such() {
        let throttle = Throttle::default();
        let standing = |from| throttle.attempt("ada", from, START).ok().map(|attempt| attempt.standing);
        assert_eq!(standing(address(1)), Some(Standing::First));
        for _ in 0..8 {
            assert_eq!(standing(address(1)), Some(Standing::Between));
        }
        assert_eq!(standing(address(1)), Some(Standing::Last));
        assert_eq!(standing(address(2)), Some(Standing::Between));
    }

    #[test]
    fn a_crowd_of_strangers_is_not_remembered_past_the_bound_and_drives_out_nobody_near_a_limit() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            assert!(fails(&throttle, "ada", address(1), START));
        }
        for stranger in 0..7_000u128 {
            let from = IpAddr::from(Ipv6Addr::from_bits(stranger << 64));
            assert!(fails(&throttle, &stranger.to_string(), from, START));
        }
        assert_eq!(throttle.lock().len(), Throttle::KEYS_MAX);
        assert!(!fails(&throttle, "ada", address(1), START));
    }
}
