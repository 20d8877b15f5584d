//! The delivery stage's part of a store, in memory.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentflow_events::{EventId, LeadId, Moment, OperatorId, WorkspaceId};
use agentflow_server::id::{DeliveryId, DestinationId, SecretId, SessionId, TokenId, mint};
use agentflow_server::record::{
    ApiToken, AttemptOutcome, AuditRow, Delivery, DeliveryState, Destination, DestinationChange,
    DisabledReason, DueDelivery, Endpoint, EventRow, FinishedAttempt, InboundLogRow, Invitation, Lead,
    LeadState, OperationRow, Operator, OperatorChange, SealedBytes, SecondFactor, SecretRow, SecretUses,
    Session, Settings, Workspace,
};
use agentflow_server::store::{
    Accept, Accepted, AccountChanged, AccountStore, AdminStore, AuditFilter, Cancelled, Decide, Decided,
    DeliveryFilter, DeliveryStore, FactorStore, Founding, Health, InboundLogFilter, IntakeStore, LeadFilter,
    Overview, OverviewStore, Page, PageRequest, Proven, QueryStore, ResendFilter, ScoreCounts, SealedIn,
    SecretDropped, Seen, SeenQuery, SessionStore, Store, StoreError, Submissions,
};
use async_trait::async_trait;

struct Row {
    delivery: Delivery,
    event: EventRow,
    claimed: bool,
    step: u32,
}

impl Row {
    fn due(&self) -> DueDelivery {
        DueDelivery {
            id: self.delivery.id,
            workspace_id: self.delivery.workspace_id,
            destination_id: self.delivery.destination_id,
            event_id: self.event.id,
            event_type: self.event.event_type,
            lead_id: self.event.lead_id,
            body: self.event.body.clone(),
            attempt_number: u32::try_from(self.delivery.attempts.len()).unwrap() + 1,
            schedule_step: self.step,
            due_at: self.delivery.next_attempt_at.unwrap(),
        }
    }

    fn is_due(&self, now: Moment) -> bool {
        !self.claimed && self.delivery.next_attempt_at.is_some_and(|at| at <= now)
    }
}

#[derive(Default)]
struct Tables {
    founding: Option<Founding>,
    destinations: Vec<Destination>,
    rows: Vec<Row>,
}

#[derive(Default)]
pub(crate) struct Memory {
    tables: Mutex<Tables>,
    /// So many further attempts are refused as if the queue were full.
    pub(crate) overloaded: AtomicU32,
    /// So many further attempts are met with a panic.
    pub(crate) panics: AtomicU32,
}

fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::Backend("deliveries need no such call".to_owned()))
}

