//! A data folder with a past: the leads of a month, through the server's own intake under a clock that is driven. What a server
//! finds when it is started on it is what it would have written itself. And a rush of leads of now, by the same way.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentflow_events::{EventType, LeadId, Moment, OperatorId};
use agentflow_server::clock::Clock;
use agentflow_server::config::Config;
use agentflow_server::directory::{Directory, LiveEndpoint};
use agentflow_server::dispatch::Dispatch;
use agentflow_server::id::{DestinationId, mint};
use agentflow_server::intake::{InboundRequest, Intake};
use agentflow_server::qualify::rules::Rules;
use agentflow_server::record::{
    Actor, Attempt, AttemptOutcome, AuditRow, Destination, DueDelivery, Exchange, FinishedAttempt,
};
use agentflow_server::review::{Judgement, Review, Verdict};
use agentflow_server::setup;
use agentflow_server::store::Store;
use agentflow_server::telemetry::Metrics;
use agentflow_signature::{
    Inbound, InboundSecret, SIGNATURE_HEADER_LOWERCASE, Signer, TIMESTAMP_HEADER_LOWERCASE, Timestamp,
};
use futures_util::future::{join_all, try_join_all};
use http::{HeaderMap, HeaderValue};
use hyper::body::Bytes;

use super::{Fault, Site, leads};

/// How long ago it begins.
const LENGTH: Duration = Duration::from_secs(30 * 86_400);
/// Leads that arrive at one moment.
const TOGETHER: u64 = 64;

/// What is in a data folder with a past.
pub struct Past {
    /// A destination whose deliveries were made.
    pub busy: DestinationId,
    /// A paused one, whose deliveries wait.
    pub paused: DestinationId,
}

/// Gives a site that has never run a month of so many leads. Of a hundred, 40 qualify at once, 30 are rejected, and 20 of the
/// other 30 are decided by an operator; 2 are sent again, and 5 with a wrong signature first. One destination gets everything and
/// loses 2 in a hundred; a paused one waits for what is rejected.
///
/// # Errors
/// Something is not stored as it should be.
pub async fn live_through(site: &Site, leads: u64) -> Result<Past, Fault> {
    let now = Clock::system().now();
    let clock = Clock::manual(now.minus(LENGTH));
    let config = Config { data_dir: site.data().to_owned(), ..Config::default() };
    let home = setup::open(&config, "https://127.0.0.1", &clock).await?;
    let (life, past) = Life::begin(site, home, clock, now).await?;
    for first in (0..leads).step_by(TOGETHER as usize) {
        life.clock.set(now.minus(LENGTH.mul_f64(1.0 - first as f64 / leads as f64)));
        life.moment(first..leads.min(first + TOGETHER)).await?;
    }
    life.intake.settle().await;
    life.store.close().await;
    Ok(past)
}

/// Leads of now, through the server's own intake without a network.
pub struct Rush(Life);

impl Rush {
    /// On a site that has never run.
    ///
    /// # Errors
    /// The store does not open.
    pub async fn begin(site: &Site, delivers: bool) -> Result<Arc<Self>, Fault> {
        let clock = Clock::system();
        let config = Config { data_dir: site.data().to_owned(), ..Config::default() };
        let home = setup::open(&config, "https://127.0.0.1", &clock).await?;
        let now = clock.now();
        let life = Life::found(site, home, clock, now).await?;
        if delivers {
            life.destination("https://hooks.example.com/agentflow", EventType::ALL, false).await?;
        }
        Ok(Arc::new(Self(life)))
    }

    /// Sends these leads, so many at a time, each followed by its deliveries.
    ///
    /// # Errors
    /// One is refused.
    pub async fn run(self: &Arc<Self>, numbers: std::ops::Range<u64>, together: u64) -> Result<(), Fault> {
        let next = Arc::new(AtomicU64::new(numbers.start));
        let senders = (0..together).map(|_| {
            let (rush, next, end) = (Arc::clone(self), Arc::clone(&next), numbers.end);
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return Ok::<(), Fault>(());
                    }
                    let body = leads::body(0, number);
                    rush.0.send(&body, &body).await?;
                    rush.0.deliver().await?;
                }
            })
        });
        for sender in join_all(senders).await {
            sender??;
        }
        Ok(())
    }

    /// Closes the store.
    pub async fn end(&self) {
        self.0.store.close().await;
    }
}

/// Deliveries that are due, for whoever makes them.
#[derive(Default)]
struct Due(Mutex<Vec<DueDelivery>>);

impl Dispatch for Due {
    fn dispatch(&self, deliveries: Vec<DueDelivery>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(deliveries);
    }
}

struct Life {
    store: Arc<dyn Store>,
    intake: Intake,
    review: Review,
    endpoint: LiveEndpoint,
    signer: Signer<Inbound>,
    operator: OperatorId,
    due: Arc<Due>,
    clock: Clock,
}

impl Life {
    async fn begin(site: &Site, home: setup::Home, clock: Clock, now: Moment) -> Result<(Self, Past), Fault> {
        let life = Self::found(site, home, clock, now).await?;
        let busy = life.destination("https://hooks.example.com/agentflow", EventType::ALL, false).await?;
        let of_rejected = [EventType::LeadRejected];
        let paused = life.destination("https://archive.example.com/agentflow", &of_rejected, true).await?;
        Ok((life, Past { busy, paused }))
    }

