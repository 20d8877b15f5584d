//! The two-phase protocol as a trait, and what passes between a store and its callers.

use std::fmt;
use std::time::Duration;

use crate::Moment;
use crate::idempotency::IdempotencyKey;

/// Tells one holder of a key from every other: a number that only ever rises.
///
/// It fences: whoever acts on the outside world for a claim may pass it on, and what is acted upon can refuse a lower
/// number than it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    /// The token of this number, for stores. A signed 64-bit column holds it: stores count from 1.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to do a key's work until the lease runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a claim that is neither committed nor aborted blocks its key until the lease runs out"]
pub struct Claim {
    /// What ends the claim, by commit or abort.
    pub token: FencingToken,
}

/// What a store says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Begin {
    /// Nobody has done the work and nobody is at it: it is the caller's now.
    Fresh(Claim),
    /// Somebody is at it. The work may yet fail, so this delivery must **not** be acknowledged.
    InFlight {
        /// When the other's lease runs out and the key can be taken over.
        until: Moment,
    },
    /// The work is done. Acknowledge, and don't do it again.
    Done,
}

/// Why a claim could not be committed or aborted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError<E> {
    /// The token does not hold the key: another took it over, or the claim was aborted or purged, or (for an abort)
    /// the work is done. Nothing has been changed.
    #[error("the claim no longer holds its key")]
    NotHeld,
    /// The store failed; whether the change was made is not known.
    #[error(transparent)]
    Store(#[from] E),
}

impl<E> ClaimError<E> {
    /// The stable code: `claim_not_held` or `store_unavailable`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotHeld => "claim_not_held",
            Self::Store(_) => "store_unavailable",
        }
    }
}

/// A memory of which work has been done, that stays right when processes crash, stall and race.
///
/// Every operation is atomic: of any number of callers, in any number of processes that share the store, one wins.
/// `now` comes from the caller; clocks of callers that share a store should agree to well within a lease. The table of
/// states is in the [module documentation](super).
///
/// The suite behind the feature `suite` holds an implementation against all of this.
pub trait IdempotencyStore: Send + Sync {
    /// What the store itself fails with.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Asks for the key's work. Of all who ask at once, one gets [`Begin::Fresh`].
    ///
    /// A claim holds from `now` up to, not including, `now + lease`; from then on the next to ask takes it over. The
    /// lease should be longer than the work ever takes. Each claim's token is higher than every earlier one of the same
    /// key, also after an abort, a takeover or a purge.
    fn begin(
        &self,
        key: IdempotencyKey,
        now: Moment,
        lease: Duration,
    ) -> impl Future<Output = Result<Begin, Self::Error>> + Send;

    /// Records that the work is done, from `now` on and for good.
    ///
    /// # Errors
    ///
    /// [`ClaimError::NotHeld`] where the claim was taken over or aborted. A lease that ran out without anyone taking
    /// over is no obstacle. Committing the same claim again succeeds and changes nothing.
    fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> impl Future<Output = Result<(), ClaimError<Self::Error>>> + Send;

    /// Gives the key back, so that the next to ask begins afresh at once.
    ///
    /// # Errors
    ///
    /// [`ClaimError::NotHeld`] where the claim was taken over, aborted or committed.
    fn abort(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
    ) -> impl Future<Output = Result<(), ClaimError<Self::Error>>> + Send;

    /// Forgets work that was done before `older_than`, and claims whose lease ran out before it and that nobody took
    /// over. Says how many records went. Claims in flight stay.
    ///
    /// What is forgotten would be done again if it were delivered again, so keep it for as long as the sender may send
    /// it: eight days cover AgentFlow's retries; a resend by hand may come later still.
    fn purge(&self, older_than: Moment) -> impl Future<Output = Result<u64, Self::Error>> + Send;
}
