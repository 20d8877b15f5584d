//! Who is who: every workspace with its endpoints, secrets and tokens, in memory, made anew when an admin changes one.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use agentflow_events::{Moment, WorkspaceId};
use agentflow_signature::explain::Doctor;
use agentflow_signature::{Inbound, InboundSecret, Outbound, OutboundSecret, Signer, Verifier};
use aws_lc_rs::digest::{SHA256, digest};

use crate::id::{EndpointId, SecretId, TokenId};
use crate::record::{ApiToken, SecretDirection, SecretRow, SecretUses, Settings};
use crate::store::{Store, StoreError};
use crate::uses::Uses;
use crate::vault::{Vault, VaultError};

/// A workspace as requests and deliveries see it.
pub struct LiveWorkspace {
    /// Id.
    pub id: WorkspaceId,
    /// What it has set.
    pub settings: Settings,
    /// Verifies leads; holds every inbound secret that was valid when the directory was read.
    pub verifier: Verifier<Inbound>,
    /// The verifier's secrets, in its order.
    inbound: Vec<LiveSecret>,
    /// Says why a lead's signature is refused.
    pub doctor: Doctor<Inbound>,
    /// Sign events, each in its time; the oldest first.
    outbound: Vec<LiveSigner>,
}

struct LiveSecret {
    id: SecretId,
    expires_at: Option<Moment>,
    uses: Arc<Uses>,
}

struct LiveSigner {
    active_from: Moment,
    expires_at: Option<Moment>,
    signer: Signer<Outbound>,
}

/// What an event is signed with at one moment.
#[derive(Clone, Copy)]
pub struct Signers<'a> {
    all: &'a [LiveSigner],
    present: usize,
    now: Moment,
}

impl<'a> Signers<'a> {
    /// The present secret's.
    pub fn present(&self) -> &'a Signer<Outbound> {
        &self.all[self.present].signer
    }

    /// Those of secrets that the present one has replaced and whose overlap is not over, the youngest first.
    pub fn replaced(self) -> impl Iterator<Item = &'a Signer<Outbound>> {
        let overlaps = move |known: &&LiveSigner| known.expires_at.is_none_or(|end| self.now < end);
        self.all[..self.present].iter().rev().filter(overlaps).map(|known| &known.signer)
    }
}

impl LiveWorkspace {
    /// Whether the verifier's secret with this index is still valid.
    pub fn secret_is_valid(&self, index: usize, now: Moment) -> bool {
        self.inbound.get(index).is_some_and(|secret| secret.expires_at.is_none_or(|end| now < end))
    }

    /// Counts a use of the verifier's secret with this index, while there are several.
    pub fn note_use(&self, index: usize, now: Moment) {
        if let [_, _, ..] = self.inbound.as_slice()
            && let Some(secret) = self.inbound.get(index)
        {
            secret.uses.note(now);
        }
    }

