//! Where the master key is, and a change of it that may be broken off at any point.
//!
//! It is in the data folder (`master.key`), unless a setting names a file or holds it. A rekey in the folder puts the new key
//! beside the old one (`master.key.next`), seals everything anew in one transaction, then puts the new file in the old one's
//! place. Every stored value says which key sealed it, so whoever opens the folder in between knows how far that went.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{SetupError, files};
use crate::config::SecretsConfig;
use crate::record::SealedBytes;
use crate::store::SealedIn;
use crate::vault::{MasterKey, Vault, VaultError};

const MASTER_KEY: &str = "master.key";
const NEXT_KEY: &str = "master.key.next";
/// In a folder whose key is elsewhere, so that it is not taken for a new one.
const KEY_ELSEWHERE: &str = "master.key.elsewhere";

/// The master key of a data folder.
pub(super) struct Keys<'a> {
    folder: &'a Path,
    given: &'a SecretsConfig,
}

impl<'a> Keys<'a> {
    pub(super) fn new(folder: &'a Path, given: &'a SecretsConfig) -> Self {
        Self { folder, given }
    }

    /// Whether the settings say where the key is.
    pub(super) fn are_elsewhere(&self) -> bool {
        self.given.key.is_some() || self.given.key_file.is_some()
    }

    /// Whether the folder has been founded under a key.
    pub(super) fn are_known(&self) -> bool {
        self.path(MASTER_KEY).exists() || self.path(KEY_ELSEWHERE).exists()
    }

    /// The key that is to be used; made at random in the folder where there is none and it `may_be_made`.
    pub(super) fn master(&self, may_be_made: bool) -> Result<MasterKey, SetupError> {
        if let Some(key) = &self.given.key {
            self.note_elsewhere()?;
            return Ok(key.clone());
        }
        if let Some(path) = &self.given.key_file {
            let key = read(path)?.ok_or_else(|| files::file_fault(path, io::ErrorKind::NotFound.into()))?;
            warn_of_mode(path);
            self.note_elsewhere()?;
            return Ok(key);
        }
        let path = self.path(MASTER_KEY);
        match read(&path)? {
            Some(key) => Ok(key),
            None if may_be_made => {
                let key = MasterKey::generate();
                files::write(&path, key.expose())?;
                Ok(key)
            }
            None if self.path(KEY_ELSEWHERE).exists() => {
                Err(SetupError::KeyElsewhere(self.folder.to_owned()))
            }
            None => Err(SetupError::KeyMissing(path)),
        }
    }

    /// The vault for what is stored: ends a rekey that was broken off, and opens every value once.
    pub(super) fn vault(
        &self,
        may_be_made: bool,
        sealed: &[(SealedIn, SealedBytes)],
    ) -> Result<Vault, SetupError> {
        let vault = Vault::under(&self.settled(may_be_made, sealed)?);
        for (place, value) in sealed {
            vault.open(&place.id(), value).map_err(|fault| self.wrong(fault))?;
        }
        Ok(vault)
    }

    fn settled(
        &self,
        may_be_made: bool,
        sealed: &[(SealedIn, SealedBytes)],
    ) -> Result<MasterKey, SetupError> {
        if self.are_elsewhere() {
            return self.master(may_be_made);
        }
        let next_path = self.path(NEXT_KEY);
        let Some(next) = read(&next_path)? else { return self.master(may_be_made) };
        if sealed.iter().any(|(_, value)| Vault::key_of(value) == Some(next.id())) {
            self.adopt_next()?;
        } else {
            files::remove(&next_path)?;
        }
        self.master(may_be_made)
    }

    /// Puts a fresh key beside the present one.
    pub(super) fn make_next(&self) -> Result<MasterKey, SetupError> {
        let next = MasterKey::generate();
        files::write(&self.path(NEXT_KEY), next.expose())?;
        Ok(next)
    }

    /// Puts the next key in the present one's place.
    pub(super) fn adopt_next(&self) -> Result<(), SetupError> {
        files::rename(&self.path(NEXT_KEY), &self.path(MASTER_KEY))
    }

    /// Forgets the folder's own key, now that another one, kept elsewhere, has sealed everything.
    pub(super) fn forget(&self) -> Result<(), SetupError> {
        self.note_elsewhere()?;
        files::remove(&self.path(NEXT_KEY))?;
        files::remove(&self.path(MASTER_KEY))
    }

    /// Where people find the key.
    pub(super) fn place(&self) -> String {
        match (&self.given.key, &self.given.key_file) {
            (Some(_), _) => "secrets.key".to_owned(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => self.path(MASTER_KEY).display().to_string(),
        }
    }

    pub(super) fn wrong(&self, fault: VaultError) -> SetupError {
        SetupError::WrongKey { place: self.place(), fault }
    }

    fn note_elsewhere(&self) -> Result<(), SetupError> {
        let path = self.path(KEY_ELSEWHERE);
        if path.exists() {
            return Ok(());
        }
        let text = "The key of this folder's secrets is kept elsewhere: see secrets.key_file and AGENTFLOW_SECRETS_KEY.\n";
        files::write(&path, text.as_bytes())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A key from a file; nothing where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<MasterKey>, SetupError> {
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => MasterKey::parse(&bytes).map(Some).ok_or_else(|| SetupError::NoKey(path.to_owned())),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(files::file_fault(path, fault)),
    }
}

fn warn_of_mode(path: &Path) {
    if fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others may read the master key; take their rights away: chmod 600");
    }
}
