//! Changing signing secrets without losing a lead or an event: what the API and the dashboard do it with.
//!
//! A secret is pending until its time, then present, then, while another one is present, retiring until its end. An inbound
//! one is present at once: senders learn of it while the old one is still accepted. An outbound one may be announced: receivers
//! take it up while the server still signs with the old one.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{Moment, WorkspaceId};
use agentflow_signature::{InboundSecret, OutboundSecret};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::directory::{Directory, DirectoryError};
use crate::id::{SecretId, random};
use crate::record::{Actor, AuditRow, Endpoint, SecretDirection, SecretRow};
use crate::setup;
use crate::store::{SecretDropped, Store, StoreError};
use crate::vault::Vault;

/// How a secret is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Which one.
    pub direction: SecretDirection,
    /// How long until the new one is present; inbound: zero.
    pub activate_after: Duration,
    /// How long the old one counts beside it from then on.
    pub overlap: Duration,
}

/// A new secret, to be shown once. No `Debug`.
pub struct Fresh {
    /// Id.
    pub id: SecretId,
    /// Its text.
    pub text: Zeroizing<String>,
    /// When it was made.
    pub created_at: Moment,
    /// From when it is present.
    pub active_from: Moment,
    /// When the one before it ends.
    pub old_expires_at: Moment,
}

/// Where a secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// Its time is still to come.
    Pending,
    /// The one to use.
    Active,
    /// Replaced, and not over.
    Retiring,
}

/// Why a secret was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// One at a time.
    #[error("a new secret waits for its time already; cancel it first ({0})")]
    Pending(SecretId),
    /// A request that matches none is compared with each.
    #[error(
        "{} secrets are accepted already; wait until one expires, drop one, or end them all with `overlap_seconds` 0.",
        Rotation::LIVE_MAX
    )]
    TooMany,
    /// The workspace has no such secret.
    #[error("there is no such secret")]
    NotFound,
    /// It is the one to use.
    #[error("this is the present secret; rotate it instead")]
    Present,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The change is stored but could not be read back.
    #[error("the change is stored, but could not be read back: {0}")]
    Unread(DirectoryError),
}

/// Changes secrets.
pub struct Rotation {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    vault: Arc<Vault>,
    clock: Clock,
    /// Changes read, then write: one at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Rotation {
    /// Secrets of one direction that count at the same time.
    pub const LIVE_MAX: usize = 8;
    /// Longest time that a change is announced before it counts.
    pub const ACTIVATE_AFTER_MAX: Duration = Duration::from_secs(30 * 86_400);
    /// Longest overlap.
    pub const OVERLAP_MAX: Duration = Duration::from_secs(30 * 86_400);

    /// Over a store, and the directory to tell of changes.
    pub fn new(store: Arc<dyn Store>, directory: Arc<Directory>, vault: Arc<Vault>, clock: Clock) -> Self {
        Self { store, directory, vault, clock, changing: tokio::sync::Mutex::default() }
    }