#[async_trait]
impl DeliveryStore for Memory {
    async fn claim_due(
        &self,
        destination: DestinationId,
        now: Moment,
        limit: usize,
    ) -> Result<Option<Vec<DueDelivery>>, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        if !tables.destinations.iter().any(|found| found.id == destination && found.sends()) {
            return Ok(None);
        }
        let rows = tables
            .rows
            .iter_mut()
            .filter(|row| row.delivery.destination_id == destination && row.is_due(now));
        let claim = |row: &mut Row| {
            row.claimed = true;
            row.due()
        };
        Ok(Some(rows.take(limit).map(claim).collect()))
    }

    async fn claim_latest(
        &self,
        destination: DestinationId,
        now: Moment,
        limit: usize,
    ) -> Result<Option<Vec<DueDelivery>>, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        if !tables.destinations.iter().any(|found| found.id == destination && found.enabled) {
            return Ok(None);
        }
        let mut seen = HashSet::new();
        let mut claimed = Vec::new();
        for row in tables.rows.iter_mut().filter(|row| row.delivery.destination_id == destination) {
            let follows = !seen.insert(row.event.lead_id);
            if claimed.len() < limit && !follows && row.is_due(now) {
                row.claimed = true;
                claimed.push(row.due());
            }
            if row.delivery.state != DeliveryState::Pending {
                seen.remove(&row.event.lead_id);
            }
        }
        Ok(Some(claimed))
    }

    fn release(&self, deliveries: &[DeliveryId]) {
        for row in &mut self.tables.lock().unwrap().rows {
            row.claimed &= !deliveries.contains(&row.delivery.id);
        }
    }

    async fn next_due(&self) -> Result<Vec<(DestinationId, Moment)>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let of = |id| {
            let rows = tables.rows.iter().filter(|row| !row.claimed && row.delivery.destination_id == id);
            rows.filter_map(|row| row.delivery.next_attempt_at).min()
        };
        let all = tables.destinations.iter();
        Ok(all.filter_map(|destination| of(destination.id).map(|at| (destination.id, at))).collect())
    }

    async fn finish_attempt(&self, finished: Arc<FinishedAttempt>) -> Result<bool, StoreError> {
        if self.panics.load(Ordering::SeqCst) > 0 {
            self.panics.fetch_sub(1, Ordering::SeqCst);
            panic!("as the test wants it");
        }
        if self.overloaded.load(Ordering::SeqCst) > 0 {
            self.overloaded.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreError::Overloaded);
        }
        let mut tables = self.tables.lock().unwrap();
        let Tables { destinations, rows, .. } = &mut *tables;
        let row = rows.iter_mut().find(|row| row.delivery.id == finished.delivery_id).unwrap();
        assert!(row.claimed, "an attempt without a claim");
        row.claimed = false;
        row.step += 1;
        row.delivery.attempts.push(finished.attempt.clone());
        let (state, next) = match finished.outcome {
            AttemptOutcome::Delivered => (DeliveryState::Delivered, None),
            AttemptOutcome::RetryAt(at) => (DeliveryState::Pending, Some(at)),
            AttemptOutcome::Dead | AttemptOutcome::Gone => (DeliveryState::Dead, None),
        };
        (row.delivery.state, row.delivery.next_attempt_at) = (state, next);
        let gone = finished.outcome == AttemptOutcome::Gone;
        if gone {
            let found = destinations.iter_mut().find(|found| found.id == finished.destination_id).unwrap();
            (found.enabled, found.disabled_reason) = (false, Some(DisabledReason::Gone));
        }
        Ok(gone)
    }

    async fn resend(
        &self,
        _: WorkspaceId,
        _: ResendFilter,
        _: Moment,
        _: Option<AuditRow>,
    ) -> Result<u64, StoreError> {
        unused()
    }

    async fn cancel(
        &self,
        _: WorkspaceId,
        _: ResendFilter,
        _: Option<AuditRow>,
    ) -> Result<Cancelled, StoreError> {
        unused()
    }
}

impl Memory {
    fn deliveries_of(&self, event: EventRow) -> Vec<DueDelivery> {
        let mut tables = self.tables.lock().unwrap();
        let Tables { destinations, rows, .. } = &mut *tables;
        let mut due = Vec::new();
        for destination in destinations.iter().filter(|found| found.enabled) {
            let delivery = Delivery {
                id: mint(event.at),
                workspace_id: event.workspace_id,
                event_id: event.id,
                event_type: event.event_type,
                lead_id: event.lead_id,
                destination_id: destination.id,
                state: DeliveryState::Pending,
                state_reason: None,
                next_attempt_at: Some(event.at),
                created_at: event.at,
                attempts: Vec::new(),
            };
            let row = Row { delivery, event: event.clone(), claimed: true, step: 0 };
            due.push(row.due());
            rows.push(row);
        }
        due
    }
}

#[async_trait]
impl IntakeStore for Memory {
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError> {
        Ok(Accepted::Stored(self.deliveries_of(accept.write.event.unwrap())))
    }

    async fn seen(&self, _: SeenQuery) -> Result<Seen, StoreError> {
        unused()
    }

    fn log(&self, _: InboundLogRow) {}

    async fn decide(&self, decide: Decide) -> Result<Decided, StoreError> {
        Ok(Decided::Stored(self.deliveries_of(decide.write.event.unwrap())))
    }
}

#[async_trait]
impl QueryStore for Memory {
    async fn leads(&self, _: WorkspaceId, _: &LeadFilter, _: PageRequest) -> Result<Page<Lead>, StoreError> {
        unused()
    }

    async fn lead(&self, _: WorkspaceId, _: LeadId) -> Result<Option<Lead>, StoreError> {
        unused()
    }

    async fn submissions(&self, _: WorkspaceId, _: LeadId, _: usize) -> Result<Submissions, StoreError> {
        unused()
    }

