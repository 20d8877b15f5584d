//! What a power cut may leave of a recorded disk.

use std::collections::BTreeMap;

use agentflow_benches::Random;

use crate::disk::{Change, FileId, Files, Record, put};

/// A sector is written as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What becomes of changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// All are lost.
    Dropped,
    /// All are there, as after the end of the process alone.
    Kept,
    /// The first ones are there, in the disk's order; the last of them in part.
    Prefix,
    /// Any of them are there.
    Some,
    /// Any sectors of them are there.
    Sectors,
    /// Any sectors of them are there, and an earlier one may lie over a later one.
    Reordered,
}

impl Tear {
    /// Every way.
    pub const ALL: [Tear; 6] =
        [Tear::Dropped, Tear::Kept, Tear::Prefix, Tear::Some, Tear::Sectors, Tear::Reordered];
}

/// The files after a cut between the changes before place `cut` and those from it on.
pub fn after_cut(record: &Record, cut: usize, tear: Tear, random: &mut Random) -> Files {
    let changes = &record.changes[..cut];
    let mut synced: BTreeMap<FileId, usize> = BTreeMap::new();
    let mut lost = Vec::new();
    let mut folder_synced = 0;
    for (place, change) in changes.iter().enumerate() {
        match change {
            Change::Sync(file, upto) => {
                let known = synced.entry(*file).or_default();
                *known = (*known).max(*upto);
            }
            Change::SyncFolder => folder_synced = place,
            Change::Lost(file, from, to) => lost.push((*file, *from..*to)),
            _ => {}
        }
    }
    let mut names: BTreeMap<&str, FileId> =
        record.base.iter().map(|(name, (id, _))| (name.as_str(), *id)).collect();
    let mut contents: BTreeMap<FileId, Vec<u8>> =
        record.base.values().map(|(id, bytes)| (*id, bytes.clone())).collect();
    let mut unsynced = Vec::new();
    for (place, change) in changes.iter().enumerate() {
        let is_synced = match change {
            Change::Create(..) | Change::Delete(_) => place < folder_synced,
            Change::Write(file, ..) | Change::Truncate(file, _) => {
                if lost.iter().any(|(other, places)| other == file && places.contains(&place)) {
                    continue;
                }
                synced.get(file).is_some_and(|upto| place < *upto)
            }
            Change::Sync(..) | Change::SyncFolder | Change::Lost(..) => continue,
        };
        if is_synced {
            apply(change, &mut names, &mut contents, |_| true);
        } else {
            unsynced.push(change);
        }
    }

    // How likely one is there differs from image to image, so that nearly none and nearly all are tried, too.
    let odds = 1 + random.below(15);
    let prefix = random.below(unsynced.len() as u64 + 1) as usize;
    if tear == Tear::Reordered {
        for _ in 0..unsynced.len() {
            let one = random.below(unsynced.len() as u64) as usize;
            let other = random.below(unsynced.len() as u64) as usize;
            let both_of_content = [one, other]
                .iter()
                .all(|place| matches!(unsynced[*place], Change::Write(..) | Change::Truncate(..)));
            if both_of_content {
                unsynced.swap(one, other);
            }
        }
    }
    for (place, change) in unsynced.into_iter().enumerate() {
        let chance = |random: &mut Random| random.below(16) < odds;
        let (whole, torn) = match tear {
            Tear::Dropped => (false, false),
            Tear::Kept => (true, false),
            Tear::Prefix => (place < prefix, place == prefix),
            Tear::Some => (chance(random), false),
            Tear::Sectors | Tear::Reordered => (false, true),
        };
        if whole {
            apply(change, &mut names, &mut contents, |_| true);
        } else if torn {
            let is_content = matches!(change, Change::Write(..));
            if is_content || chance(random) {
                apply(change, &mut names, &mut contents, |_| chance(random));
            }
        }
    }
    names
        .into_iter()
        .map(|(name, id)| (name.to_owned(), contents.get(&id).cloned().unwrap_or_default()))
        .collect()
}

fn apply<'a>(
    change: &'a Change,
    names: &mut BTreeMap<&'a str, FileId>,
    contents: &mut BTreeMap<FileId, Vec<u8>>,
    mut is_there: impl FnMut(usize) -> bool,
) {
    match change {
        Change::Create(name, id) => {
            names.insert(name, *id);
        }
        Change::Delete(name) => {
            names.remove(name.as_str());
        }
        Change::Truncate(file, size) => contents.entry(*file).or_default().resize(*size, 0),
        Change::Write(file, at, data) => {
            let content = contents.entry(*file).or_default();
            let mut from = *at;
            let end = at + data.len();
            while from < end {
                let to = end.min((from / SECTOR_BYTES + 1) * SECTOR_BYTES);
                if is_there(from / SECTOR_BYTES) {
                    put(content, from, &data[from - at..to - at]);
                }
                from = to;
            }
        }
        Change::Sync(..) | Change::SyncFolder | Change::Lost(..) => {}
    }
}
