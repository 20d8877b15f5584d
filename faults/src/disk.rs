//! A disk that exists in memory: counts calls, fails where it is told to, and records what was written and synced.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};

use crate::locks::Locks;

/// An extended result code of SQLite.
pub type Code = i32;

/// The names of a folder and what their files hold.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A file, whatever it is called.
pub type FileId = u64;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The device: writes, truncations and syncs answer EIO.
    Device,
    /// No space: writes answer ENOSPC, syncs succeed.
    Full,
}

/// A fault to come.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The call that fails; they are counted from 0.
    pub at: u64,
    /// Whether every later one fails as well.
    pub lasting: bool,
    /// What fails. Half of what a failing write brings reaches the file.
    pub kind: FaultKind,
}

/// What a sync is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncs {
    /// What was written before it is on the disk when it returns.
    #[default]
    Honest,
    /// It does nothing, as `synchronous=OFF`.
    Ignored,
    /// What was written since the sync before reaches the disk with the next one: whoever answers after a sync has
    /// answered too early.
    Late,
}

/// One change of the disk, in its order.
#[derive(Clone, Debug)]
pub enum Change {
    /// A file came to be.
    Create(String, FileId),
    /// A name was removed.
    Delete(String),
    /// Names as they were are on the disk.
    SyncFolder,
    /// Bytes from an offset on.
    Write(FileId, usize, Vec<u8>),
    /// A new size.
    Truncate(FileId, usize),
    /// The file's changes before this place of the record are on the disk.
    Sync(FileId, usize),
    /// A sync failed: the file's changes between these places are lost, and no later sync brings them back.
    Lost(FileId, usize, usize),
}

/// What a disk began with and how it changed.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// All of it on the disk.
    pub base: BTreeMap<String, (FileId, Vec<u8>)>,
    /// Every change since.
    pub changes: Vec<Change>,
}

/// One folder of a simulated disk. Dropped, its name is free again.
pub struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: BTreeMap<String, Arc<Node>>,
    record: Record,
    calls: u64,
    fault: Option<Fault>,
    hits: u64,
    /// Writes and syncs of a failing device: what no store may go on after.
    device_failures: u64,
    syncs: Syncs,
    /// Where each file's last sync stands in the record.
    last_sync: BTreeMap<FileId, usize>,
}

struct Node {
    id: FileId,
    bytes: Mutex<Vec<u8>>,
    /// As of the last sync. After a failed one the system may show these again, as Linux does once it has thrown the
    /// pages out.
    synced: Mutex<Vec<u8>>,
    locks: Mutex<Locks>,
    shared: Mutex<Shared>,
}

/// Memory that the connections of a file share. It ends with the last of them, as Linux's does with SQLite.
#[derive(Default)]
struct Shared {
    regions: Vec<Box<[AtomicU64]>>,
    holders: BTreeSet<u64>,
}

static DISKS: Mutex<BTreeMap<PathBuf, Weak<Disk>>> = Mutex::new(BTreeMap::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Node {
    fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            id: number(),
            synced: Mutex::new(bytes.clone()),
            bytes: Mutex::new(bytes),
            locks: Mutex::default(),
            shared: Mutex::default(),
        })
    }
}

impl Disk {
    /// What SQLite opens in `folder` is from now on in this disk, which holds these files, all of them synced. The folder
    /// itself is real, for what is no database there: the store's lock.
    pub fn mount(folder: &Path, files: Files) -> Arc<Self> {
        crate::register();
        let mut state = State::default();
        for (name, bytes) in files {
            let node = Node::new(bytes.clone());
            state.record.base.insert(name.clone(), (node.id, bytes));
            state.names.insert(name, node);
        }
        let disk = Arc::new(Self { folder: folder.to_owned(), state: Mutex::new(state) });
        locked(&DISKS).insert(folder.to_owned(), Arc::downgrade(&disk));
        disk
    }

    fn at(path: &Path) -> Option<(Arc<Self>, String)> {
        let disk = locked(&DISKS).get(path.parent()?)?.upgrade()?;
        Some((disk, path.file_name()?.to_str()?.to_owned()))
    }

    /// Lets a call fail; `None`: none from now on.
    pub fn fail(&self, fault: Option<Fault>) {
        locked(&self.state).fault = fault;
    }

