//! What the benchmarks share: the rows that are measured against each other.

pub mod verify;
