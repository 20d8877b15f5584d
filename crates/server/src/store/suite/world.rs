//! What the cases are written with: a founded workspace over a fresh store, and the writes of the stages around it.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{EventType, LeadId, Moment, WorkspaceId};

use super::Harness;
use super::sent::Sent;
use crate::directory::sha256;
use crate::id::{DestinationId, EndpointId, mint};
use crate::record::{
    ApiToken, AuditRow, Delivery, Destination, DueDelivery, Endpoint, FactorState, InboundLogRow,
    InboundStatus, Lead, Operator, Role, SealedBytes, SecretDirection, SecretRow, Settings, StoredSubmission,
    Workspace,
};
use crate::store::{
    Accept, Accepted, Cursor, Decide, Decided, DeliveryFilter, Founding, Page, PageRequest, Store, StoreError,
};

/// What a case answers; a broken promise is a panic.
pub type Outcome = Result<(), StoreError>;

/// When every case begins: 2024-11-14T08:44:00Z.
pub const START: Moment = Moment::from_unix_millis(1_731_573_840_000);
/// Seconds of an hour.
pub const HOUR: u64 = 3_600;
/// Seconds of a day.
pub const DAY: u64 = 86_400;

/// So many seconds after the start.
pub fn after(seconds: u64) -> Moment {
    START.plus(Duration::from_secs(seconds))
}

/// A founded workspace.
pub struct World {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What it was founded with.
    pub founding: Founding,
}

impl World {
    /// A workspace with default settings in a fresh store.
    pub async fn open(harness: &dyn Harness) -> Result<Self, StoreError> {
        Self::with(harness, Settings::default()).await
    }

    /// A workspace with these settings in a fresh store.
    pub async fn with(harness: &dyn Harness, settings: Settings) -> Result<Self, StoreError> {
        Self::in_store(harness.open().await, settings).await
    }

    /// Another workspace in the same store.
    pub async fn neighbour(&self) -> Result<Self, StoreError> {
        Self::in_store(Arc::clone(&self.store), Settings::default()).await
    }

    /// A workspace in this store.
    ///
    /// # Errors
    /// As the store's.
    pub async fn in_store(store: Arc<dyn Store>, settings: Settings) -> Result<Self, StoreError> {
        let founding = founding(settings);
        store.found(founding.clone()).await?;
        Ok(Self { store, founding })
    }

    /// The same world after the store was closed and opened again.
    pub async fn reopened(self, harness: &dyn Harness) -> Self {
        Self { store: harness.reopen(self.store).await, founding: self.founding }
    }

    /// The workspace.
    pub fn id(&self) -> WorkspaceId {
        self.founding.workspace.id
    }

    /// Its first endpoint.
    pub fn endpoint(&self) -> EndpointId {
        self.founding.endpoint.id
    }

    /// An audit row of the admin.
    pub fn audit(&self, action: &str, at: Moment) -> AuditRow {
        AuditRow {
            id: mint(at),
            workspace_id: self.id(),
            at,
            operator_id: self.founding.admin.id,
            action: action.to_owned(),
            subject: String::new(),
            changes: Vec::new(),
        }
    }

    /// Puts other settings in place.
    pub async fn set(&self, settings: Settings) -> Outcome {
        self.store.put_settings(settings, self.audit("settings.put", START)).await
    }

    /// An enabled destination for these types, made at `at`.
    pub async fn destination(&self, types: &[EventType], at: Moment) -> Result<Destination, StoreError> {
        let destination = Destination {
            id: mint(at),
            workspace_id: self.id(),
            url: "https://hooks.stacklane.co/agentflow".to_owned(),
            event_types: types.to_vec(),
            enabled: true,
            paused: false,
            disabled_reason: None,
            created_at: at,
            failing_since: None,
            max_in_flight: None,
            per_second: None,
        };
        self.put(&destination).await?;
        Ok(destination)
    }

    /// Puts a destination in place.
    pub async fn put(&self, destination: &Destination) -> Outcome {
        self.store.put_destination(destination.clone(), self.audit("destination.put", START)).await
    }

    /// Claims what is due; nothing of a destination that is disabled or gone.
    pub async fn claim(
        &self,
        destination: DestinationId,
        now: Moment,
        limit: usize,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        Ok(self.store.claim_due(destination, now, limit).await?.unwrap_or_default())
    }

    /// All submissions of a lead, oldest first.
    pub async fn submissions(&self, lead: LeadId) -> Result<Vec<StoredSubmission>, StoreError> {
        let found = self.store.submissions(self.id(), lead, usize::MAX).await?;
        assert_eq!(found.count, found.newest.len() as u64);
        Ok(found.newest)
    }

    /// A destination as it is now.
    pub async fn seen_destination(&self, like: &Destination) -> Result<Destination, StoreError> {
        let all = self.store.destinations(self.id()).await?;
        Ok(all.into_iter().find(|known| known.id == like.id).expect("the destination is there"))
    }

    /// The acceptance of a submission that rests on `newest`.
    pub fn plan(&self, sent: &Sent, newest: Option<&Lead>) -> Accept {
        let write = sent.plan(self.id(), newest);
        Accept {
            body_digest: sha256(&sent.body),
            duplicate_window: sent.window,
            idempotency_key: sent.key.clone(),
            log: InboundLogRow {
                id: mint(sent.at),
                workspace_id: self.id(),
                at: sent.at,
                status: InboundStatus::Received,
                remote_addr: [192, 0, 2, 7].into(),
                body_bytes: sent.body.len() as u64,
                lead_id: Some(write.lead.id),
                finding: None,
            },
            submission: sent.submission(self.endpoint()),
            write,
        }
    }

