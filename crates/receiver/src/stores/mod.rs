//! Idempotency stores that outlive the process, each behind a feature named like its module.
//!
//! | store | shared by | survives | one transaction with your work |
//! | --- | --- | --- | --- |
//! | [`MemoryStore`](agentflow_events::idempotency::MemoryStore) | one process | nothing | - |
//! | `sqlite::SqliteStore` | processes of one machine | crash, power cut | `SqliteStore::commit_in` |
//! | `postgres::PostgresStore` | all replicas | crash, power cut, failover with synchronous replication | `PostgresStore::commit_in` |
//! | `redis::RedisStore` | all replicas | as much as Redis was told to keep | - |
//!
//! All keep the protocol of [`agentflow_events::idempotency`] and pass its suite against the real thing. A purge takes
//! batches of 500 records, each by itself, so that deliveries go on meanwhile.

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// How many records a purge takes at once.
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
const PURGE_BATCH: u64 = 500;
