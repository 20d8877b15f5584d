//! What the benchmarks share: the rows that are measured against each other, a whole stack under load, and a test for
//! differences in time.

mod random;
#[cfg(feature = "stack")]
pub mod stack;
pub mod timing;
pub mod verify;

pub use random::Random;
