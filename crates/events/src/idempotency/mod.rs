//! Idempotent receiving.

mod key;
mod memory;
mod store;

pub use key::{IdempotencyKey, KeyError};
pub use memory::MemoryStore;
pub use store::{Begin, Claim, ClaimError, FencingToken, IdempotencyStore};