    /// A workspace's secrets that count or will, the oldest first. Uses are those that the store knows of and those since.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, workspace: WorkspaceId) -> Result<Vec<(SecretRow, SecretState)>, StoreError> {
        let now = self.clock.now();
        let mut rows = self.store.secrets(now).await?;
        rows.retain(|row| row.workspace_id == workspace);
        let since = self.directory.secret_uses(workspace);
        for row in &mut rows {
            if let Some((more, last)) = since.get(&row.id) {
                row.uses += more;
                row.last_used_at = row.last_used_at.max(Some(*last));
            }
        }
        rows.sort_by_key(|row| (row.direction.as_str(), row.active_from, row.expires_at.is_none(), row.id));
        let states: Vec<SecretState> = rows.iter().map(|row| state(&rows, row, now)).collect();
        Ok(rows.into_iter().zip(states).collect())
    }

    /// Makes a new secret and puts it in place, now or later.
    ///
    /// # Errors
    /// [`RotationError`]; nothing was changed then, except for [`RotationError::Unread`].
    pub async fn rotate(&self, actor: Actor, rotate: Rotate) -> Result<Fresh, RotationError> {
        let direction = rotate.direction;
        let text = Zeroizing::new(match direction {
            SecretDirection::Inbound => InboundSecret::from_random_bytes(random()).expose().to_owned(),
            SecretDirection::Outbound => OutboundSecret::from_random_bytes(random()).expose().to_owned(),
        });
        let _one_at_a_time = self.changing.lock().await;
        let now = self.clock.now();
        let mut live = self.store.secrets(now).await?;
        live.retain(|row| row.workspace_id == actor.workspace_id && row.direction == direction);
        if let Some(pending) = live.iter().find(|row| row.active_from > now) {
            return Err(RotationError::Pending(pending.id));
        }
        if live.len() >= Self::LIVE_MAX && !(rotate.overlap + rotate.activate_after).is_zero() {
            return Err(RotationError::TooMany);
        }
        let mut secret = setup::secret(&self.vault, actor.workspace_id, direction, &text, now);
        secret.active_from = now.plus(rotate.activate_after);
        let old_expires_at = secret.active_from.plus(rotate.overlap);
        let (id, created_at, active_from) = (secret.id, secret.created_at, secret.active_from);
        let audit = AuditRow::new(actor, now, "secret.rotate", id);
        self.store.rotate_secret(secret, old_expires_at, audit).await?;
        self.directory.reload(now).await.map_err(RotationError::Unread)?;
        Ok(Fresh { id, text, created_at, active_from, old_expires_at })
    }

    /// Drops a retiring secret before its end, or cancels a pending one.
    ///
    /// # Errors
    /// [`RotationError`]; nothing was changed then, except for [`RotationError::Unread`].
    pub async fn drop_secret(&self, actor: Actor, id: SecretId) -> Result<(), RotationError> {
        let _one_at_a_time = self.changing.lock().await;
        let now = self.clock.now();
        let audit = AuditRow::new(actor, now, "secret.drop", id);
        match self.store.drop_secret(id, audit).await? {
            SecretDropped::Done => self.directory.reload(now).await.map_err(RotationError::Unread),
            SecretDropped::Present => Err(RotationError::Present),
            SecretDropped::NotFound => Err(RotationError::NotFound),
        }
    }
}

impl Rotation {
    /// Puts a new inbound URL in place; the old one is unknown from then on. Answers the endpoint, and its token in the clear.
    ///
    /// # Errors
    /// [`RotationError`]; nothing was changed then, except for [`RotationError::Unread`].
    pub async fn rotate_endpoint(
        &self,
        actor: Actor,
    ) -> Result<(Endpoint, Zeroizing<String>), RotationError> {
        let now = self.clock.now();
        let (endpoint, token) = setup::endpoint(&self.vault, actor.workspace_id, now);
        let audit = AuditRow::new(actor, now, "endpoint.rotate", endpoint.id);
        self.store.rotate_endpoint(endpoint.clone(), audit).await?;
        self.directory.reload(now).await.map_err(RotationError::Unread)?;
        Ok((endpoint, token))
    }

    /// The present secret of a direction in the clear, and for the inbound one the endpoint's token. Whoever asks has proved
    /// who they are; that they asked is in the audit log before they see anything.
    ///
    /// # Errors
    /// [`RotationError`].
    pub async fn reveal(
        &self,
        actor: Actor,
        direction: SecretDirection,
    ) -> Result<(Zeroizing<String>, Option<Zeroizing<String>>), RotationError> {
        let audit = AuditRow::new(actor, self.clock.now(), "secret.reveal", direction.as_str());
        self.store.audit(audit).await?;
        let secrets = self.list(actor.workspace_id).await?;
        let present = secrets
            .iter()
            .find(|(row, state)| row.direction == direction && *state == SecretState::Active)
            .ok_or(RotationError::NotFound)?;
        let open = |id: &str, sealed| {
            self.vault.open(id, sealed).map_err(|error| RotationError::Unread(error.into()))
        };
        let secret = open(&present.0.id.to_string(), &present.0.secret)?;
        if direction == SecretDirection::Outbound {
            return Ok((secret, None));
        }
        let endpoints = self.store.endpoints().await?;
        let endpoint = endpoints.into_iter().find(|endpoint| endpoint.workspace_id == actor.workspace_id);
        let endpoint = endpoint.ok_or(RotationError::NotFound)?;
        Ok((secret, Some(open(&endpoint.id.to_string(), &endpoint.token)?)))
    }
}

fn state(all: &[SecretRow], row: &SecretRow, now: Moment) -> SecretState {
    let of_direction: Vec<SecretRow> =
        all.iter().filter(|other| other.direction == row.direction).cloned().collect();
    match SecretRow::present(&of_direction, now) {
        Some(present) if present.id == row.id => SecretState::Active,
        _ if row.active_from > now => SecretState::Pending,
        _ => SecretState::Retiring,
    }
}
