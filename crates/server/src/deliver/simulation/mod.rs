//! Scheduler, lanes, retry schedule and claims in a simulated world: a store, receivers, a clock and randomness of its own,
//! so that a seed repeats a run.
//!
//! [`world`] does what the worker does around the real scheduler. [`chaos`] makes a life of crashes, jumps of the clock,
//! lost and late answers out of a seed, [`ledger`] judges it, and [`bug`] plants the faults that the ledger must find.
//! `scripts/simulate SECONDS` runs as many seeds as fit.

mod bug;
mod chaos;
mod lanes;
mod ledger;
mod receiver;
mod seeds;
mod store;
mod world;
