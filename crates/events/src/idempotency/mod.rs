//! Idempotent receiving: do each event's work once, although it may be delivered often, twice at a time, and to a
//! process that dies in the middle.
//!
//! A sender repeats a delivery until somebody answers that all is well, and then never again. So the answer is the
//! receiver's promise that the work is done, and a receiver that only remembers which events it has *seen* breaks it:
//! it notes the event, crashes before the work, and takes the redelivery for a duplicate. Hence two phases: `begin`
//! claims the [key](IdempotencyKey) for a while, `commit` records that the work is done.
//!
//! # What to answer
//!
//! | `begin` says | work | then | tell the sender |
//! | --- | --- | --- | --- |
//! | [`Fresh`](Begin::Fresh) | succeeds | `commit` | 200 |
//! | [`Fresh`](Begin::Fresh) | fails | `abort` | 500 or 503: it tries again, and begins afresh |
//! | [`Fresh`](Begin::Fresh) | succeeds, but `commit` says [`NotHeld`](ClaimError::NotHeld) | nothing | 503: whoever took over answers for it |
//! | [`Fresh`](Begin::Fresh) | the process crashes | nothing | nothing: the lease runs out, the next attempt takes over |
//! | [`InFlight`](Begin::InFlight) | is not run | nothing | **503, never 2xx** |
//! | [`Done`](Begin::Done) | is not run again | nothing | 200 |
//! | the store's error | is not run | nothing | 503 |
//!
//! **Work in flight elsewhere must not be acknowledged.** It may still fail, and a sender that was told 2xx does not
//! come again: the event would be lost without a trace. Answer 503, with `Retry-After` where the protocol has it.
//!
//! [`run_once`] does all of this but the answer, and [`Receipt::is_acknowledged`] says which one. This crate itself
//! knows no status code.
//!
//! # The states of a key
//!
//! | state | `begin` | `commit` by the holder | `abort` by the holder | by anyone else |
//! | --- | --- | --- | --- | --- |
//! | unknown | `Fresh`; now in flight | - | - | `NotHeld` |
//! | in flight, lease runs | `InFlight` | now done | now unknown | `NotHeld` |
//! | in flight, lease ran out | `Fresh` with a higher token; the old holder is no longer the holder | now done | now unknown | `NotHeld` |
//! | done | `Done` | stays done | `NotHeld` | `NotHeld` |
//!
//! `purge` makes unknown again what was done long ago, and what was abandoned long ago.
//!
//! # What it does not do
//!
//! It cannot make an action that reaches outside happen exactly once: a process that dies between the action and
//! `commit` leaves it done and not recorded, and the next attempt does it again. Where that matters, do the work and the
//! commit in one transaction of the same database, or hand the [token](FencingToken) or the event's id on to what is
//! acted upon. A holder that outlives its lease is not stopped either; its commit is refused, so choose a lease longer
//! than the work can take.

mod key;
mod memory;
mod once;
mod store;

pub use key::{IdempotencyKey, KeyError};
pub use memory::MemoryStore;
pub use once::{Receipt, run_once};
pub use store::{Begin, Claim, ClaimError, FencingToken, IdempotencyStore};