    /// What syncs are worth from now on.
    pub fn set_syncs(&self, syncs: Syncs) {
        locked(&self.state).syncs = syncs;
    }

    /// Writes, truncations and syncs so far.
    pub fn calls(&self) -> u64 {
        locked(&self.state).calls
    }

    /// How many calls failed.
    pub fn hits(&self) -> u64 {
        locked(&self.state).hits
    }

    /// How many writes and syncs failed because of the device.
    pub fn device_failures(&self) -> u64 {
        locked(&self.state).device_failures
    }

    /// The number of changes so far: the present place of the record.
    pub fn place(&self) -> usize {
        locked(&self.state).record.changes.len()
    }

    /// What happened so far.
    pub fn record(&self) -> Record {
        locked(&self.state).record.clone()
    }

    /// The files as a program sees them.
    pub fn files(&self) -> Files {
        let state = locked(&self.state);
        state.names.iter().map(|(name, node)| (name.clone(), locked(&node.bytes).clone())).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut disks = locked(&DISKS);
        // Another one may be mounted there by now.
        if disks.get(&self.folder).is_some_and(|known| known.strong_count() == 0) {
            disks.remove(&self.folder);
        }
    }
}

enum Call {
    Write,
    Truncate,
    Sync,
}

impl State {
    /// Counts a call; answers how it fails, if it does.
    fn call(&mut self, call: &Call) -> Option<Code> {
        let number = self.calls;
        self.calls += 1;
        let fault = self.fault.filter(|it| it.at == number || it.lasting && it.at < number)?;
        let code = match (call, fault.kind) {
            (Call::Write, FaultKind::Full) => SQLITE_FULL,
            (_, FaultKind::Full) => return None,
            (Call::Write, FaultKind::Device) => SQLITE_IOERR_WRITE,
            (Call::Truncate, FaultKind::Device) => SQLITE_IOERR_TRUNCATE,
            (Call::Sync, FaultKind::Device) => SQLITE_IOERR_FSYNC,
        };
        self.hits += 1;
        // A file that could not be shortened has lost nothing.
        self.device_failures += u64::from(fault.kind == FaultKind::Device && !matches!(call, Call::Truncate));
        Some(code)
    }
}

/// An open file.
pub(crate) struct Handle {
    id: u64,
    /// Absent for a file without a name, which no crash outlives.
    disk: Option<Arc<Disk>>,
    node: Arc<Node>,
    /// Its first sync brings its name to the disk.
    syncs_folder: bool,
}

impl Handle {
    pub(crate) fn open(path: Option<&Path>, create: bool, syncs_folder: bool) -> Option<Self> {
        let Some(path) = path else {
            return Some(Self { id: number(), disk: None, node: Node::new(Vec::new()), syncs_folder: false });
        };
        let (disk, name) = Disk::at(path)?;
        let mut created = false;
        let node = {
            let mut state = locked(&disk.state);
            match state.names.get(&name) {
                Some(node) => Arc::clone(node),
                None if create => {
                    created = true;
                    let node = Node::new(Vec::new());
                    state.record.changes.push(Change::Create(name.clone(), node.id));
                    state.names.insert(name, Arc::clone(&node));
                    node
                }
                None => return None,
            }
        };
        Some(Self { id: number(), disk: Some(disk), node, syncs_folder: syncs_folder && created })
    }

    pub(crate) fn delete(path: &Path, sync_folder: bool) -> Result<(), Code> {
        let Some((disk, name)) = Disk::at(path) else {
            return Err(rusqlite::ffi::SQLITE_IOERR_DELETE_NOENT);
        };
        let mut state = locked(&disk.state);
        if state.names.remove(&name).is_none() {
            return Err(rusqlite::ffi::SQLITE_IOERR_DELETE_NOENT);
        }
        state.record.changes.push(Change::Delete(name));
        if sync_folder {
            state.record.changes.push(Change::SyncFolder);
        }
        Ok(())
    }

    pub(crate) fn exists(path: &Path) -> bool {
        Disk::at(path).is_some_and(|(disk, name)| locked(&disk.state).names.contains_key(&name))
    }

