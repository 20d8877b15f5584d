//! Reading, for the management API: lists are newest first and paged by a cursor.

use std::fmt;
use std::str::FromStr;

use agentflow_events::{EventId, EventType, LeadId, OperatorId, WorkspaceId};
use async_trait::async_trait;

use super::StoreError;
use crate::id::{DeliveryId, DestinationId};
use crate::reason::Reason;
use crate::record::{
    AuditRow, Delivery, DeliveryState, EventRow, InboundLogRow, Lead, LeadState, OperationRow,
    StoredSubmission,
};

/// Where a page begins: the store's own order of the last row of the page before.
/// As text it is opaque to callers: the order under a letter that tells this form from later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{:x}", self.0)
    }
}

/// A text that no cursor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of a list")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let digits = text.strip_prefix('a').ok_or(NoCursor)?;
        // `from_str_radix` would take a sign.
        let plain =
            !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let place = plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten().ok_or(NoCursor)?;
        Ok(Self(place.cast_signed()))
    }
}

/// Which page.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Absent: the newest.
    pub cursor: Option<Cursor>,
    /// Rows, 1 to 100.
    pub limit: usize,
}

/// One page, newest first. It may have fewer rows than asked for, even none, though another follows: looking for what is seldom
/// ends somewhere, and the next page looks on from there.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Absent on the last page.
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// Whether rows that match may be further back although the page is not full.
    pub fn ends_early(&self, request: PageRequest) -> bool {
        self.next_cursor.is_some() && self.items.len() < request.limit
    }

    /// A page that is full unless it is the last: reads on where the store's pages end early.
    ///
    /// # Errors
    /// As `read`'s.
    pub async fn full<R>(
        request: PageRequest,
        mut read: impl FnMut(PageRequest) -> R,
    ) -> Result<Self, StoreError>
    where
        R: Future<Output = Result<Self, StoreError>>,
    {
        let mut page = read(request).await?;
        while page.ends_early(request) {
            let limit = request.limit - page.items.len();
            let further = read(PageRequest { cursor: page.next_cursor, limit }).await?;
            page.items.extend(further.items);
            page.next_cursor = further.next_cursor;
        }
        Ok(page)
    }

    /// A page of a list that is short enough to be read as a whole; its cursor counts rows.
    pub fn of_all(mut all: Vec<T>, request: PageRequest) -> Self {
        let begin = request.cursor.map_or(0, |cursor| usize::try_from(cursor.0).unwrap_or(usize::MAX));
        let begin = begin.min(all.len());
        let end = all.len().min(begin + request.limit);
        let next_cursor = (end < all.len()).then(|| Cursor(i64::try_from(end).unwrap_or(i64::MAX)));
        Self { items: all.drain(begin..end).collect(), next_cursor }
    }
}

/// Which leads; absent means any.
#[derive(Clone, Debug, Default)]
pub struct LeadFilter {
    /// State.
    pub state: Option<LeadState>,
    /// Email identity.
    pub email: Option<String>,
    /// Source, exactly.
    pub source: Option<String>,
    /// Found in name, email, company or message; case does not matter, at least for ASCII.
    pub text: Option<String>,
    /// The oldest first, in place of the newest: who has waited longest.
    pub oldest_first: bool,
}

/// Which rows of the inbound log; absent means any.
#[derive(Clone, Debug, Default)]
pub struct InboundLogFilter {
    /// `received`, `duplicate` or `rejected`.
    pub status: Option<String>,
    /// Reason of a refusal.
    pub reason: Option<Reason>,
}

/// Which deliveries; absent means any.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// State.
    pub state: Option<DeliveryState>,
    /// Destination.
    pub destination: Option<DestinationId>,
    /// Event.
    pub event: Option<EventId>,
    /// Event type.
    pub event_type: Option<EventType>,
}

/// Which rows of the audit log; absent means any.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Who did it.
    pub operator: Option<OperatorId>,
    /// What was done, exactly.
    pub action: Option<String>,
}

/// A lead's submissions, as far as they were asked for.
#[derive(Clone, Default)]
pub struct Submissions {
    /// How many there are.
    pub count: u64,
    /// The newest, oldest first.
    pub newest: Vec<StoredSubmission>,
}

/// The management API's part of the store. Every call is within one workspace.
#[async_trait]
pub trait QueryStore: Send + Sync + 'static {
    /// Leads.
    ///
    /// # Errors
    /// The store could not be read; so for every call here.
    async fn leads(
        &self,
        workspace: WorkspaceId,
        filter: &LeadFilter,
        page: PageRequest,
    ) -> Result<Page<Lead>, StoreError>;

    /// One lead.
    async fn lead(&self, workspace: WorkspaceId, id: LeadId) -> Result<Option<Lead>, StoreError>;

    /// The submissions of a lead: their number, and the newest of them, as many as have bodies of `bytes_max` bytes together,
    /// one at the least.
    async fn submissions(
        &self,
        workspace: WorkspaceId,
        id: LeadId,
        bytes_max: usize,
    ) -> Result<Submissions, StoreError>;

    /// The events of a lead, oldest first.
    async fn lead_events(&self, workspace: WorkspaceId, id: LeadId) -> Result<Vec<EventRow>, StoreError>;

    /// The inbound log.
    async fn inbound_log(
        &self,
        workspace: WorkspaceId,
        filter: &InboundLogFilter,
        page: PageRequest,
    ) -> Result<Page<InboundLogRow>, StoreError>;

    /// Events.
    async fn events(&self, workspace: WorkspaceId, page: PageRequest) -> Result<Page<EventRow>, StoreError>;

    /// One event.
    async fn event(&self, workspace: WorkspaceId, id: EventId) -> Result<Option<EventRow>, StoreError>;

    /// Deliveries, each with its last attempt alone.
    async fn deliveries(
        &self,
        workspace: WorkspaceId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StoreError>;

    /// One delivery with every attempt.
    async fn delivery(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// How many leads are in this state, counted up to `at_most`.
    async fn count_leads(
        &self,
        workspace: WorkspaceId,
        state: LeadState,
        at_most: u32,
    ) -> Result<u32, StoreError>;

    /// Who did what.
    async fn audit_log(
        &self,
        workspace: WorkspaceId,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRow>, StoreError>;

    /// What became of the destinations.
    async fn operational_log(
        &self,
        workspace: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<OperationRow>, StoreError>;

    /// How many deliveries are pending, over all workspaces.
    async fn pending_deliveries(&self) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        for place in [0, 1, 255, i64::MAX, -1, i64::MIN] {
            assert_eq!(Cursor(place).to_string().parse(), Ok(Cursor(place)));
        }
        for refused in ["", "a", "1", "a-1", "a+1", "aG", "a11111111111111111"] {
            assert!(refused.parse::<Cursor>().is_err(), "{refused}");
        }
    }
}
