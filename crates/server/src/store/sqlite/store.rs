//! The store's traits, each call handed to the writer or a reader.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{EventId, LeadId, Moment, WorkspaceId};
use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::rows::{self, blob};
use super::{SqliteStore, accept, admin, finish, operational, query, queue, secrets, upkeep, withdraw};
use crate::id::{DeliveryId, DestinationId, SecretId, TokenId};
use crate::record::{
    AuditRow, Delivery, DeliveryState, Destination, DestinationChange, DueDelivery, Endpoint, EventRow,
    FinishedAttempt, InboundLogRow, Lead, LeadState, OperationKind, OperationRow, SealedBytes, SecretRow,
    SecretUses, Settings, Workspace,
};
use crate::store::{
    Accept, Accepted, AdminStore, AuditFilter, Cancelled, Decide, Decided, DeliveryFilter, DeliveryStore,
    Founding, InboundLogFilter, IntakeStore, LeadFilter, Page, PageRequest, QueryStore, ResendFilter,
    SealedIn, SecretDropped, Seen, SeenQuery, Store, StoreError, Submissions,
};

#[async_trait]
impl Store for SqliteStore {
    async fn failed(&self) -> String {
        self.writer.failed().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.writer
            .write(|tx| {
                tx.sql
                    .prepare_cached("INSERT OR REPLACE INTO upkeep (task, seq) VALUES ('writable', 1)")?
                    .execute([])
                    .map(|_| ())
            })
            .await
    }

    async fn close(&self) {
        self.close_all().await;
    }
}

#[async_trait]
impl IntakeStore for SqliteStore {
    async fn accept(&self, request: Accept) -> Result<Accepted, StoreError> {
        let held: fn(&Accepted) -> &[DueDelivery] = |answer| match answer {
            Accepted::Stored(due) => due,
            Accepted::Duplicate(_) | Accepted::KeyReused | Accepted::Rebase(_) => &[],
        };
        let request = Arc::new(request);
        let kept = Arc::clone(&request);
        let answer = self.writer.gather(move |tx| accept::accept(tx, &request), held).await;
        // A lead is many pieces of memory, each cheaper to give back where it was taken than on the writer's thread.
        drop(kept);
        answer
    }

    async fn seen(&self, query: SeenQuery) -> Result<Seen, StoreError> {
        self.readers.read(move |sql| accept::seen(sql, &query)).await
    }

    fn log(&self, row: InboundLogRow) {
        self.log.push(row);
        self.writer.log_pending();
    }

    async fn decide(&self, decide: Decide) -> Result<Decided, StoreError> {
        let held: fn(&Decided) -> &[DueDelivery] = |answer| match answer {
            Decided::Stored(due) => due,
            Decided::Changed | Decided::NotFound => &[],
        };
        self.writer.write_claiming(move |tx| accept::decide(tx, &decide), held).await
    }
}

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn claim_due(
        &self,
        destination: DestinationId,
        now: Moment,
        limit: usize,
    ) -> Result<Option<Vec<DueDelivery>>, StoreError> {
        let held: fn(&Option<Vec<DueDelivery>>) -> &[DueDelivery] = |due| due.as_deref().unwrap_or_default();
        self.writer.write_claiming(move |tx| queue::claim_due(tx, destination, now, limit), held).await
    }

    async fn claim_latest(
        &self,
        destination: DestinationId,
        now: Moment,
        limit: usize,
    ) -> Result<Option<Vec<DueDelivery>>, StoreError> {
        let held: fn(&Option<Vec<DueDelivery>>) -> &[DueDelivery] = |due| due.as_deref().unwrap_or_default();
        self.writer.write_claiming(move |tx| queue::claim_latest(tx, destination, now, limit), held).await
    }

    fn release(&self, deliveries: &[DeliveryId]) {
        let mut claims = self.claims.lock();
        for id in deliveries {
            claims.remove(id);
        }
    }

    async fn next_due(&self) -> Result<Vec<(DestinationId, Moment)>, StoreError> {
        self.writer.write(queue::next_due).await
    }

    async fn finish_attempt(&self, finished: Arc<FinishedAttempt>) -> Result<bool, StoreError> {
        let told = self.writer.gather(move |tx| finish::attempt(tx, &finished), |_| &[]).await?;
        if let Some(told) = &told {
            tracing::warn!(destination = %told.destination_id, kind = ?told.kind, "{}", told.message);
        }
        Ok(told.is_some_and(|told| told.kind == OperationKind::DestinationDisabled))
    }

    async fn mend_due_times(&self, now: Moment) -> Result<u64, StoreError> {
        self.writer.write(move |tx| queue::mend_due_times(tx.sql, now)).await
    }

    async fn resend(
        &self,
        workspace: WorkspaceId,
        filter: ResendFilter,
        now: Moment,
        audit: Option<AuditRow>,
    ) -> Result<u64, StoreError> {
        self.writer.write(move |tx| queue::resend(tx, workspace, &filter, now, audit.as_ref())).await
    }

    async fn cancel(
        &self,
        workspace: WorkspaceId,
        filter: ResendFilter,
        audit: Option<AuditRow>,
    ) -> Result<Cancelled, StoreError> {
        self.writer.write(move |tx| withdraw::cancel(tx, workspace, &filter, audit.as_ref())).await
    }
}

