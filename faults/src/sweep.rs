//! One call of the disk fails, or all from one on, at each call of a workload in turn.

use std::path::{Path, PathBuf};

use agentflow_benches::Random;
use agentflow_benches::stack::Fault as Failure;
use agentflow_server::store::Store;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::audit::{Violation, audit};
use crate::disk::{Disk, Fault, FaultKind, Files};
use crate::history::History;
use crate::image::{Tear, after_cut};
use crate::workload::{Model, Spell, open};

/// A spell as it goes on a healthy disk, and what it begins with.
#[derive(Clone)]
pub struct Scene {
    files: Files,
    model: Model,
    history: History,
    seed: u64,
    /// Writes, truncations and syncs from the store's start to its end.
    pub calls: u64,
}

/// What was tried and what came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Runs in which a call failed.
    pub injected: u64,
    /// Of them: those after which the store had stopped, or had not started.
    pub stopped: u64,
    /// Calls of the store that were acknowledged.
    pub acknowledged: u64,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.injected += other.injected;
        self.stopped += other.stopped;
        self.acknowledged += other.acknowledged;
        self.violations.extend(other.violations);
    }
}

/// A place for disks, and a runtime for the stores over them.
pub struct Bench {
    /// Kept for its drop.
    _folder: TempDir,
    live: PathBuf,
    cut: PathBuf,
    pub(crate) runtime: Runtime,
}

impl Bench {
    /// A bench of its own.
    ///
    /// # Errors
    /// There is no room for its folder.
    pub fn new() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("agentflow-faults-").tempdir()?;
        let (live, cut) = (folder.path().join("live"), folder.path().join("cut"));
        std::fs::create_dir(&live)?;
        std::fs::create_dir(&cut)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { _folder: folder, live, cut, runtime })
    }

    /// The folder of the disk that is worked on.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// Opens these files as a disk of its own after a power cut, with the real store, and audits what it finds.
    pub fn audit_image(&self, files: Files, history: &History, cut: usize) -> Vec<Violation> {
        let disk = Disk::mount(&self.cut, files);
        let violations = self.reopened(&self.cut, history, cut);
        drop(disk);
        violations
    }

    /// Opens what is in the folder with the real store, which must be able to write, and audits it.
    pub fn reopened(&self, folder: &Path, history: &History, cut: usize) -> Vec<Violation> {
        let database = folder.join("agentflow.db");
        let store = match open(&database) {
            Ok(store) => store,
            Err(error) => return vec![format!("it does not open again: {error}")],
        };
        let writable = self.runtime.block_on(async {
            let writable = store.check_writable().await;
            store.close().await;
            writable
        });
        drop(store);
        let mut violations = audit(&database, history, cut);
        violations.extend(writable.err().map(|error| format!("it cannot be written again: {error}")));
        violations
    }
}

/// The scenes of a workload with at least so many calls.
///
/// # Errors
/// A promise is broken on a healthy disk.
pub fn scenes(bench: &Bench, calls: u64, seed: u64) -> Result<Vec<Scene>, Failure> {
    let mut random = Random::new(seed);
    let (mut files, mut model, mut history) = (Files::new(), Model::default(), History::default());
    let (mut scenes, mut so_far) = (Vec::new(), 0);
    while so_far < calls {
        let mut scene = Scene {
            files: files.clone(),
            model: model.clone(),
            history: history.clone().settled(),
            seed: random.below(u64::MAX),
            calls: 0,
        };
        let disk = Disk::mount(bench.live(), files);
        let store = open(&bench.live().join("agentflow.db"))?;
        bench.runtime.block_on(async {
            let mut spell = Spell::new(store, &disk, &mut model, &mut history, scene.seed);
            let worked = spell.work().await;
            spell.close().await;
            worked.map_err(|stopped| format!("it stopped on a healthy disk: {}", stopped.0))
        })?;
        scene.calls = disk.calls();
        files = disk.files();
        let violations = bench.reopened(bench.live(), &history, usize::MAX);
        if let Some(first) = violations.first() {
            return Err(format!("on a healthy disk: {first}").into());
        }
        so_far += scene.calls;
        scenes.push(scene);
    }
    Ok(scenes)
}

/// Plays a scene with a fault, then opens it again on a healthy disk: as it is, and as a power cut at the end leaves it.
pub fn play(bench: &Bench, scene: &Scene, fault: Fault) -> Report {
    let (mut model, mut history) = (scene.model.clone(), scene.history.clone());
    let disk = Disk::mount(bench.live(), scene.files.clone());
    disk.fail(Some(fault));
    let mut report = Report::default();
    let database = bench.live().join("agentflow.db");
    let opened = open(&database);
    let goes_on = match opened {
        Ok(store) => bench.runtime.block_on(async {
            let mut spell = Spell::new(store, &disk, &mut model, &mut history, scene.seed);
            let mut worked = spell.work().await;
            let room_again = fault.kind == FaultKind::Full && disk.hits() > 0;
            if room_again {
                disk.fail(None);
                if let Err(stopped) = &worked {
                    report.violations.push(format!("it stopped for a full disk: {}", stopped.0));
                }
            }
            // A device that failed between two calls is told by the next. What has not failed yet may do so at the end.
            if disk.hits() > 0 && worked.is_ok() {
                worked = spell.proves_to_go_on().await;
                if room_again && let Err(stopped) = &worked {
                    report.violations.push(format!("it does not go on when there is room: {}", stopped.0));
                }
            }
            if spell.trusted_a_failed_device > 0 {
                let calls = spell.trusted_a_failed_device;
                report
                    .violations
                    .push(format!("{calls} calls were acknowledged after the device had failed"));
            }
            spell.close().await;
            worked.is_ok()
        }),
        Err(error) => {
            let sentence = error.to_string();
            if disk.hits() == 0 {
                report.violations.push(format!("it does not open: {sentence}"));
            }
            if sentence.contains('\n') || sentence.matches(&*database.to_string_lossy()).count() > 1 {
                report.violations.push(format!("no clear reason: {sentence}"));
            }
            false
        }
    };
    disk.fail(None);
    if disk.hits() == 0 {
        return Report::default();
    }
    report.injected = 1;
    report.stopped = u64::from(!goes_on);
    report.acknowledged = history.operations.len() as u64 - scene.history.operations.len() as u64;
    let record = disk.record();
    let cut = after_cut(&record, record.changes.len(), Tear::Dropped, &mut Random::new(scene.seed));
    let after = |how: &str, violations: Vec<Violation>| {
        violations.into_iter().map(|what| format!("{how}: {what}")).collect::<Vec<_>>()
    };
    report.violations.extend(after("after a power cut", bench.audit_image(cut, &history, usize::MAX)));
    report.violations.extend(after("reopened", bench.reopened(bench.live(), &history, usize::MAX)));
    for violation in &mut report.violations {
        *violation = format!("{fault:?}: {violation}");
    }
    report
}

/// Plays every `step`th call of the scenes, counted over all of them up to `calls`, in four ways: the device fails or is
/// full, once or for good.
pub fn sweep(bench: &Bench, scenes: &[Scene], calls: u64, mine: impl Fn(u64) -> bool) -> Report {
    let mut report = Report::default();
    let mut first = 0;
    for scene in scenes {
        for call in (0..scene.calls).filter(|call| first + call < calls && mine(first + call)) {
            for kind in [FaultKind::Device, FaultKind::Full] {
                for lasting in [false, true] {
                    report.add(play(bench, scene, Fault { at: call, lasting, kind }));
                }
            }
        }
        first += scene.calls;
    }
    report
}