    pub(crate) fn size(&self) -> usize {
        locked(&self.node.bytes).len()
    }

    /// Answers how many bytes there were.
    pub(crate) fn read(&self, at: usize, buffer: &mut [u8]) -> usize {
        let bytes = locked(&self.node.bytes);
        let Some(from) = bytes.get(at..) else { return 0 };
        let read = from.len().min(buffer.len());
        buffer[..read].copy_from_slice(&from[..read]);
        read
    }

    pub(crate) fn write(&self, at: usize, buffer: &[u8]) -> Result<(), Code> {
        let mut state = self.state();
        let failure = state.as_mut().and_then(|state| state.call(&Call::Write));
        let buffer = if failure.is_some() { &buffer[..buffer.len() / 2] } else { buffer };
        put(&mut locked(&self.node.bytes), at, buffer);
        if let Some(state) = &mut state {
            state.record.changes.push(Change::Write(self.node.id, at, buffer.to_vec()));
        }
        failure.map_or(Ok(()), Err)
    }

    pub(crate) fn truncate(&self, size: usize) -> Result<(), Code> {
        let mut state = self.state();
        if let Some(failure) = state.as_mut().and_then(|state| state.call(&Call::Truncate)) {
            return Err(failure);
        }
        locked(&self.node.bytes).resize(size, 0);
        if let Some(state) = &mut state {
            state.record.changes.push(Change::Truncate(self.node.id, size));
        }
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> Result<(), Code> {
        let Some(disk) = self.disk.clone() else { return Ok(()) };
        let mut state = locked(&disk.state);
        let failure = state.call(&Call::Sync);
        let (now, id) = (state.record.changes.len(), self.node.id);
        if let Some(failure) = failure {
            let before = state.last_sync.get(&id).copied().unwrap_or(0);
            state.record.changes.push(Change::Lost(id, before, now));
            locked(&self.node.bytes).clone_from(&locked(&self.node.synced));
            return Err(failure);
        }
        locked(&self.node.synced).clone_from(&locked(&self.node.bytes));
        let before = state.last_sync.insert(id, now).unwrap_or(0);
        match state.syncs {
            Syncs::Honest => state.record.changes.push(Change::Sync(id, now)),
            Syncs::Late => state.record.changes.push(Change::Sync(id, before)),
            Syncs::Ignored => return Ok(()),
        }
        if std::mem::take(&mut self.syncs_folder) {
            state.record.changes.push(Change::SyncFolder);
        }
        Ok(())
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        self.disk.as_ref().map(|disk| locked(&disk.state))
    }

    pub(crate) fn lock(&self, level: i32) -> Result<(), Code> {
        locked(&self.node.locks).lock(self.id, level)
    }

    pub(crate) fn unlock(&self, level: i32) {
        locked(&self.node.locks).unlock(self.id, level);
    }

    pub(crate) fn is_reserved(&self) -> bool {
        locked(&self.node.locks).is_reserved()
    }

    /// The start of a region of the memory that a file's connections share.
    pub(crate) fn shared_region(&self, region: usize, bytes: usize, extend: bool) -> Option<NonNull<u64>> {
        let mut shared = locked(&self.node.shared);
        shared.holders.insert(self.id);
        while extend && shared.regions.len() <= region {
            shared.regions.push((0..bytes / size_of::<u64>()).map(|_| AtomicU64::new(0)).collect());
        }
        shared.regions.get(region).map(|words| NonNull::from(&**words).cast())
    }

    pub(crate) fn lock_slots(&self, slots: Range<usize>, shared: bool) -> Result<(), Code> {
        locked(&self.node.locks).lock_slots(self.id, slots, shared)
    }

    pub(crate) fn unlock_slots(&self, slots: Range<usize>) {
        locked(&self.node.locks).unlock_slots(self.id, slots);
    }

    /// This handle needs none of it any more.
    pub(crate) fn unmap(&self) {
        let mut shared = locked(&self.node.shared);
        shared.holders.remove(&self.id);
        if shared.holders.is_empty() {
            shared.regions.clear();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.unmap();
        locked(&self.node.locks).forget(self.id);
    }
}

/// Writes into a file, which grows if need be.
pub(crate) fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let end = at + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(data);
}