    /// What events are signed with.
    pub fn signers(&self, now: Moment) -> Signers<'_> {
        let active = self.outbound.iter().rposition(|known| known.active_from <= now);
        Signers { all: &self.outbound, present: active.unwrap_or(0), now }
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
    /// The master key, or a value that it did not seal.
    #[error(
        "{0}; nothing was changed: give the right key (secrets.key_file, AGENTFLOW_SECRETS_KEY, or master.key in the data folder)"
    )]
    Vault(#[from] VaultError),
    /// A workspace lacks what it was founded with.
    #[error("the workspace {0} has no {1}")]
    Incomplete(WorkspaceId, &'static str),
}

#[derive(Default)]
struct Snapshot {
    endpoints: HashMap<[u8; 32], LiveEndpoint>,
    tokens: HashMap<[u8; 32], LiveToken>,
    workspaces: HashMap<WorkspaceId, Arc<LiveWorkspace>>,
}

struct LiveToken {
    token: ApiToken,
    uses: Arc<Uses>,
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
            let live = self.live(workspace.id, workspace.settings, &secrets, now)?;
            fresh.workspaces.insert(workspace.id, Arc::new(live));
        }
        for endpoint in self.store.endpoints().await? {
            if let Some(workspace) = fresh.workspaces.get(&endpoint.workspace_id) {
                let live = LiveEndpoint { id: endpoint.id, workspace: Arc::clone(workspace) };
                fresh.endpoints.insert(endpoint.token_hash, live);
            }
        }
        let present = self.current();
        for token in self.store.tokens().await? {
            let known = present.tokens.get(&token.token_hash);
            let uses = known.map(|known| Arc::clone(&known.uses)).unwrap_or_default();
            fresh.tokens.insert(token.token_hash, LiveToken { token, uses });
        }
        *self.snapshot.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    fn live(
        &self,
        id: WorkspaceId,
        settings: Settings,
        secrets: &[SecretRow],
        now: Moment,
    ) -> Result<LiveWorkspace, DirectoryError> {
        let of = |direction| {
            let mut rows: Vec<&SecretRow> =
                secrets.iter().filter(|row| row.workspace_id == id && row.direction == direction).collect();
            rows.sort_by_key(|row| (row.active_from, row.expires_at.is_none(), row.id));
            rows
        };
        let text = |row: &SecretRow| self.vault.open(&row.id.to_string(), &row.secret);

        let mut inbound = of(SecretDirection::Inbound);
        // The youngest is tried first.
        inbound.reverse();
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
        let mut outbound = Vec::new();
        let mut doctor = doctor;
        let rows = of(SecretDirection::Outbound);
        let present = rows.iter().rposition(|row| row.active_from <= now).unwrap_or(0);
        for (at, row) in rows.iter().enumerate() {
            let secret = OutboundSecret::new(text(row)?.as_str())
                .map_err(|_| DirectoryError::Incomplete(id, "usable outbound secret"))?;
            let (active_from, expires_at) = (row.active_from, row.expires_at);
            outbound.push(LiveSigner { active_from, expires_at, signer: Signer::new(&secret) });
            if at == present {
                doctor = doctor.other_direction(&secret);
            }
        }
        if outbound.is_empty() {
            return Err(DirectoryError::Incomplete(id, "outbound secret"));
        }
        let known = self.workspace(id);
        let live = |row: &&SecretRow| {
            let before =
                known.as_ref().and_then(|known| known.inbound.iter().find(|secret| secret.id == row.id));
            let uses = before.map(|secret| Arc::clone(&secret.uses)).unwrap_or_default();
            LiveSecret { id: row.id, expires_at: row.expires_at, uses }
        };
        let inbound = inbound.iter().map(live).collect();
        Ok(LiveWorkspace { id, settings, verifier, inbound, doctor, outbound })
    }

    /// The endpoint with this token.
    pub fn endpoint(&self, token: &str) -> Option<LiveEndpoint> {
        self.current().endpoints.get(&credential_hash(token)).cloned()
    }

    /// The API token with this text.
    pub fn token(&self, text: &str) -> Option<ApiToken> {
        self.current().tokens.get(&credential_hash(text)).map(|known| known.token.clone())
    }

    /// The API token with this text, which is used now.
    pub fn use_token(&self, text: &str, now: Moment) -> Option<ApiToken> {
        let snapshot = self.current();
        let known = snapshot.tokens.get(&credential_hash(text))?;
        known.uses.note(now);
        Some(known.token.clone())
    }

    /// Uses of a workspace's inbound secrets that the store has not been told of.
    pub fn secret_uses(&self, workspace: WorkspaceId) -> HashMap<SecretId, (u64, Moment)> {
        let live = self.workspace(workspace);
        let secrets = live.iter().flat_map(|live| &live.inbound);
        secrets.filter_map(|secret| Some((secret.id, secret.uses.seen()?))).collect()
    }

    /// When a workspace's tokens were used last, as far as the store has not been told.
    pub fn token_uses(&self, workspace: WorkspaceId) -> HashMap<TokenId, Moment> {
        let snapshot = self.current();
        let tokens = snapshot.tokens.values().filter(|known| known.token.workspace_id == workspace);
        tokens.filter_map(|known| Some((known.token.id, known.uses.seen()?.1))).collect()
    }

    /// Tells the store of all uses that it does not know.
    ///
    /// # Errors
    /// The store does not take it; they are told next time.
    pub async fn tell_uses(&self) -> Result<(), StoreError> {
        let snapshot = self.current();
        let (mut secrets, mut tokens, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for secret in snapshot.workspaces.values().flat_map(|live| &live.inbound) {
            if let Some((more, last_used_at)) = secret.uses.take() {
                secrets.push(SecretUses { id: secret.id, more, last_used_at });
                taken.push((&secret.uses, more));
            }
        }
        for known in snapshot.tokens.values() {
            if let Some((more, last)) = known.uses.take() {
                tokens.push((known.token.id, last));
                taken.push((&known.uses, more));
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let told = self.store.note_uses(secrets, tokens).await;
        if told.is_err() {
            taken.iter().for_each(|(uses, more)| uses.give_back(*more));
        }
        told
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
