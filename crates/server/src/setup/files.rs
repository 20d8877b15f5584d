//! Files of the data folder: readable by their owner only, whole or absent.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::SetupError;
use crate::id::random;
use crate::vault::Vault;

const MASTER_KEY: &str = "master.key";

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

/// Whether there is a master key, usable or not.
pub(super) fn has_master_key(folder: &Path) -> bool {
    folder.join(MASTER_KEY).exists()
}

/// The master key; made at random where there is none and it `may_be_made`.
pub(super) fn master_key(
    folder: &Path,
    may_be_made: bool,
) -> Result<Zeroizing<[u8; Vault::KEY_BYTES]>, SetupError> {
    let path = folder.join(MASTER_KEY);
    match fs::read(&path).map(Zeroizing::new) {
        Ok(bytes) => {
            let key = bytes.as_slice().try_into().map_err(|_| SetupError::NoKey(path))?;
            Ok(Zeroizing::new(key))
        }
        Err(fault) if fault.kind() == io::ErrorKind::NotFound && may_be_made => {
            let key = Zeroizing::new(random::<{ Vault::KEY_BYTES }>());
            write(&path, &*key)?;
            Ok(key)
        }
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Err(SetupError::KeyMissing(path)),
        Err(fault) => Err(file_fault(&path, fault)),
    }
}

/// Writes a file (0600) as a whole, synced, its folder included.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), SetupError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
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

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), SetupError> {
    match fs::remove_file(path).and_then(|()| sync_folder(path)) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(file_fault(path, fault)),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

pub(super) fn file_fault(path: &Path, fault: io::Error) -> SetupError {
    SetupError::File { path: path.to_owned(), fault }
}
