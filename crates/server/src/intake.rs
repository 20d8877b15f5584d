//! The spine: verify -> validate -> score -> decide -> one durable commit.
//!
//! Every check in the order of the contract; each refusal is logged with its reason. Knows no status code.

mod refusal;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agentflow_events::{DecidedBy, Decision, LeadId, Moment, WorkspaceId};
use agentflow_lead::Submission;
use agentflow_signature::{Inbound, Verified};
use bytes::Bytes;
use http::HeaderMap;

pub use self::refusal::Refusal;
use crate::announce;
use crate::clock::Clock;
use crate::directory::{LiveEndpoint, sha256};
pub use crate::dispatch::Dispatch;
use crate::explainer::{Explainer, Refused, now_signed};
use crate::id::mint;
use crate::qualify::{self, Scorer};
use crate::rate::RateLimiter;
use crate::reason::Reason;
use crate::record::{
    DecisionRecord, InboundLogRow, InboundStatus, Lead, LeadState, Settings, StoredSubmission,
};
use crate::store::{Accept, Accepted, Basis, LeadWrite, Seen, SeenQuery, Store, StoreError};
use crate::telemetry::{Metrics, Seldom};

/// A request for a known endpoint, its body within the limit.
pub struct InboundRequest<'a> {
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The exact body.
    pub body: Bytes,
    /// The sender.
    pub remote: IpAddr,
}

/// The reply to a lead that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The lead that it opened or joined.
    pub lead_id: LeadId,
    /// Whether it had been accepted before.
    pub duplicate: bool,
}

/// Receives leads.
pub struct Intake {
    store: Arc<dyn Store>,
    scorer: Arc<dyn Scorer>,
    dispatch: Arc<dyn Dispatch>,
    clock: Clock,
    metrics: Arc<Metrics>,
    rate: Option<RateLimiter<WorkspaceId>>,
    explainer: Explainer,
    not_stored: Seldom,
    /// Submissions that join a lead take turns, by email, so that a crowd with one email does not plan in vain.
    turns: [tokio::sync::Mutex<()>; 64],
}

impl Intake {
    /// Plans made for one submission before the sender is asked to come again; every plan but the first has its turn, so
    /// only an operator's decision at the same moment can spoil it.
    const PLANS_MAX: usize = 16;

    /// An intake over `store`. `requests_per_second`: a workspace's rate.
    pub fn new(
        store: Arc<dyn Store>,
        scorer: Arc<dyn Scorer>,
        dispatch: Arc<dyn Dispatch>,
        clock: Clock,
        metrics: Arc<Metrics>,
        requests_per_second: Option<u32>,
    ) -> Self {
        let rate = requests_per_second.map(RateLimiter::new);
        let explainer = Explainer::new(Arc::clone(&store));
        Self {
            store,
            scorer,
            dispatch,
            clock,
            metrics,
            rate,
            explainer,
            not_stored: Seldom::default(),
            turns: std::array::from_fn(|_| Default::default()),
        }
    }

    /// Takes one request through every check and stores its lead.
    ///
    /// # Errors
    /// The first check that failed; it is logged. Nothing was stored then.
    pub async fn receive(
        &self,
        endpoint: &LiveEndpoint,
        request: InboundRequest<'_>,
    ) -> Result<Receipt, Refusal> {
        let now = self.clock.now();
        let received = self.check_and_store(endpoint, &request, now).await;
        if let Err(refusal) = &received {
            let row = self.refusal(endpoint, refusal.reason, request.remote, request.body.len());
            if refusal.reason.is_of_signature() {
                let (workspace, headers, body) = (&endpoint.workspace, request.headers, &request.body);
                let detail = &refusal.detail;
                self.explainer.log(row, &Refused { workspace, headers, body, detail, now });
            } else {
                self.store.log(InboundLogRow { finding: Some(refusal.finding()), ..row });
            }
        }
        received
    }

    /// Waits until the refusals that are being looked into are logged. For the end, once no request is in flight.
    pub async fn settle(&self) {
        self.explainer.settle().await;
    }

    /// Logs a refusal; the edge does so for what it refuses before a body is here.
    pub fn log_refusal(&self, endpoint: &LiveEndpoint, refusal: &Refusal, remote: IpAddr, body_bytes: usize) {
        let row = self.refusal(endpoint, refusal.reason, remote, body_bytes);
        self.store.log(InboundLogRow { finding: Some(refusal.finding()), ..row });
    }

    /// Says that leads cannot be stored, unless the store says so itself.
    fn tell(&self, error: &StoreError) {
        if !matches!(error, StoreError::DiskFull | StoreError::Stopped(_))
            && let Some(passed_over) = self.not_stored.due(self.clock.now())
        {
            tracing::warn!(%error, passed_over, "a lead could not be stored");
        }
    }

