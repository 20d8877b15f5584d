//! Files of the data folder: readable by their owner only, whole or absent.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::SetupError;
use crate::files::{beside, sync_folder};

/// Makes the folder (0700) unless it is there; an existing one keeps its mode.
pub(super) fn make_folder(folder: &Path) -> Result<(), SetupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|fault| file_fault(folder, fault))
}

/// Whether nothing is in the folder, or no folder there.
pub(super) fn is_empty(folder: &Path) -> Result<bool, SetupError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(fault) => Err(file_fault(folder, fault)),
    }
}

/// Writes a file (0600) as a whole, synced, its folder included.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), SetupError> {
    let unfinished = beside(path, ".new");
    let written = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_folder(path)
    };
    written().map_err(|fault| file_fault(path, fault))
}

/// Puts a file in another one's place, for good.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), SetupError> {
    fs::rename(from, to).and_then(|()| sync_folder(to)).map_err(|fault| file_fault(to, fault))
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), SetupError> {
    match fs::remove_file(path).and_then(|()| sync_folder(path)) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(file_fault(path, fault)),
        _ => Ok(()),
    }
}

pub(super) fn file_fault(path: &Path, fault: io::Error) -> SetupError {
    SetupError::File { path: path.to_owned(), fault }
}
