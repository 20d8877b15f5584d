//! `agentflow-server invite`: a way back in for whoever has lost the password, and it may be the authenticator, where no admin is
//! left to help. Whoever may read the data folder's database and master key may do anything; so this asks for no other proof.

use std::sync::Arc;

use agentflow_events::Moment;
use zeroize::Zeroizing;

use super::keys::Keys;
use super::{SetupError, base_url, store_path};
use crate::accounts::{AccountError, Accounts};
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::Directory;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

/// A link with which somebody chooses a password anew.
pub struct Recovery {
    /// The link, a credential.
    pub link: Zeroizing<String>,
    /// It cannot be used from here on.
    pub expires_at: Moment,
}

/// Invites the person who signs in with `email` to choose a password anew; the present one counts until then. `resets_factor`: a
/// code is not asked for any more. No server may run over the folder.
///
/// # Errors
/// See [`SetupError`]; [`SetupError::NobodyNamed`] where nobody signs in with this email.
pub async fn invite(
    config: &Config,
    email: &str,
    resets_factor: bool,
    clock: &Clock,
) -> Result<Recovery, SetupError> {
    let store_path = store_path(config);
    if !store_path.exists() {
        return Err(SetupError::NoDatabase(store_path));
    }
    let failed = |fault| SetupError::Store { path: store_path.clone(), fault };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&store_path).map_err(failed)?);
    let keys = Keys::new(&config.data_dir, &config.secrets);
    let vault = Arc::new(keys.vault(false, &store.sealed().await.map_err(failed)?)?);
    let found = store.operators_by_email(email).await.map_err(failed)?;
    let Some(person) = found.into_iter().next() else {
        store.close().await;
        return Err(SetupError::NobodyNamed(email.to_owned()));
    };
    let directory = Directory::open(Arc::clone(&store), Arc::clone(&vault), clock.now()).await?;
    let accounts = Accounts::new(Arc::clone(&store), Arc::new(directory), vault, clock.clone());
    if resets_factor {
        match accounts.delete_factor(person.actor(), person.id).await {
            Ok(()) | Err(AccountError::NotFound) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    let invited = accounts.invite(person.actor(), person.id).await?;
    store.close().await;
    let base_url = base_url(config, config.listen.port());
    let link = Zeroizing::new(format!("{base_url}/dashboard/invitation/{}", invited.text.as_str()));
    Ok(Recovery { link, expires_at: invited.expires_at })
}
