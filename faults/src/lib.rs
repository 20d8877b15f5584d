//! Proves that the store loses nothing acknowledged under faults, over disks that are simulated below SQLite.
//!
//! ```text
//! workload -> the real store -> SQLite -> ffi -> disk (faults, record)
//!     |                                            |
//!  history (what was acknowledged, when)        image (what a power cut may leave)
//!     +----------------> audit <-- the real store -+
//! ```
//!
//! - [`sweep`]: one call of the disk fails, or all from one on; then the store opens again on a healthy disk.
//! - [`power`]: the power is cut at any moment; what was not synced is kept, dropped, reordered or torn.
//! - [`full`]: the server's binary on a small file system that runs full.
//!
//! `scripts/faults` runs all of them at length; `tests/` a part of each.

pub mod audit;
pub mod disk;
mod ffi;
pub mod full;
pub mod history;
pub mod image;
mod locks;
pub mod power;
pub mod sweep;
pub mod workload;

pub use ffi::register;
