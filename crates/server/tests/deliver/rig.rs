//! A workspace in a store, the delivery stage over it, and leads that make events.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{
    Action, Confidence, DecidedBy, Decision, Dimensions, LeadId, Moment, Outcome, Qualification, Score,
    WorkspaceId,
};
use agentflow_lead::Submission;
use agentflow_server::announce;
use agentflow_server::clock::Clock;
use agentflow_server::config::DeliveryConfig;
use agentflow_server::deliver::Deliver;
use agentflow_server::directory::{Directory, credential_hash};
use agentflow_server::id::{DeliveryId, DestinationId, mint, random};
use agentflow_server::intake::Dispatch;
use agentflow_server::record::{
    ApiToken, AuditRow, Delivery, DeliveryState, Destination, DueDelivery, Endpoint, EventRow, FactorState,
    InboundLogRow, InboundStatus, Lead, LeadState, Operator, Role, Scored, SecretDirection, SecretRow,
    Settings, StoredSubmission, Workspace,
};
use agentflow_server::store::sqlite::SqliteStore;
use agentflow_server::store::{Accept, Accepted, Basis, Decide, Decided, Founding, LeadWrite, Store};
use agentflow_server::telemetry::Metrics;
use agentflow_server::vault::Vault;

use crate::receiver::Authority;

pub(crate) const OUTBOUND_SECRET: &str = "whsec_b3V0Ym91bmQtc2VjcmV0LW9mLXRoZS10ZXN0cy0hISE=";
const INBOUND_SECRET: &str = "whsec_aW5ib3VuZC1zZWNyZXQtb2YtdGhlLXRlc3RzLSEhISE=";

pub(crate) struct Rig {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) deliver: Arc<Deliver>,
    workspace: WorkspaceId,
    /// Holds the database of a rig that has its own.
    _folder: Option<tempfile::TempDir>,
}

/// What the tests send to: this machine, and certificates of this authority.
pub(crate) fn config(authority: &Authority) -> DeliveryConfig {
    DeliveryConfig {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        extra_ca: Some(authority.path()),
        ..DeliveryConfig::default()
    }
}

