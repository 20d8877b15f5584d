//! Who is who: every workspace with its endpoints, secrets and tokens, in memory, made anew when an admin changes one.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use agentflow_events::{Moment, WorkspaceId};
use agentflow_signature::explain::Doctor;
use agentflow_signature::{Inbound, InboundSecret, Outbound, OutboundSecret, Signer, Verifier};
use aws_lc_rs::digest::{SHA256, digest};

use crate::id::EndpointId;
use crate::record::{ApiToken, SecretDirection, SecretRow, Settings};
use crate::store::{Store, StoreError};
use crate::vault::{Vault, WrongKey};

/// A workspace as requests and deliveries see it.
pub struct LiveWorkspace {
    /// Id.
    pub id: WorkspaceId,
    /// What it has set.
    pub settings: Settings,
    /// Verifies leads; holds every inbound secret that was valid when the directory was read.
    pub verifier: Verifier<Inbound>,
    /// When each of the verifier's secrets ends, in its order.
    inbound_expiries: Vec<Option<Moment>>,
    /// Says why a lead's signature is refused.
    pub doctor: Doctor<Inbound>,
    /// Signs events.
    pub signer: Signer<Outbound>,
}

impl LiveWorkspace {
    /// Whether the verifier's secret with this index is still valid.
    pub fn secret_is_valid(&self, index: usize, now: Moment) -> bool {
        self.inbound_expiries.get(index).is_some_and(|expiry| expiry.is_none_or(|end| now < end))
    }
}

/// An endpoint with its workspace.
#[derive(Clone)]
pub struct LiveEndpoint {
    /// Id.
    pub id: EndpointId,
    /// Owner.
    pub workspace: Arc<LiveWorkspace>,
}

/// Why the directory could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key.
    #[error(transparent)]
    WrongKey(#[from] WrongKey),
    /// A workspace lacks what it was founded with.
    #[error("the workspace {0} has no {1}")]
    Incomplete(WorkspaceId, &'static str),
}

#[derive(Default)]
struct Snapshot {
    endpoints: HashMap<[u8; 32], LiveEndpoint>,
    tokens: HashMap<[u8; 32], ApiToken>,
    workspaces: HashMap<WorkspaceId, Arc<LiveWorkspace>>,
}

/// Finds workspaces, endpoints and tokens. Credentials are found by their hash, so a look-up's time tells nothing of them.
pub struct Directory {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// One reload at a time, so that an older reading never takes the place of a newer one.
    reloading: tokio::sync::Mutex<()>,
}

impl Directory {
    /// Reads the directory from the store.
    ///
    /// # Errors
    /// The store cannot be read, or its secrets cannot be decrypted.
    pub async fn open(store: Arc<dyn Store>, vault: Arc<Vault>, now: Moment) -> Result<Self, DirectoryError> {
        let directory =
            Self { store, vault, snapshot: RwLock::default(), reloading: tokio::sync::Mutex::new(()) };
        directory.reload(now).await?;
        Ok(directory)
    }

    /// Reads it anew: after every change of a workspace, endpoint, secret or token.
    ///
    /// # Errors
    /// As [`open`](Self::open); the present one stays then.
    pub async fn reload(&self, now: Moment) -> Result<(), DirectoryError> {
        let _one_at_a_time = self.reloading.lock().await;
        let secrets = self.store.secrets(now).await?;
        let mut fresh = Snapshot::default();
        for workspace in self.store.workspaces().await? {
            let live = self.live(workspace.id, workspace.settings, &secrets)?;
            fresh.workspaces.insert(workspace.id, Arc::new(live));
        }
        for endpoint in self.store.endpoints().await? {
            if let Some(workspace) = fresh.workspaces.get(&endpoint.workspace_id) {
                let live = LiveEndpoint { id: endpoint.id, workspace: Arc::clone(workspace) };
                fresh.endpoints.insert(endpoint.token_hash, live);
            }
        }
        fresh.tokens =
            self.store.tokens().await?.into_iter().map(|token| (token.token_hash, token)).collect();
        *self.snapshot.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    fn live(
        &self,
        id: WorkspaceId,
        settings: Settings,
        secrets: &[SecretRow],
    ) -> Result<LiveWorkspace, DirectoryError> {
        let of = |direction| {
            let mut rows: Vec<&SecretRow> =
                secrets.iter().filter(|row| row.workspace_id == id && row.direction == direction).collect();
            // The present one first, then the youngest.
            rows.sort_by_key(|row| (row.expires_at.is_some(), std::cmp::Reverse(row.created_at)));
            rows
        };
        let text = |row: &SecretRow| self.vault.open(&row.id.to_string(), &row.secret);

        let inbound = of(SecretDirection::Inbound);
        let mut receiving: Option<(Verifier<Inbound>, Doctor<Inbound>)> = None;
        for row in &inbound {
            let secret = InboundSecret::new(text(row)?.as_str())
                .map_err(|_| DirectoryError::Incomplete(id, "usable inbound secret"))?;
            receiving = Some(match receiving {
                None => (Verifier::new(secret.clone()), Doctor::new(&secret)),
                Some((verifier, doctor)) => (verifier.or(secret.clone()), doctor.or(&secret)),
            });
        }
        let (verifier, doctor) = receiving.ok_or(DirectoryError::Incomplete(id, "inbound secret"))?;
        let outbound = of(SecretDirection::Outbound)
            .first()
            .copied()
            .ok_or(DirectoryError::Incomplete(id, "outbound secret"))?;
        let outbound = OutboundSecret::new(text(outbound)?.as_str())
            .map_err(|_| DirectoryError::Incomplete(id, "usable outbound secret"))?;
        Ok(LiveWorkspace {
            id,
            settings,
            verifier,
            inbound_expiries: inbound.iter().map(|row| row.expires_at).collect(),
            doctor: doctor.other_direction(&outbound),
            signer: Signer::new(&outbound),
        })
    }

    /// The endpoint with this token.
    pub fn endpoint(&self, token: &str) -> Option<LiveEndpoint> {
        self.current().endpoints.get(&credential_hash(token)).cloned()
    }

    /// The API token with this text.
    pub fn token(&self, text: &str) -> Option<ApiToken> {
        self.current().tokens.get(&credential_hash(text)).cloned()
    }

    /// The workspace with this id.
    pub fn workspace(&self, id: WorkspaceId) -> Option<Arc<LiveWorkspace>> {
        self.current().workspaces.get(&id).cloned()
    }

    /// Every workspace.
    pub fn workspaces(&self) -> Vec<Arc<LiveWorkspace>> {
        self.current().workspaces.values().cloned().collect()
    }

    fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// The SHA-256 under which a token is kept and found.
pub fn credential_hash(token: &str) -> [u8; 32] {
    sha256(token.as_bytes())
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
