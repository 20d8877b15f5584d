//! One process at a time: locks that end with it, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::files::beside;
use crate::store::StoreError;

/// Held while the store is open.
pub(super) struct Lock {
    /// `<path>.lock`.
    _beside: File,
    /// The database itself, which nobody deletes by mistake. On Linux alone: there its lock and those that SQLite takes on
    /// the same file do not meet, and elsewhere they may.
    _database: Option<File>,
}

impl Lock {
    /// Takes the locks; makes both files where they are missing, readable by their owner only.
    ///
    /// # Errors
    /// Another process has them, or `<path>.lock` cannot be made.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let failed =
            |error: io::Error| StoreError::Unusable(format!("its lock file cannot be used: {error}"));
        let beside = hold(&beside(path, ".lock")).map_err(failed)?.ok_or_else(in_use)?;
        // SQLite gives the log beside the database the same mode. What is wrong with the path is told by its opening.
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).ok();
        let database = made.filter(|_| cfg!(target_os = "linux"));
        if let Some(file) = &database {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Err(in_use()),
                // A file system without such locks has those of the other file.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
        }
        Ok(Self { _beside: beside, _database: database })
    }
}

/// Opens the file, made where there is none (0600), and locks it; nothing where another process has it.
pub(super) fn hold(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            // Deleted or renamed between its opening and its locking, it would keep nobody out.
            Ok(()) if is_at(&file, path)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn in_use() -> StoreError {
    StoreError::Unusable(
        "this is in use by another server; stop that one first, or use another data folder".to_owned(),
    )
}
