//! `agentflow-server rekey`: everything that is sealed, sealed anew under another master key.

use std::path::{Path, PathBuf};

use super::keys::{self, Keys};
use super::{SetupError, absolute, files, store_path};
use crate::config::Config;
use crate::record::SealedBytes;
use crate::store::sqlite::SqliteStore;
use crate::store::{AdminStore, SealedIn, Store};
use crate::vault::{KeyId, MasterKey, Vault};

/// What a rekey did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekeyed {
    /// Values that were sealed anew.
    pub count: usize,
    /// The key until now.
    pub from: KeyId,
    /// The key from now on.
    pub to: KeyId,
    /// Its file.
    pub key_path: PathBuf,
    /// The settings have to name it before the next start.
    pub must_be_named: bool,
}

/// Seals everything anew: under a fresh key in the data folder, or under that of `new_key_file`, which is made where there is no
/// such file. No server may run over the folder. Whatever point this is broken off at, the folder opens with a key on the disk:
/// in the folder by itself, and else with the one key or the other.
///
/// # Errors
/// See [`SetupError`]; [`SetupError::NewKeyUnnamed`] where the present key is not the folder's and no file is named.
pub async fn rekey(config: &Config, new_key_file: Option<&Path>) -> Result<Rekeyed, SetupError> {
    let keys = Keys::new(&config.data_dir, &config.secrets);
    if new_key_file.is_none() && keys.are_elsewhere() {
        return Err(SetupError::NewKeyUnnamed);
    }
    let store_path = store_path(config);
    if !store_path.exists() {
        return Err(SetupError::NoDatabase(store_path));
    }
    let fault = |fault| SetupError::Store { path: store_path.clone(), fault };
    let store = SqliteStore::open(&store_path).map_err(fault)?;
    let sealed = store.sealed().await.map_err(fault)?;
    let old = keys.vault(false, &sealed)?;

    let new = match new_key_file {
        Some(path) => named(path, &old)?,
        None => keys.make_next()?,
    };
    let resealed = reseal(&sealed, &old, &new).map_err(|fault| keys.wrong(fault))?;
    store.reseal(resealed).await.map_err(fault)?;
    store.close().await;
    let key_path = match new_key_file {
        Some(path) => {
            if !keys.are_elsewhere() {
                keys.forget()?;
            }
            absolute(path)
        }
        None => {
            keys.adopt_next()?;
            PathBuf::from(keys.place())
        }
    };
    Ok(Rekeyed {
        count: sealed.len(),
        from: old.key_id(),
        to: new.id(),
        key_path,
        must_be_named: new_key_file.is_some(),
    })
}

fn named(path: &Path, old: &Vault) -> Result<MasterKey, SetupError> {
    let key = match keys::read(path)? {
        Some(key) => key,
        None => {
            let key = MasterKey::generate();
            files::write(path, key.expose())?;
            key
        }
    };
    if key.id() == old.key_id() {
        return Err(SetupError::SameKey(path.to_owned()));
    }
    Ok(key)
}

fn reseal(
    sealed: &[(SealedIn, SealedBytes)],
    old: &Vault,
    new: &MasterKey,
) -> Result<Vec<(SealedIn, SealedBytes)>, crate::vault::VaultError> {
    let new = Vault::under(new);
    let again = |(place, value): &(SealedIn, SealedBytes)| {
        let id = place.id();
        Ok((*place, new.seal(&id, &old.open(&id, value)?)))
    };
    sealed.iter().map(again).collect()
}
