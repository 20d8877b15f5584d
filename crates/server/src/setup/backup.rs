//! `agentflow-server backup`: a copy of the database, beside a server that runs.

use std::path::Path;

use super::keys::Keys;
use super::{SetupError, store_path};
use crate::config::Config;
use crate::store::sqlite::{BackupError, SqliteStore};

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Bytes of the copy.
    pub bytes: u64,
    /// Where the master key is that opens its secrets; it is not in the copy.
    pub key_place: String,
}

/// Copies the database into a new file; see [`SqliteStore::back_up`].
///
/// # Errors
/// See [`SetupError`]; [`SetupError::BackupExists`] where there is such a file.
pub fn back_up(config: &Config, to: &Path) -> Result<BackedUp, SetupError> {
    let store_path = store_path(config);
    if !store_path.exists() {
        return Err(SetupError::NoDatabase(store_path));
    }
    let bytes = SqliteStore::back_up(&store_path, to).map_err(|error| match error {
        BackupError::Copy(fault) if fault.kind() == std::io::ErrorKind::AlreadyExists => {
            SetupError::BackupExists(to.to_owned())
        }
        BackupError::Copy(fault) => SetupError::File { path: to.to_owned(), fault },
        BackupError::Store(fault) => SetupError::Store { path: store_path, fault },
    })?;
    Ok(BackedUp { bytes, key_place: Keys::new(&config.data_dir, &config.secrets).place() })
}