    async fn found(site: &Site, home: setup::Home, clock: Clock, now: Moment) -> Result<Self, Fault> {
        let store = home.store;
        // As of now: the secrets were made a moment ago.
        let directory = Directory::open(Arc::clone(&store), home.vault, now).await?;
        let credentials = site.credentials();
        let token = credentials.inbound_url.rsplit('/').next().unwrap_or_default();
        let endpoint = directory.endpoint(token).ok_or("the endpoint is not there")?;
        let operators = store.operators(endpoint.workspace.id).await?;
        let operator = operators.first().ok_or("there is no operator")?.id;

        let (due, metrics) = (Arc::new(Due::default()), Arc::new(Metrics::new()));
        let dispatch = Arc::clone(&due) as Arc<dyn Dispatch>;
        Ok(Self {
            intake: Intake::new(
                Arc::clone(&store),
                Arc::new(Rules),
                Arc::clone(&dispatch),
                clock.clone(),
                Arc::clone(&metrics),
                None,
            ),
            review: Review::new(Arc::clone(&store), dispatch, clock.clone(), metrics),
            store,
            endpoint,
            signer: Signer::new(&InboundSecret::new(credentials.inbound_secret.as_str())?),
            operator,
            due,
            clock,
        })
    }

    async fn destination(
        &self,
        url: &str,
        event_types: &[EventType],
        paused: bool,
    ) -> Result<DestinationId, Fault> {
        let now = self.clock.now();
        let actor = Actor { workspace_id: self.endpoint.workspace.id, operator_id: self.operator };
        let destination = Destination {
            id: mint(now),
            workspace_id: actor.workspace_id,
            url: url.to_owned(),
            event_types: event_types.to_vec(),
            enabled: true,
            paused,
            disabled_reason: None,
            created_at: now,
            failing_since: None,
            max_in_flight: None,
            per_second: None,
        };
        let id = destination.id;
        self.store.put_destination(destination, AuditRow::new(actor, now, "destination.create", id)).await?;
        Ok(id)
    }

    /// These leads arrive, are decided and told of.
    async fn moment(&self, numbers: std::ops::Range<u64>) -> Result<(), Fault> {
        let arrived = try_join_all(numbers.map(|number| self.arrive(number))).await?;
        self.deliver().await?;
        try_join_all(arrived.into_iter().flatten().map(|lead| self.decide(lead))).await?;
        self.deliver().await
    }

    /// Answers the lead where an operator is to decide it.
    async fn arrive(&self, number: u64) -> Result<Option<LeadId>, Fault> {
        let body = leads::body(0, number);
        if number % 20 == 7 {
            let refused = self.send(&body, &Bytes::from_static(b"another body")).await;
            refused.err().ok_or("a wrong signature was taken")?;
        }
        let lead = self.send(&body, &body).await?;
        if number % 50 == 3 {
            self.send(&body, &body).await?;
        }
        Ok(matches!(number % 10, 4 | 5).then_some(lead))
    }

    async fn send(&self, body: &Bytes, signed: &Bytes) -> Result<LeadId, Fault> {
        let at = u64::try_from(self.clock.now().unix_seconds()).unwrap_or(0);
        let signature = self.signer.sign(signed, Timestamp::from_unix_seconds(at));
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP_HEADER_LOWERCASE, HeaderValue::from_str(signature.timestamp())?);
        headers.insert(SIGNATURE_HEADER_LOWERCASE, HeaderValue::from_str(signature.signature())?);
        let request = InboundRequest { headers: &headers, body: body.clone(), remote: [192, 0, 2, 7].into() };
        let received = self.intake.receive(&self.endpoint, request).await;
        Ok(received.map_err(|refusal| format!("refused: {}", refusal.reason.code()))?.lead_id)
    }

    async fn decide(&self, lead_id: LeadId) -> Result<(), Fault> {
        let judgement = Judgement {
            workspace_id: self.endpoint.workspace.id,
            lead_id,
            operator_id: self.operator,
            verdict: if lead_id.as_bytes()[15].is_multiple_of(2) {
                Verdict::Approve
            } else {
                Verdict::Reject
            },
            note: None,
            version: None,
        };
        self.review.decide(&judgement).await?;
        Ok(())
    }

    async fn deliver(&self) -> Result<(), Fault> {
        let due = mem::take(&mut *self.due.0.lock().unwrap_or_else(PoisonError::into_inner));
        let made = due.into_iter().map(|due| self.store.finish_attempt(Arc::new(self.attempt(&due))));
        for recorded in join_all(made).await {
            recorded?;
        }
        Ok(())
    }

    fn attempt(&self, due: &DueDelivery) -> FinishedAttempt {
        let chance = due.id.as_bytes()[15];
        let is_lost = chance < 5;
        FinishedAttempt {
            delivery_id: due.id,
            workspace_id: due.workspace_id,
            destination_id: due.destination_id,
            attempt: Attempt {
                number: due.attempt_number,
                at: self.clock.now(),
                status: Some(if is_lost { 500 } else { 200 }),
                duration_ms: 20 + u32::from(chance),
                error: is_lost.then(|| "bad_status: it answered 500".to_owned()),
                response_head: Some("ok".to_owned()),
                exchange: Exchange::default(),
            },
            outcome: if is_lost { AttemptOutcome::Dead } else { AttemptOutcome::Delivered },
            disable_after: LENGTH * 2,
        }
    }
}
