//! The first start: makes the data folder, and what a workspace needs to receive its first lead.
//!
//! A crash at any point does no harm. The file of what will be told ([`FirstStart`]) is the first thing in the folder; it
//! is filled before the store's one founding transaction makes it true, and removed once it was told. A folder with a
//! founded store and that file is told about at the next start; one with the file and no workspace is founded anew.

mod backup;
pub(crate) mod curl;
mod files;
mod first_start;
mod founding;
mod keys;
mod recover;
mod rekey;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use backup::{BackedUp, back_up};
pub use first_start::FirstStart;
pub(crate) use founding::{api_token, endpoint, inbound_url, secret};
pub use recover::{Recovery, invite};
pub use rekey::{Rekeyed, rekey};

use crate::accounts::AccountError;
use crate::clock::Clock;
use crate::config::{Config, StoreUrl};
use crate::directory::DirectoryError;
use crate::edge::{TlsError, TlsSource};
use crate::store::sqlite::SqliteStore;
use crate::store::{AdminStore, Store, StoreError};
use crate::vault::{Vault, VaultError};

use keys::Keys;

/// Why a data folder cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// `init` makes a folder; this one is in use already.
    #[error(
        "{0}: this data folder exists already; start the server with it, or name another with --data-dir"
    )]
    Exists(PathBuf),
    /// A file or folder cannot be read or written.
    #[error("{}: {fault}{}", absolute(path).display(), what_to_do(fault))]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
    /// The master key's file is not one.
    #[error("{0}: is no master key of 32 bytes, as they are or as hex or base64; restore it from a backup")]
    NoKey(PathBuf),
    /// The store has workspaces and the folder no master key.
    #[error(
        "{0}: the master key is missing, without which the store's secrets cannot be read; restore it from a backup"
    )]
    KeyMissing(PathBuf),
    /// The folder was founded under a key that is kept elsewhere, and no setting says where.
    #[error(
        "{0}: the master key of this data folder is kept elsewhere; name it with secrets.key_file or AGENTFLOW_SECRETS_KEY"
    )]
    KeyElsewhere(PathBuf),
    /// The key is not the one that sealed what is stored, or a value is damaged.
    #[error("{place}: {fault}; nothing was changed")]
    WrongKey {
        /// Where the key is from.
        place: String,
        /// What the vault says.
        fault: VaultError,
    },
    /// A rekey of a folder whose key is kept elsewhere.
    #[error("rekey: the present key is not in the data folder; name the new one's file with --new-key-file")]
    NewKeyUnnamed,
    /// A rekey to the present key.
    #[error("{0}: holds the present master key; name a file with another one, or one that is to be made")]
    SameKey(PathBuf),
    /// A backup never takes the place of another one.
    #[error(
        "{0}: it, or what the copy has beside it (-wal, -journal, .partial), exists already; name a file that is to be made"
    )]
    BackupExists(PathBuf),
    /// A folder without a database, where one is to be there.
    #[error("{0}: there is no database here; name the data folder with --data-dir")]
    NoDatabase(PathBuf),
    /// An invitation for somebody who is not there.
    #[error(
        "{0}: nobody signs in with this email; the first admin's is admin@localhost unless it was changed"
    )]
    NobodyNamed(String),
    /// An account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Workspaces and credentials.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The folder is in use and its database missing or empty.
    #[error(
        "{0}: the database is missing, though its master key is here; restore it from a backup, check store.url, or use another data folder"
    )]
    DatabaseMissing(PathBuf),
    /// The store.
    #[error("{path}: {fault}")]
    Store {
        /// The database.
        path: PathBuf,
        /// What it says.
        fault: StoreError,
    },
    /// Certificate and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// An opened data folder.
pub struct Home {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Opens the store's secrets.
    pub vault: Arc<Vault>,
    /// Certificate and key.
    pub tls: TlsSource,
    /// What has not been told yet; present on the first start.
    pub untold: Option<FirstStart>,
}

/// Opens the data folder, founding it if need be. `base_url`: where senders reach the server.
///
/// # Errors
/// See [`SetupError`]; the next start takes up from there.
pub async fn open(config: &Config, base_url: &str, clock: &Clock) -> Result<Home, SetupError> {
    let folder = &config.data_dir;
    files::make_folder(folder)?;
    let store_path = store_path(config);
    let keys = Keys::new(folder, &config.secrets);
    let in_use = keys.are_known();
    if !in_use && !store_path.exists() && !FirstStart::is_pending(folder) {
        FirstStart::begin(folder)?;
    }
    // A wrong path must not begin a second workspace beside the first, without a word.
    let in_use = in_use && !FirstStart::is_pending(folder);
    if in_use && !store_path.exists() {
        return Err(SetupError::DatabaseMissing(store_path));
    }
    let store = SqliteStore::open(&store_path)
        .map_err(|fault| SetupError::Store { path: store_path.clone(), fault })?;
    let fault = |fault| SetupError::Store { path: store_path.clone(), fault };
    let founded = !store.workspaces().await.map_err(fault)?.is_empty();
    if in_use && !founded {
        return Err(SetupError::DatabaseMissing(store_path));
    }
    let vault = keys.vault(!founded, &store.sealed().await.map_err(fault)?)?;
    let tls = tls(config, base_url)?;
    let untold = if founded {
        // The address may have been mended since the start that was broken off.
        FirstStart::pending(folder)?.map(|first_start| first_start.reached_at(base_url))
    } else {
        let (founding, first_start) = founding::new(&vault, base_url, tls.certificate_path(), clock.now());
        first_start.keep(folder)?;
        store.found(founding).await.map_err(fault)?;
        Some(first_start)
    };
    Ok(Home { store: Arc::new(store), vault: Arc::new(vault), tls, untold })
}

/// Refuses a folder that `init` would not make: one that holds anything but a founding that was broken off.
///
/// # Errors
/// [`SetupError::Exists`], or the folder cannot be read.
pub fn check_is_new(config: &Config) -> Result<(), SetupError> {
    let folder = &config.data_dir;
    if files::is_empty(folder)? || FirstStart::is_pending(folder) {
        return Ok(());
    }
    Err(SetupError::Exists(folder.clone()))
}

/// Where senders reach the server: the public URL, or what the listening address comes to.
pub fn base_url(config: &Config, port: u16) -> String {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let ip = config.listen.ip();
    let host = match ip {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    format!("https://{host}:{port}")
}

fn store_path(config: &Config) -> PathBuf {
    let StoreUrl::Sqlite(path) = &config.store;
    config.data_dir.join(path)
}

fn tls(config: &Config, base_url: &str) -> Result<TlsSource, SetupError> {
    if let (Some(cert), Some(key)) = (&config.tls.cert, &config.tls.key) {
        return Ok(TlsSource::from_files(cert, key)?);
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let ip = config.listen.ip();
    let public = base_url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let host = public.map(|host| host.trim_matches(['[', ']']).to_owned());
    for name in host.into_iter().chain((!ip.is_unspecified()).then(|| ip.to_string())) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(TlsSource::self_signed(&config.data_dir, &names)?)
}

/// Whether the certificate is the one that the server made for itself.
pub fn is_self_signed(config: &Config) -> bool {
    config.tls.cert.is_none()
}

fn what_to_do(fault: &std::io::Error) -> &'static str {
    match fault.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "; let the user that the server runs as read and write its folder, or name another with --data-dir"
        }
        _ => "",
    }
}

pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