    async fn lead_events(&self, _: WorkspaceId, _: LeadId) -> Result<Vec<EventRow>, StoreError> {
        unused()
    }

    async fn inbound_log(
        &self,
        _: WorkspaceId,
        _: &InboundLogFilter,
        _: PageRequest,
    ) -> Result<Page<InboundLogRow>, StoreError> {
        unused()
    }

    async fn events(&self, _: WorkspaceId, _: PageRequest) -> Result<Page<EventRow>, StoreError> {
        unused()
    }

    async fn event(&self, _: WorkspaceId, _: EventId) -> Result<Option<EventRow>, StoreError> {
        unused()
    }

    async fn deliveries(
        &self,
        _: WorkspaceId,
        _: &DeliveryFilter,
        _: PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        unused()
    }

    async fn delivery(&self, _: WorkspaceId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.rows.iter().find(|row| row.delivery.id == id).map(|row| row.delivery.clone()))
    }

    async fn count_leads(&self, _: WorkspaceId, _: LeadState, _: u32) -> Result<u32, StoreError> {
        unused()
    }

    async fn audit_log(
        &self,
        _: WorkspaceId,
        _: &AuditFilter,
        _: PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        unused()
    }

    async fn operational_log(
        &self,
        _: WorkspaceId,
        _: PageRequest,
    ) -> Result<Page<OperationRow>, StoreError> {
        unused()
    }

    async fn pending_deliveries(&self) -> Result<u64, StoreError> {
        unused()
    }
}

#[async_trait]
impl AdminStore for Memory {
    async fn found(&self, founding: Founding) -> Result<(), StoreError> {
        self.tables.lock().unwrap().founding = Some(founding);
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        Ok(self.tables.lock().unwrap().founding.iter().map(|founding| founding.workspace.clone()).collect())
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        Ok(self.tables.lock().unwrap().founding.iter().map(|founding| founding.endpoint.clone()).collect())
    }

    async fn secrets(&self, _: Moment) -> Result<Vec<SecretRow>, StoreError> {
        Ok(self
            .tables
            .lock()
            .unwrap()
            .founding
            .iter()
            .flat_map(|founding| founding.secrets.clone())
            .collect())
    }

    async fn put_settings(&self, _: Settings, _: AuditRow) -> Result<(), StoreError> {
        unused()
    }

    async fn rotate_secret(&self, _: SecretRow, _: Moment, _: AuditRow) -> Result<(), StoreError> {
        unused()
    }

    async fn drop_secret(&self, _: SecretId, _: AuditRow) -> Result<SecretDropped, StoreError> {
        unused()
    }

    async fn note_uses(&self, _: Vec<SecretUses>, _: Vec<(TokenId, Moment)>) -> Result<(), StoreError> {
        unused()
    }

    async fn sealed(&self) -> Result<Vec<(SealedIn, SealedBytes)>, StoreError> {
        unused()
    }

    async fn reseal(&self, _: Vec<(SealedIn, SealedBytes)>) -> Result<(), StoreError> {
        unused()
    }

    async fn rotate_endpoint(&self, _: Endpoint, _: AuditRow) -> Result<(), StoreError> {
        unused()
    }

    async fn destinations(&self, _: WorkspaceId) -> Result<Vec<Destination>, StoreError> {
        self.all_destinations().await
    }

    async fn all_destinations(&self) -> Result<Vec<Destination>, StoreError> {
        Ok(self.tables.lock().unwrap().destinations.clone())
    }

    async fn put_destination(&self, destination: Destination, _: AuditRow) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        tables.destinations.retain(|found| found.id != destination.id);
        tables.destinations.push(destination);
        Ok(())
    }

    async fn change_destination(
        &self,
        _: DestinationId,
        _: DestinationChange,
        _: AuditRow,
    ) -> Result<Option<Destination>, StoreError> {
        unused()
    }

    async fn delete_destination(&self, _: DestinationId, _: AuditRow) -> Result<bool, StoreError> {
        unused()
    }

    async fn audit(&self, _: AuditRow) -> Result<(), StoreError> {
        unused()
    }

    async fn audit_rows(&self, _: WorkspaceId, _: usize) -> Result<Vec<AuditRow>, StoreError> {
        unused()
    }

    async fn upkeep(&self, _: Moment, _: Duration) -> Result<bool, StoreError> {
        unused()
    }
}