impl Rig {
    /// Over a database of its own.
    pub(crate) async fn start_fresh(config: &DeliveryConfig, schedule: &[u32]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("test.db")).unwrap();
        Self { _folder: Some(folder), ..Self::start(Arc::new(store), config, schedule).await }
    }

    pub(crate) async fn start(store: Arc<dyn Store>, config: &DeliveryConfig, schedule: &[u32]) -> Self {
        let now = Clock::system().now();
        let vault = Arc::new(Vault::new(&[7; 32]));
        let workspace = mint(now);
        store.found(founding(workspace, &vault, schedule, now)).await.unwrap();
        let directory = Arc::new(Directory::open(Arc::clone(&store), vault, now).await.unwrap());
        let deliver = start(&store, &directory, config);
        Self { store, directory, deliver, workspace, _folder: None }
    }

    /// Another process over the same store.
    pub(crate) fn restart(&mut self, config: &DeliveryConfig) {
        self.deliver = start(&self.store, &self.directory, config);
    }

    pub(crate) fn destination(&self, url: &str) -> Destination {
        let now = Clock::system().now();
        Destination {
            id: mint(now),
            workspace_id: self.workspace,
            url: url.to_owned(),
            event_types: agentflow_events::EventType::ALL.to_vec(),
            enabled: true,
            paused: false,
            disabled_reason: None,
            created_at: now,
            failing_since: None,
            max_in_flight: None,
            per_second: None,
        }
    }

    /// Adds a destination.
    pub(crate) async fn send_to(&self, url: &str) -> DestinationId {
        self.add(self.destination(url)).await
    }

    /// Adds this one.
    pub(crate) async fn add(&self, destination: Destination) -> DestinationId {
        let id = destination.id;
        let audit = self.audit("destination.create", id.to_string());
        self.store.put_destination(destination, audit).await.unwrap();
        self.deliver.wake();
        id
    }

    /// Commits a lead that is approved at once, without telling the delivery stage.
    pub(crate) async fn commit(&self) -> Vec<DueDelivery> {
        let now = Clock::system().now();
        let (lead, event) = self.lead(mint(now), Outcome::Approved, now);
        self.accept(lead, event).await
    }

    /// Commits it and hands its deliveries on. Answers them with the event's body.
    pub(crate) async fn event(&self) -> Vec<DueDelivery> {
        let due = self.commit().await;
        self.deliver.dispatch(due.clone());
        due
    }

    /// A lead that goes to review and is approved at once.
    pub(crate) async fn review_and_decision(&self) {
        let now = Clock::system().now();
        let (mut lead, event) = self.lead(mint(now), Outcome::ReviewRequested, now);
        lead.state = LeadState::InReview;
        let (id, version) = (lead.id, lead.version);
        let mut due = self.accept(lead, event).await;
        let (mut lead, event) = self.lead(id, Outcome::Approved, now);
        lead.version += 1;
        let write = LeadWrite { basis: Basis::Newest(id, version), lead, event: Some(event) };
        let audit = self.audit("lead.approve", id.to_string());
        match self.store.decide(Decide { write, audit }).await.unwrap() {
            Decided::Stored(decided) => due.extend(decided),
            other => panic!("{other:?}"),
        }
        self.deliver.dispatch(due);
    }

    fn audit(&self, action: &str, subject: String) -> AuditRow {
        let now = Clock::system().now();
        let operator_id = mint(now);
        AuditRow {
            id: mint(now),
            workspace_id: self.workspace,
            at: now,
            operator_id,
            action: action.to_owned(),
            subject,
            changes: Vec::new(),
        }
    }

    pub(crate) fn sample(&self) -> EventRow {
        let now = Clock::system().now();
        self.lead(mint(now), Outcome::Approved, now).1
    }

    async fn accept(&self, lead: Lead, event: EventRow) -> Vec<DueDelivery> {
        let now = event.at;
        let accept = Accept {
            submission: StoredSubmission {
                id: mint(now),
                endpoint_id: self.store.endpoints().await.unwrap()[0].id,
                at: now,
                body: event.body.clone(),
            },
            body_digest: random(),
            duplicate_window: Duration::from_secs(600),
            idempotency_key: None,
            log: InboundLogRow {
                id: mint(now),
                workspace_id: self.workspace,
                at: now,
                status: InboundStatus::Received,
                remote_addr: [127, 0, 0, 1].into(),
                body_bytes: 1,
                lead_id: Some(lead.id),
                finding: None,
            },
            write: LeadWrite { basis: Basis::NoLead, lead, event: Some(event) },
        };
        match self.store.accept(accept).await.unwrap() {
            Accepted::Stored(due) => due,
            other => panic!("{other:?}"),
        }
    }

    fn lead(&self, id: LeadId, outcome: Outcome, now: Moment) -> (Lead, EventRow) {
        let body = format!(r#"{{"name":"Jordan Ellis","email":"{id}@stacklane.co"}}"#);
        let score = Score::new(82).unwrap();
        let qualification = Qualification {
            score,
            confidence: Confidence::High,
            summary: "A good fit.".to_owned(),
            recommended_action: Action::Approve,
            dimensions: Dimensions {
                company_fit: score,
                intent_strength: score,
                budget_signal: score,
                timeline: score,
            },
            scored_by: "rules/1".to_owned(),
        };
        let lead = Lead {
            id,
            workspace_id: self.workspace,
            version: 1,
            state: LeadState::Qualified,
            details: Submission::parse(body.as_bytes()).unwrap(),
            previous_lead_id: None,
            scored: Some(Scored { qualification: qualification.clone(), signals: Vec::new() }),
            decision: None,
            received_at: now,
            scored_at: Some(now),
        };
        let decision = Decision { outcome, by: DecidedBy::Auto, operator_id: None, note: None };
        let event = announce::event(&lead, &qualification, &decision, now);
        (lead, event)
    }

    /// Waits until the delivery has so many attempts, and answers it.
    pub(crate) async fn after(&self, id: DeliveryId, attempts: usize) -> Delivery {
        loop {
            let delivery = self.store.delivery(self.workspace, id).await.unwrap().unwrap();
            if delivery.attempts.len() >= attempts {
                return delivery;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits for the only attempt of a delivery that succeeds.
    pub(crate) async fn delivered(&self, id: DeliveryId) {
        let delivery = self.after(id, 1).await;
        assert_eq!(delivery.state, DeliveryState::Delivered, "{delivery:?}");
    }
}

fn start(store: &Arc<dyn Store>, directory: &Arc<Directory>, config: &DeliveryConfig) -> Arc<Deliver> {
    let metrics = Arc::new(Metrics::new());
    Deliver::start(Arc::clone(store), Arc::clone(directory), config, Clock::system(), metrics).unwrap()
}

fn founding(workspace_id: WorkspaceId, vault: &Vault, schedule: &[u32], now: Moment) -> Founding {
    let secret = |direction, text| {
        let id = mint(now);
        let secret = vault.seal(&id.to_string(), text);
        SecretRow {
            id,
            workspace_id,
            direction,
            secret,
            created_at: now,
            active_from: now,
            expires_at: None,
            uses: 0,
            last_used_at: None,
        }
    };
    let endpoint_id = mint(now);
    let operator_id = mint(now);
    Founding {
        workspace: Workspace {
            id: workspace_id,
            created_at: now,
            settings: Settings { retry_schedule_seconds: schedule.to_vec(), ..Settings::default() },
        },
        endpoint: Endpoint {
            id: endpoint_id,
            workspace_id,
            token_hash: credential_hash("token"),
            token: vault.seal(&endpoint_id.to_string(), "token"),
            created_at: now,
        },
        secrets: [
            secret(SecretDirection::Inbound, INBOUND_SECRET),
            secret(SecretDirection::Outbound, OUTBOUND_SECRET),
        ],
        admin: Operator {
            id: operator_id,
            workspace_id,
            email: "admin@example.com".to_owned(),
            password_hash: String::new(),
            role: Role::Admin,
            created_at: now,
            invited_until: None,
            second_factor: FactorState::Off,
        },
        token: ApiToken {
            id: mint(now),
            workspace_id,
            operator_id,
            name: "first".to_owned(),
            role: Role::Admin,
            token_hash: credential_hash("api"),
            created_at: now,
            last_used_at: None,
        },
    }
}
