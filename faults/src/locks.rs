//! The locks of a file and of its shared memory, among the connections of one process.

use std::ops::Range;

use rusqlite::ffi::{
    SQLITE_BUSY, SQLITE_LOCK_EXCLUSIVE, SQLITE_LOCK_NONE, SQLITE_LOCK_PENDING, SQLITE_LOCK_RESERVED,
    SQLITE_LOCK_SHARED, SQLITE_SHM_NLOCK,
};

use crate::disk::Code;

/// Who holds what of one file. Holders are handles, told apart by their number.
#[derive(Default)]
pub(crate) struct Locks {
    /// Levels above none.
    levels: Vec<(u64, i32)>,
    slots: [Slot; SQLITE_SHM_NLOCK as usize],
}

#[derive(Default)]
struct Slot {
    shared: Vec<u64>,
    exclusive: Option<u64>,
}

impl Locks {
    fn of_others(&self, holder: u64) -> i32 {
        let others = self.levels.iter().filter(|(other, _)| *other != holder);
        others.map(|(_, level)| *level).max().unwrap_or(SQLITE_LOCK_NONE)
    }

    fn put(&mut self, holder: u64, level: i32) {
        self.levels.retain(|(other, _)| *other != holder);
        if level > SQLITE_LOCK_NONE {
            self.levels.push((holder, level));
        }
    }

    pub(crate) fn lock(&mut self, holder: u64, level: i32) -> Result<(), Code> {
        let own = self.levels.iter().find(|(other, _)| *other == holder).map_or(SQLITE_LOCK_NONE, |it| it.1);
        if own >= level {
            return Ok(());
        }
        let others = self.of_others(holder);
        let allowed = match level {
            SQLITE_LOCK_SHARED => others <= SQLITE_LOCK_RESERVED,
            _ => others <= SQLITE_LOCK_SHARED,
        };
        if !allowed {
            return Err(SQLITE_BUSY);
        }
        if level == SQLITE_LOCK_EXCLUSIVE && others > SQLITE_LOCK_NONE {
            // Readers finish, none begins.
            self.put(holder, SQLITE_LOCK_PENDING);
            return Err(SQLITE_BUSY);
        }
        self.put(holder, level);
        Ok(())
    }

    pub(crate) fn unlock(&mut self, holder: u64, level: i32) {
        self.put(holder, level);
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.levels.iter().any(|(_, level)| *level >= SQLITE_LOCK_RESERVED)
    }

    pub(crate) fn lock_slots(&mut self, holder: u64, slots: Range<usize>, shared: bool) -> Result<(), Code> {
        let slots = &mut self.slots[slots];
        let is_free = |slot: &Slot| {
            slot.exclusive.is_none_or(|other| other == holder)
                && (shared || slot.shared.iter().all(|other| *other == holder))
        };
        if !slots.iter().all(is_free) {
            return Err(SQLITE_BUSY);
        }
        for slot in slots {
            if shared {
                slot.shared.push(holder);
            } else {
                slot.exclusive = Some(holder);
            }
        }
        Ok(())
    }

    pub(crate) fn unlock_slots(&mut self, holder: u64, slots: Range<usize>) {
        for slot in &mut self.slots[slots] {
            slot.shared.retain(|other| *other != holder);
            if slot.exclusive == Some(holder) {
                slot.exclusive = None;
            }
        }
    }

    /// The handle is closed.
    pub(crate) fn forget(&mut self, holder: u64) {
        self.unlock(holder, SQLITE_LOCK_NONE);
        self.unlock_slots(holder, 0..SQLITE_SHM_NLOCK as usize);
    }
}