    /// Accepts a submission whose sender is thought to be new.
    pub async fn send(&self, sent: &Sent) -> Result<Accepted, StoreError> {
        self.store.accept(self.plan(sent, None)).await
    }

    /// Accepts a submission as the intake does: plans again on what the store has, until it is stored.
    pub async fn stored(&self, sent: &Sent) -> Result<(Lead, Vec<DueDelivery>), StoreError> {
        let mut newest: Option<Lead> = None;
        loop {
            let accept = self.plan(sent, newest.as_ref());
            let lead = accept.write.lead.clone();
            match self.store.accept(accept).await? {
                Accepted::Stored(due) => return Ok((lead, due)),
                Accepted::Rebase(found) => newest = found.map(|lead| *lead),
                other => panic!("expected to be stored: {other:?}"),
            }
        }
    }

    /// Decides a lead as the review does, on the version given.
    pub async fn decide(&self, lead: &Lead, approve: bool, at: Moment) -> Result<Decided, StoreError> {
        self.store.decide(self.judgement(lead, approve, at)).await
    }

    /// The decision, ready to be committed.
    pub fn judgement(&self, lead: &Lead, approve: bool, at: Moment) -> Decide {
        let audit = self.audit(if approve { "lead.approve" } else { "lead.reject" }, at);
        Decide { write: super::sent::judge(lead, approve, self.founding.admin.id, at), audit }
    }

    /// A lead as it is now.
    pub async fn seen_lead(&self, like: &Lead) -> Result<Lead, StoreError> {
        Ok(self.store.lead(self.id(), like.id).await?.expect("the lead is there"))
    }

    /// A delivery as it is now, with its attempts.
    pub async fn seen_delivery(&self, due: &DueDelivery) -> Result<Delivery, StoreError> {
        Ok(self.store.delivery(self.id(), due.id).await?.expect("the delivery is there"))
    }

    /// Every delivery, newest first.
    pub async fn all_deliveries(&self) -> Result<Vec<Delivery>, StoreError> {
        let filter = DeliveryFilter::default();
        walk(100, async |page| self.store.deliveries(self.id(), &filter, page).await).await
    }

    /// Every log row, newest first. What was logged before is written first: a write that is waited for takes it along.
    pub async fn log_rows(&self) -> Result<Vec<InboundLogRow>, StoreError> {
        self.store.check_writable().await?;
        let filter = crate::store::InboundLogFilter::default();
        walk(100, async |page| self.store.inbound_log(self.id(), &filter, page).await).await
    }
}

/// Everything a workspace begins with.
pub fn founding(settings: Settings) -> Founding {
    let workspace = Workspace { id: mint(START), created_at: START, settings };
    let secret = |direction, bytes: u8| SecretRow {
        id: mint(START),
        workspace_id: workspace.id,
        direction,
        secret: SealedBytes(vec![bytes; 40]),
        created_at: START,
        active_from: START,
        expires_at: None,
        uses: 0,
        last_used_at: None,
    };
    let admin = Operator {
        id: mint(START),
        workspace_id: workspace.id,
        email: "admin@stacklane.co".to_owned(),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA".to_owned(),
        role: Role::Admin,
        created_at: START,
        invited_until: None,
        second_factor: FactorState::Off,
    };
    Founding {
        endpoint: endpoint(workspace.id, START),
        secrets: [secret(SecretDirection::Inbound, 1), secret(SecretDirection::Outbound, 2)],
        token: ApiToken {
            id: mint(START),
            workspace_id: workspace.id,
            operator_id: admin.id,
            name: "first".to_owned(),
            role: Role::Admin,
            token_hash: crate::id::random(),
            created_at: START,
            last_used_at: None,
        },
        admin,
        workspace,
    }
}

/// An endpoint with a token that no other has.
pub(super) fn endpoint(workspace_id: WorkspaceId, created_at: Moment) -> Endpoint {
    let token_hash = crate::id::random();
    Endpoint { id: mint(created_at), workspace_id, token_hash, token: SealedBytes(vec![3; 71]), created_at }
}

/// Reads a list to its end in pages of `limit`, and checks that each is full while another follows.
pub(super) async fn walk<T>(
    limit: usize,
    read: impl AsyncFn(PageRequest) -> Result<Page<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let (mut all, mut cursor): (Vec<T>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = read(PageRequest { cursor, limit }).await?;
        match page.next_cursor {
            Some(_) => assert_eq!(page.items.len(), limit, "a page before the last is full"),
            None => assert!(page.items.len() <= limit, "a page has no more rows than asked for"),
        }
        assert!(cursor.is_none() || !page.items.is_empty(), "a page that was announced has rows");
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(all),
        }
    }
}

/// What follows from an acceptance that must have been stored.
pub trait Expect {
    /// The deliveries due at once.
    fn due(self) -> Vec<DueDelivery>;
}

impl Expect for Accepted {
    #[track_caller]
    fn due(self) -> Vec<DueDelivery> {
        match self {
            Accepted::Stored(due) => due,
            other => panic!("expected to be stored: {other:?}"),
        }
    }
}

impl Expect for Decided {
    #[track_caller]
    fn due(self) -> Vec<DueDelivery> {
        match self {
            Decided::Stored(due) => due,
            other => panic!("expected to be stored: {other:?}"),
        }
    }
}