#[async_trait]
impl AccountStore for Memory {
    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        Ok(Vec::new())
    }

    async fn put_token(&self, _: ApiToken, _: AuditRow) -> Result<(), StoreError> {
        unused()
    }

    async fn delete_token(&self, _: TokenId, _: AuditRow) -> Result<bool, StoreError> {
        unused()
    }

    async fn operators(&self, _: WorkspaceId) -> Result<Vec<Operator>, StoreError> {
        unused()
    }

    async fn operator(&self, _: OperatorId) -> Result<Option<Operator>, StoreError> {
        unused()
    }

    async fn put_operator(&self, _: Operator, _: AuditRow) -> Result<AccountChanged, StoreError> {
        unused()
    }

    async fn change_operator(
        &self,
        _: OperatorId,
        _: OperatorChange,
        _: AuditRow,
    ) -> Result<AccountChanged, StoreError> {
        unused()
    }

    async fn delete_operator(&self, _: OperatorId, _: AuditRow) -> Result<AccountChanged, StoreError> {
        unused()
    }

    async fn put_invitation(&self, _: Invitation, _: AuditRow) -> Result<(), StoreError> {
        unused()
    }

    async fn invited(&self, _: [u8; 32], _: Moment) -> Result<Option<Operator>, StoreError> {
        unused()
    }

    async fn accept_invitation(&self, _: [u8; 32], _: String, _: AuditRow) -> Result<bool, StoreError> {
        unused()
    }
}

#[async_trait]
impl Store for Memory {
    async fn failed(&self) -> String {
        std::future::pending().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

#[async_trait]
impl SessionStore for Memory {
    async fn operators_by_email(&self, _: &str) -> Result<Vec<Operator>, StoreError> {
        unused()
    }

    async fn open_session(
        &self,
        _: Session,
        _: Proven,
        _: Moment,
        _: Moment,
        _: AuditRow,
    ) -> Result<bool, StoreError> {
        unused()
    }

    async fn session(&self, _: [u8; 32]) -> Result<Option<(Session, Operator)>, StoreError> {
        unused()
    }

    async fn touch_session(&self, _: SessionId, _: Moment) -> Result<(), StoreError> {
        unused()
    }

    async fn sessions(&self, _: OperatorId) -> Result<Vec<Session>, StoreError> {
        unused()
    }

    async fn close_sessions(
        &self,
        _: OperatorId,
        _: Option<SessionId>,
        _: Option<AuditRow>,
    ) -> Result<u64, StoreError> {
        unused()
    }
}

#[async_trait]
impl OverviewStore for Memory {
    async fn overview(
        &self,
        _: WorkspaceId,
        _: Moment,
        _: Duration,
        _: usize,
    ) -> Result<Overview, StoreError> {
        unused()
    }

    async fn health(&self, _: WorkspaceId, _: Moment) -> Result<Vec<Health>, StoreError> {
        unused()
    }

    async fn scores(&self, _: WorkspaceId, _: Moment) -> Result<ScoreCounts, StoreError> {
        unused()
    }
}

#[async_trait]
impl FactorStore for Memory {
    async fn factor(&self, _: OperatorId) -> Result<Option<SecondFactor>, StoreError> {
        unused()
    }

    async fn put_factor(
        &self,
        _: OperatorId,
        _: SealedBytes,
        _: SessionId,
        _: AuditRow,
    ) -> Result<bool, StoreError> {
        unused()
    }

    async fn activate_factor(
        &self,
        _: SecondFactor,
        _: u64,
        _: Vec<[u8; 32]>,
        _: SessionId,
        _: AuditRow,
    ) -> Result<bool, StoreError> {
        unused()
    }

    async fn use_step(&self, _: OperatorId, _: u64) -> Result<bool, StoreError> {
        unused()
    }

    async fn count_wrong_code(&self, _: OperatorId, _: AuditRow) -> Result<(), StoreError> {
        unused()
    }

    async fn use_recovery_code(&self, _: OperatorId, _: [u8; 32], _: AuditRow) -> Result<bool, StoreError> {
        unused()
    }

    async fn delete_factor(&self, _: OperatorId, _: AuditRow) -> Result<bool, StoreError> {
        unused()
    }
}
