//! What the benchmarks share: the rows that are measured against each other, and a whole stack under load.

pub mod stack;
pub mod verify;