#[async_trait]
impl QueryStore for SqliteStore {
    async fn leads(
        &self,
        workspace: WorkspaceId,
        filter: &LeadFilter,
        page: PageRequest,
    ) -> Result<Page<Lead>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |sql| query::leads(sql, workspace, &filter, page)).await
    }

    async fn lead(&self, workspace: WorkspaceId, id: LeadId) -> Result<Option<Lead>, StoreError> {
        let select = format!("SELECT {} FROM leads WHERE workspace = ? AND id = ?", rows::LEAD_COLUMNS);
        self.readers
            .read(move |sql| {
                sql.prepare_cached(&select)?
                    .query_row(params![blob(&workspace), blob(&id)], rows::lead)
                    .optional()
            })
            .await
    }

    async fn submissions(
        &self,
        workspace: WorkspaceId,
        id: LeadId,
        bytes_max: usize,
    ) -> Result<Submissions, StoreError> {
        self.readers.read(move |sql| query::submissions(sql, workspace, id, bytes_max)).await
    }

    async fn lead_events(&self, workspace: WorkspaceId, id: LeadId) -> Result<Vec<EventRow>, StoreError> {
        let select = format!(
            "SELECT {} FROM events WHERE workspace = ? AND lead = ? ORDER BY seq",
            rows::EVENT_COLUMNS
        );
        self.readers
            .read(move |sql| {
                sql.prepare_cached(&select)?
                    .query_map(params![blob(&workspace), blob(&id)], rows::event)?
                    .collect()
            })
            .await
    }

    async fn inbound_log(
        &self,
        workspace: WorkspaceId,
        filter: &InboundLogFilter,
        page: PageRequest,
    ) -> Result<Page<InboundLogRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |sql| query::inbound_log(sql, workspace, &filter, page)).await
    }

    async fn events(&self, workspace: WorkspaceId, page: PageRequest) -> Result<Page<EventRow>, StoreError> {
        self.readers.read(move |sql| query::events(sql, workspace, page)).await
    }

    async fn event(&self, workspace: WorkspaceId, id: EventId) -> Result<Option<EventRow>, StoreError> {
        let select = format!("SELECT {} FROM events WHERE workspace = ? AND id = ?", rows::EVENT_COLUMNS);
        self.readers
            .read(move |sql| {
                sql.prepare_cached(&select)?
                    .query_row(params![blob(&workspace), blob(&id)], rows::event)
                    .optional()
            })
            .await
    }

    async fn deliveries(
        &self,
        workspace: WorkspaceId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |sql| query::deliveries(sql, workspace, &filter, page)).await
    }

    async fn delivery(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.readers.read(move |sql| query::delivery(sql, workspace, id)).await
    }

    async fn count_leads(
        &self,
        workspace: WorkspaceId,
        state: LeadState,
        at_most: u32,
    ) -> Result<u32, StoreError> {
        self.readers.read(move |sql| query::count_leads(sql, workspace, state, at_most)).await
    }

    async fn audit_log(
        &self,
        workspace: WorkspaceId,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |sql| query::audit_log(sql, workspace, &filter, page)).await
    }

    async fn operational_log(
        &self,
        workspace: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<OperationRow>, StoreError> {
        self.readers.read(move |sql| operational::page(sql, workspace, page)).await
    }

    async fn pending_deliveries(&self) -> Result<u64, StoreError> {
        self.readers
            .read(|sql| {
                sql.prepare_cached("SELECT count(*) FROM deliveries WHERE state = 0")?
                    .query_row([], |row| row.get(0))
            })
            .await
    }
}

#[async_trait]
impl AdminStore for SqliteStore {
    async fn found(&self, founding: Founding) -> Result<(), StoreError> {
        self.writer.write(move |tx| admin::found(tx.sql, &founding)).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        self.readers.read(admin::workspaces).await
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.readers.read(admin::endpoints).await
    }