    /// Counts a refusal and makes its row.
    fn refusal(
        &self,
        endpoint: &LiveEndpoint,
        reason: Reason,
        remote: IpAddr,
        body_bytes: usize,
    ) -> InboundLogRow {
        let status = InboundStatus::Rejected(reason);
        self.metrics.inbound(status);
        log_row(endpoint, status, remote, body_bytes, None, self.clock.now())
    }

    async fn check_and_store(
        &self,
        endpoint: &LiveEndpoint,
        request: &InboundRequest<'_>,
        now: Moment,
    ) -> Result<Receipt, Refusal> {
        let verified = verify(endpoint, request, now)?;
        let request_id = RequestIdentity::new(endpoint, request, &verified, now);

        let admitted = self.admit(endpoint, &request_id, &verified, now);
        let (submission, key) = match admitted {
            Ok(admitted) => admitted,
            // A known body or key is answered as such, whatever else would now be said against the request.
            Err(refusal) => return self.answer_known(endpoint, request, &request_id, refusal).await,
        };
        let accepted = self.store_lead(endpoint, request, &verified, &request_id, submission, key).await;
        if let (Ok(Receipt { duplicate: true, .. }), Some(rate)) = (&accepted, &self.rate) {
            rate.give_back(&endpoint.workspace.id);
        }
        accepted
    }

    /// What is checked after the duplicates: key, rate, JSON, fields.
    fn admit(
        &self,
        endpoint: &LiveEndpoint,
        request_id: &RequestIdentity,
        verified: &Verified<'_, Inbound>,
        now: Moment,
    ) -> Result<(Submission, Option<String>), Refusal> {
        let key = request_id.key.clone()?;
        if let Some(rate) = &self.rate {
            rate.take(endpoint.workspace.id, now).map_err(|wait| {
                Refusal::later(
                    Reason::RateLimited,
                    "The workspace's intake rate is used up; wait, then send it again.",
                    wait,
                )
            })?;
        }
        Ok((Submission::parse(verified.body())?, key))
    }

    async fn answer_known(
        &self,
        endpoint: &LiveEndpoint,
        request: &InboundRequest<'_>,
        request_id: &RequestIdentity,
        refusal: Refusal,
    ) -> Result<Receipt, Refusal> {
        let query = request_id.query(endpoint, &request.body);
        let seen = self.store.seen(query).await.inspect_err(|error| self.tell(error))?;
        match seen {
            Seen::No => Err(refusal),
            Seen::KeyReused => Err(key_reused()),
            Seen::Duplicate(lead_id) => {
                self.metrics.inbound(InboundStatus::Duplicate);
                let row = log_row(
                    endpoint,
                    InboundStatus::Duplicate,
                    request.remote,
                    request.body.len(),
                    Some(lead_id),
                    request_id.now,
                );
                self.store.log(row);
                Ok(Receipt { lead_id, duplicate: true })
            }
        }
    }

    async fn store_lead(
        &self,
        endpoint: &LiveEndpoint,
        request: &InboundRequest<'_>,
        verified: &Verified<'_, Inbound>,
        request_id: &RequestIdentity,
        mut submission: Submission,
        key: Option<String>,
    ) -> Result<Receipt, Refusal> {
        let settings = &endpoint.workspace.settings;
        let now = request_id.now;
        let mut newest: Option<Lead> = None;
        let mut turn = None;
        for _ in 0..Self::PLANS_MAX {
            let write = self.plan(endpoint.workspace.id, settings, newest.as_ref(), submission, now);
            let lead_id = write.lead.id;
            let log = log_row(
                endpoint,
                InboundStatus::Received,
                request.remote,
                request.body.len(),
                Some(lead_id),
                now,
            );
            let event_type = write.event.as_ref().map(|event| event.event_type);
            let accept = Accept {
                submission: StoredSubmission {
                    id: mint(now),
                    endpoint_id: endpoint.id,
                    at: now,
                    body: request.body.clone(),
                },
                body_digest: request_id.digest,
                duplicate_window: request_id.window,
                idempotency_key: key.clone(),
                write,
                log,
            };
            match self.store.accept(accept).await.inspect_err(|error| self.tell(error))? {
                Accepted::Stored(deliveries) => {
                    self.metrics.inbound(InboundStatus::Received);
                    if let Some(event_type) = event_type {
                        self.metrics.event(event_type);
                    }
                    self.dispatch.dispatch(deliveries);
                    return Ok(Receipt { lead_id, duplicate: false });
                }
                Accepted::Duplicate(lead_id) => {
                    self.metrics.inbound(InboundStatus::Duplicate);
                    return Ok(Receipt { lead_id, duplicate: true });
                }
                Accepted::KeyReused => return Err(key_reused()),
                Accepted::Rebase(found) => newest = found.map(|lead| *lead),
            }
            // Few plans are spoiled: reading the body again costs less than a copy for each of the others.
            submission = Submission::parse(verified.body())?;
            if turn.is_none() {
                let email = sha256(submission.email.identity().as_bytes());
                turn = Some(self.turns[usize::from(email[0]) % self.turns.len()].lock().await);
            }
        }
        let detail = "The lead with this email is being changed by others; send it again.";
        Err(Refusal::later(Reason::StoreUnavailable, detail, Duration::from_secs(1)))
    }

