//! The power is cut at any moment of a recorded workload.

use std::path::Path;

use agentflow_benches::Random;
use agentflow_benches::stack::Fault as Failure;
use agentflow_server::store::StoreError;
use agentflow_server::store::sqlite::{Pace, SqliteStore};

use crate::audit::Violation;
use crate::disk::{Disk, Files, Record, Syncs};
use crate::history::History;
use crate::image::{Tear, after_cut};
use crate::sweep::Bench;
use crate::workload::{Model, Spell, open};

/// What is wrong on purpose, to see that the campaign finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Nothing.
    None,
    /// The store's writer has `synchronous=OFF`.
    SynchronousOff,
    /// The disk's syncs do nothing.
    SyncsIgnored,
    /// What is acknowledged after a sync is on the disk with the next one only.
    AcknowledgedEarly,
}

/// What was tried and what came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Images opened.
    pub images: u64,
    /// Workloads recorded.
    pub recordings: u64,
    /// Changes of the disk in them.
    pub changes: u64,
    /// Calls of the store that were acknowledged before the cut, over all images.
    pub acknowledged: u64,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.images += other.images;
        self.recordings += other.recordings;
        self.changes += other.changes;
        self.acknowledged += other.acknowledged;
        self.violations.extend(other.violations);
    }
}

/// Images of one recording.
pub const IMAGES_A_RECORDING: u64 = 100;

/// Opens so many images. A seed repeats them.
///
/// # Errors
/// The workload does not run on a healthy disk.
pub fn campaign(bench: &Bench, images: u64, seed: u64, plant: Plant) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut random = Random::new(seed);
    while report.images < images {
        let (record, history) = record(bench, random.below(u64::MAX), plant)?;
        report.recordings += 1;
        report.changes += record.changes.len() as u64;
        for number in 0..IMAGES_A_RECORDING.min(images - report.images) {
            let tear = Tear::ALL[number as usize % Tear::ALL.len()];
            let cut = random.below(record.changes.len() as u64 + 1) as usize;
            let files = after_cut(&record, cut, tear, &mut random);
            let violations = bench.audit_image(files, &history, cut);
            let describe = |what| {
                format!(
                    "{plant:?}, seed {seed}, recording {}, cut {cut}, {tear:?}: {what}",
                    report.recordings
                )
            };
            report.violations.extend(violations.into_iter().map(describe));
            report.images += 1;
            report.acknowledged += history.acknowledged_by(cut);
        }
    }
    Ok(report)
}

/// Three spells over one disk, which is empty at first or holds what an earlier one left.
fn record(bench: &Bench, seed: u64, plant: Plant) -> Result<(Record, History), Failure> {
    let mut random = Random::new(seed);
    let (mut model, mut history) = (Model::default(), History::default());
    let mut files = Files::new();
    if random.below(4) > 0 {
        let disk = Disk::mount(bench.live(), files);
        spell(bench, &disk, &mut model, &mut history, random.below(u64::MAX), Plant::None)?;
        files = disk.files();
        history = history.settled();
    }
    let disk = Disk::mount(bench.live(), files);
    disk.set_syncs(match plant {
        Plant::None | Plant::SynchronousOff => Syncs::Honest,
        Plant::SyncsIgnored => Syncs::Ignored,
        Plant::AcknowledgedEarly => Syncs::Late,
    });
    for _ in 0..3 {
        spell(bench, &disk, &mut model, &mut history, random.below(u64::MAX), plant)?;
    }
    Ok((disk.record(), history))
}

fn spell(
    bench: &Bench,
    disk: &Disk,
    model: &mut Model,
    history: &mut History,
    seed: u64,
    plant: Plant,
) -> Result<(), Failure> {
    let database = bench.live().join("agentflow.db");
    let store = if plant == Plant::SynchronousOff { open_unsynced(&database)? } else { open(&database)? };
    bench.runtime.block_on(async {
        let mut spell = Spell::new(store, disk, model, history, seed);
        let worked = spell.work().await;
        spell.close().await;
        worked.map_err(|stopped| format!("it stopped on a healthy disk: {}", stopped.0).into())
    })
}

fn open_unsynced(database: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open_with(database, Pace::default(), |writer| {
        writer.pragma_update(None, "synchronous", "OFF")
    })
}