    async fn secrets(&self, now: Moment) -> Result<Vec<SecretRow>, StoreError> {
        self.readers.read(move |sql| secrets::live(sql, now)).await
    }

    async fn put_settings(&self, settings: Settings, audit: AuditRow) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                tx.cache.first_wait_seconds.clear();
                tx.sql
                    .prepare_cached("UPDATE workspaces SET settings = ? WHERE id = ?")?
                    .execute(params![rows::to_json(&settings)?, blob(&audit.workspace_id)])?;
                accept::audit(tx.sql, &audit)
            })
            .await
    }

    async fn rotate_secret(
        &self,
        secret: SecretRow,
        old_expires_at: Moment,
        audit: AuditRow,
    ) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                secrets::rotate(tx.sql, &secret, old_expires_at)?;
                accept::audit(tx.sql, &audit)
            })
            .await
    }

    async fn drop_secret(&self, id: SecretId, audit: AuditRow) -> Result<SecretDropped, StoreError> {
        self.writer.write(move |tx| secrets::drop_one(tx.sql, id, &audit)).await
    }

    async fn note_uses(
        &self,
        of_secrets: Vec<SecretUses>,
        of_tokens: Vec<(TokenId, Moment)>,
    ) -> Result<(), StoreError> {
        self.writer.write(move |tx| secrets::note_uses(tx.sql, &of_secrets, &of_tokens)).await
    }

    async fn sealed(&self) -> Result<Vec<(SealedIn, SealedBytes)>, StoreError> {
        self.readers.read(secrets::sealed).await
    }

    async fn reseal(&self, values: Vec<(SealedIn, SealedBytes)>) -> Result<(), StoreError> {
        self.writer.write(move |tx| secrets::reseal(tx.sql, &values)).await
    }

    async fn rotate_endpoint(&self, endpoint: Endpoint, audit: AuditRow) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                admin::rotate_endpoint(tx.sql, &endpoint)?;
                accept::audit(tx.sql, &audit)
            })
            .await
    }

    async fn destinations(&self, workspace: WorkspaceId) -> Result<Vec<Destination>, StoreError> {
        let all = self.all_destinations().await?;
        Ok(all.into_iter().filter(|to| to.workspace_id == workspace).collect())
    }

    async fn all_destinations(&self) -> Result<Vec<Destination>, StoreError> {
        self.readers.read(rows::destinations).await
    }

    async fn put_destination(&self, destination: Destination, audit: AuditRow) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                tx.cache.destinations = None;
                queue::put_destination(tx.sql, &destination)?;
                accept::audit(tx.sql, &audit)
            })
            .await
    }

    async fn change_destination(
        &self,
        id: DestinationId,
        change: DestinationChange,
        audit: AuditRow,
    ) -> Result<Option<Destination>, StoreError> {
        self.writer.write(move |tx| queue::change_destination(tx, id, &change, &audit)).await
    }

    async fn delete_destination(&self, id: DestinationId, audit: AuditRow) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                tx.cache.destinations = None;
                let deleted = tx
                    .sql
                    .prepare_cached("DELETE FROM destinations WHERE id = ? AND workspace = ?")?
                    .execute(params![blob(&id), blob(&audit.workspace_id)])?;
                if deleted == 0 {
                    return Ok(false);
                }
                let pending = "SELECT seq FROM deliveries WHERE destination = ? AND state = 0";
                let values = [blob(&id).to_vec().into()];
                tx.effects.hours.will_move(tx.sql, pending, &values, DeliveryState::Cancelled)?;
                tx.sql
                    .prepare_cached(
                        "UPDATE deliveries SET state = 3, next_attempt_at = NULL, state_reason = '\"destination_deleted\"'
                         WHERE destination = ? AND state = 0",
                    )?
                    .execute([blob(&id)])?;
                accept::audit(tx.sql, &audit)?;
                Ok(true)
            })
            .await
    }

    async fn audit(&self, audit: AuditRow) -> Result<(), StoreError> {
        self.writer.write(move |tx| accept::audit(tx.sql, &audit)).await
    }

    async fn audit_rows(&self, workspace: WorkspaceId, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.readers.read(move |sql| admin::audit_rows(sql, workspace, limit)).await
    }

    async fn upkeep(&self, now: Moment, rejected_log_kept: Duration) -> Result<bool, StoreError> {
        self.writer.write(move |tx| upkeep::step(tx.sql, now, rejected_log_kept)).await
    }
}