    /// The lead as it shall be with this submission: a new one, or the open one with the submission merged in.
    fn plan(
        &self,
        workspace: WorkspaceId,
        settings: &Settings,
        newest: Option<&Lead>,
        submission: Submission,
        now: Moment,
    ) -> LeadWrite {
        let basis = newest.map_or(Basis::NoLead, |lead| Basis::Newest(lead.id, lead.version));
        let mut lead = match newest {
            Some(open) if open.state.is_open() => {
                let mut lead = open.clone();
                lead.details.merge(&submission);
                lead.version += 1;
                lead
            }
            closed => Lead {
                id: mint(now),
                workspace_id: workspace,
                version: 1,
                state: LeadState::Received,
                details: submission,
                previous_lead_id: closed.map(|lead| lead.id),
                scored: None,
                decision: None,
                received_at: now,
                scored_at: None,
            },
        };
        let scored = self.scorer.score(&lead.details, &settings.scoring);
        lead.scored_at = Some(now);
        let mut event = None;
        // Only a lead that was never decided is: a further submission scores a lead in review again, no more.
        if lead.state == LeadState::Received {
            let outcome = qualify::decide(scored.qualification.score, settings);
            let decision = Decision { outcome, by: DecidedBy::Auto, operator_id: None, note: None };
            lead.state = qualify::state_after(outcome);
            if !lead.state.is_open() {
                lead.decision = Some(DecisionRecord { decision: decision.clone(), decided_at: now });
            }
            event = Some(announce::event(&lead, &scored.qualification, &decision, now));
        }
        lead.scored = Some(scored);
        LeadWrite { basis, lead, event }
    }
}

/// What tells a request from another: its body, and its key if it has one.
struct RequestIdentity {
    digest: [u8; 32],
    key: Result<Option<String>, Refusal>,
    window: Duration,
    now: Moment,
}

impl RequestIdentity {
    fn new(
        endpoint: &LiveEndpoint,
        request: &InboundRequest<'_>,
        verified: &Verified<'_, Inbound>,
        now: Moment,
    ) -> Self {
        let window = Duration::from_secs(endpoint.workspace.settings.duplicate_window_seconds.into());
        Self { digest: sha256(verified.body()), key: idempotency_key(request.headers), window, now }
    }

    fn query(&self, endpoint: &LiveEndpoint, body: &[u8]) -> SeenQuery {
        let submission = Submission::parse(body).ok();
        SeenQuery {
            workspace_id: endpoint.workspace.id,
            endpoint_id: endpoint.id,
            email_identity: submission.map(|submission| submission.email.identity().to_owned()),
            body_digest: self.digest,
            duplicate_window: self.window,
            idempotency_key: self.key.clone().unwrap_or_default(),
            now: self.now,
        }
    }
}

fn verify<'a>(
    endpoint: &LiveEndpoint,
    request: &'a InboundRequest<'_>,
    now: Moment,
) -> Result<Verified<'a, Inbound>, Refusal> {
    let workspace = &endpoint.workspace;
    let verified = workspace
        .verifier
        .verify(request.headers, &request.body, now_signed(now))
        .map_err(|error| Refusal::new(Reason::from(&error), error.to_string()))?;
    if !workspace.secret_is_valid(verified.secret_index(), now) {
        let detail = "The signature was made with a secret that has been replaced and whose overlap is over; sign with the new one.";
        return Err(Refusal::new(Reason::InvalidSignature, detail));
    }
    workspace.note_use(verified.secret_index(), now);
    Ok(verified)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.as_bytes();
    if values.next().is_some() || !(1..=255).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        let detail = "`Idempotency-Key` must be one header of 1 to 255 visible ASCII characters.";
        return Err(Refusal::new(Reason::BadRequest, detail));
    }
    Ok(Some(key.iter().copied().map(char::from).collect()))
}

fn key_reused() -> Refusal {
    let detail = "This `Idempotency-Key` was accepted with another body. Use a new key for a new lead.";
    Refusal::new(Reason::IdempotencyKeyReused, detail)
}

fn log_row(
    endpoint: &LiveEndpoint,
    status: InboundStatus,
    remote_addr: IpAddr,
    body_bytes: usize,
    lead_id: Option<LeadId>,
    at: Moment,
) -> InboundLogRow {
    InboundLogRow {
        id: mint(at),
        workspace_id: endpoint.workspace.id,
        at,
        status,
        remote_addr,
        body_bytes: body_bytes as u64,
        lead_id,
        finding: None,
    }
}
