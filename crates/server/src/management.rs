//! What people manage a workspace with, whichever way they ask: the API and the dashboard stand on the same functions.

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::deliver::Deliver;
use crate::destinations::Destinations;
use crate::directory::Directory;
use crate::rotation::Rotation;
use crate::settings::SettingsDesk;
use crate::store::Store;
use crate::vault::Vault;

/// One of each. Shared, since some of them take one change at a time.
pub struct Management {
    /// People and tokens.
    pub accounts: Accounts,
    /// Secrets.
    pub rotation: Rotation,
    /// Destinations.
    pub destinations: Destinations,
    /// Settings.
    pub settings: SettingsDesk,
}

impl Management {
    /// Over these parts.
    pub fn new(
        store: &Arc<dyn Store>,
        directory: &Arc<Directory>,
        deliver: &Arc<Deliver>,
        vault: &Arc<Vault>,
        clock: &Clock,
    ) -> Arc<Self> {
        let (store, directory, deliver) =
            (|| Arc::clone(store), || Arc::clone(directory), || Arc::clone(deliver));
        Arc::new(Self {
            accounts: Accounts::new(store(), directory(), Arc::clone(vault), clock.clone()),
            rotation: Rotation::new(store(), directory(), Arc::clone(vault), clock.clone()),
            destinations: Destinations::new(store(), deliver(), clock.clone()),
            settings: SettingsDesk::new(store(), directory(), deliver(), clock.clone()),
        })
    }
}
