//! What a server does with its store, in short spells between two starts: leads, joins, duplicates, decisions, claims,
//! attempts, settings, checkpoints.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agentflow_benches::Random;
use agentflow_events::{EventType, LeadId, Moment};
use agentflow_server::id::mint;
use agentflow_server::record::{
    Attempt, AttemptOutcome, Destination, DueDelivery, FinishedAttempt, InboundLogRow, InboundStatus, Lead,
    LeadState, Settings,
};
use agentflow_server::store::sqlite::{Pace, SqliteStore};
use agentflow_server::store::suite::sent::Sent;
use agentflow_server::store::suite::world::{START, World, founding};
use agentflow_server::store::{
    Accept, Accepted, AdminStore, Decided, DeliveryStore, Founding, IntakeStore, LeadWrite, Store, StoreError,
};
use futures_util::future::join_all;

use crate::disk::Disk;
use crate::history::{Answer, Fact, History, Operation, key};

/// Checkpoints when the workload says so, of logs as short as a spell's.
const PACE: Pace = Pace { every: Duration::from_secs(86_400), waiting_min: 6, log_max: 40 };

/// What a server knows of its store's contents, kept across its starts.
#[derive(Clone)]
pub struct Model {
    founding: Founding,
    founded: bool,
    at: Moment,
    leads: u64,
    open: BTreeMap<LeadId, Lead>,
    sent: Vec<Sent>,
    destinations: Vec<Destination>,
}

/// The store has stopped.
#[derive(Debug)]
pub struct Stopped(pub String);

impl Default for Model {
    fn default() -> Self {
        Self {
            founding: founding(Settings::default()),
            founded: false,
            at: START,
            leads: 0,
            open: BTreeMap::new(),
            sent: Vec::new(),
            destinations: Vec::new(),
        }
    }
}

/// Opens the store of a disk as a server would, but for the pace of its checkpoints.
///
/// # Errors
/// As the store's.
pub fn open(database: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open_with(database, PACE, |_| Ok(()))
}

/// A spell of work on an open store.
pub struct Spell<'a> {
    store: Arc<SqliteStore>,
    world: World,
    disk: &'a Disk,
    model: &'a mut Model,
    history: &'a mut History,
    random: Random,
    /// Claimed and not finished; a start forgets them, as the store does.
    due: Vec<DueDelivery>,
    /// Calls that were acknowledged although the device had failed before.
    pub trusted_a_failed_device: u64,
}

impl<'a> Spell<'a> {
    /// A spell over `store`, whose files are on `disk`. The seed chooses what is done.
    pub fn new(
        store: SqliteStore,
        disk: &'a Disk,
        model: &'a mut Model,
        history: &'a mut History,
        seed: u64,
    ) -> Self {
        let store = Arc::new(store);
        let world = World { store: Arc::clone(&store) as Arc<dyn Store>, founding: model.founding.clone() };
        let random = Random::new(seed);
        Self { store, world, disk, model, history, random, due: Vec::new(), trusted_a_failed_device: 0 }
    }

    /// About twenty calls, in an order that the seed gives; the log is tended among them.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn work(&mut self) -> Result<(), Stopped> {
        self.found().await?;
        for _ in 0..2 {
            for _ in 0..6 {
                self.one().await?;
            }
            self.store.tend_log();
        }
        self.crowd().await?;
        self.one().await
    }

    /// One more lead, which must be stored.
    ///
    /// # Errors
    /// The store has stopped, or refuses.
    pub async fn proves_to_go_on(&mut self) -> Result<(), Stopped> {
        let known = self.model.sent.len();
        self.new_lead().await?;
        if self.model.sent.len() == known { Err(Stopped("the lead was refused".to_owned())) } else { Ok(()) }
    }

    /// Closes the store in good order.
    pub async fn close(self) {
        self.store.close().await;
    }

    async fn found(&mut self) -> Result<(), Stopped> {
        if !self.model.founded {
            let founding = self.model.founding.clone();
            let facts = vec![Fact::Workspace(key(&founding.workspace.id))];
            let store = Arc::clone(&self.store);
            self.model.founded =
                self.call("a founding", facts, async { store.found(founding).await }).await?.is_some();
        }
        let all = EventType::ALL.to_vec();
        for types in
            [all.clone(), vec![EventType::LeadQualified]].into_iter().skip(self.model.destinations.len())
        {
            if !self.model.founded {
                break;
            }
            let destination = Destination {
                id: mint(START),
                workspace_id: self.world.id(),
                url: "https://hooks.stacklane.co/agentflow".to_owned(),
                event_types: types,
                enabled: true,
                disabled_reason: None,
                created_at: START,
                failing_since: None,
                paused: false,
                max_in_flight: None,
                per_second: None,
            };
            let audit = self.world.audit("destination.put", START);
            let facts = vec![Fact::Destination(key(&destination.id)), Fact::Audit(key(&audit.id))];
            let (store, put) = (Arc::clone(&self.store), destination.clone());
            let done =
                self.call("a destination", facts, async { store.put_destination(put, audit).await }).await?;
            if done.is_none() {
                break;
            }
            self.model.destinations.push(destination);
        }
        Ok(())
    }

    async fn one(&mut self) -> Result<(), Stopped> {
        if self.model.destinations.len() < 2 {
            return self.found().await;
        }
        self.model.at = self.model.at.plus(Duration::from_secs(20));
        match self.random.below(12) {
            0..=2 => self.new_lead().await,
            3 => self.join().await,
            4 => self.duplicate().await,
            5 | 6 => self.decide().await,
            7..=9 => self.attempt().await,
            10 => self.claim().await,
            _ => self.other().await,
        }
    }

    /// Makes a call and notes what came of it. `None`: refused.
    async fn call<T>(
        &mut self,
        name: &'static str,
        facts: Vec<Fact>,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Option<T>, Stopped> {
        let (asked, failed_before) = (self.disk.place(), self.disk.device_failures() > 0);
        let outcome = call.await;
        let answer = match &outcome {
            Ok(_) => Answer::Done(self.disk.place()),
            Err(StoreError::Stopped(_)) => Answer::Unknown,
            Err(_) => Answer::Refused,
        };
        self.history.note(Operation { name, facts, asked, answer });
        match outcome {
            Ok(value) => {
                self.trusted_a_failed_device += u64::from(failed_before);
                Ok(Some(value))
            }
            Err(StoreError::Stopped(reason)) => Err(Stopped(reason)),
            Err(_) => Ok(None),
        }
    }

    fn fresh(&mut self) -> Sent {
        self.model.leads += 1;
        let number = self.model.leads;
        let words = "We need forty seats before March. ".repeat(1 + self.random.below(60) as usize);
        let sent = Sent::saying(&format!("jordan.{number}@stacklane.co"), &words).at(self.model.at);
        let sent = if self.random.below(3) == 0 { sent.key(&format!("key-{number}")) } else { sent };
        match self.random.below(4) {
            0 => sent.approved(),
            1 => sent.rejected(),
            _ => sent,
        }
    }

    async fn new_lead(&mut self) -> Result<(), Stopped> {
        let sent = self.fresh();
        self.send(sent, None).await
    }

    async fn send(&mut self, sent: Sent, newest: Option<Lead>) -> Result<(), Stopped> {
        let accept = self.world.plan(&sent, newest.as_ref());
        let (lead, facts) = (accept.write.lead.clone(), facts_of(&accept));
        let store = Arc::clone(&self.store);
        if let Some(answer) = self.call("a lead", facts, async { store.accept(accept).await }).await? {
            self.stored(sent, lead, answer);
        }
        Ok(())
    }

    fn stored(&mut self, sent: Sent, lead: Lead, answer: Accepted) {
        let Accepted::Stored(due) = answer else { panic!("planned on what is there: {answer:?}") };
        self.due.extend(due);
        self.model.sent.push(sent);
        self.model.open.remove(&lead.id);
        if lead.state.is_open() {
            self.model.open.insert(lead.id, lead);
        }
    }

    fn any_open(&mut self) -> Option<Lead> {
        let place = self.random.below(self.model.open.len() as u64) as usize;
        self.model.open.values().nth(place).cloned()
    }

    /// A further submission of an open lead.
    async fn join(&mut self) -> Result<(), Stopped> {
        let Some(open) = self.any_open() else { return self.new_lead().await };
        let words = format!("And {} more.", self.model.at.unix_millis());
        let sent = Sent::saying(open.details.email.as_sent(), &words).at(self.model.at);
        self.send(sent, Some(open)).await
    }

    async fn duplicate(&mut self) -> Result<(), Stopped> {
        let place = self.random.below(self.model.sent.len() as u64) as usize;
        let Some(again) = self.model.sent.get(place).cloned() else { return self.new_lead().await };
        let again = again.at(self.model.at);
        let accept = self.world.plan(&Sent { window: Duration::from_secs(u32::MAX.into()), ..again }, None);
        let (facts, store) = (vec![Fact::Log(key(&accept.log.id))], Arc::clone(&self.store));
        let answer = self.call("a duplicate", facts, async { store.accept(accept).await }).await?;
        assert!(matches!(answer, None | Some(Accepted::Duplicate(_))), "the body is known: {answer:?}");
        Ok(())
    }

    async fn decide(&mut self) -> Result<(), Stopped> {
        let Some(open) = self.any_open() else { return self.new_lead().await };
        let approve = self.random.below(2) == 0;
        let decide = self.world.judgement(&open, approve, self.model.at);
        let mut facts = facts_of_write(&decide.write);
        facts.push(Fact::Audit(key(&decide.audit.id)));
        let store = Arc::clone(&self.store);
        if let Some(answer) = self.call("a decision", facts, async { store.decide(decide).await }).await? {
            let Decided::Stored(due) = answer else { panic!("decided on what is there: {answer:?}") };
            self.due.extend(due);
            self.model.open.remove(&open.id);
        }
        Ok(())
    }

    async fn claim(&mut self) -> Result<(), Stopped> {
        let (store, at) = (Arc::clone(&self.store), self.model.at);
        for destination in self.model.destinations.clone() {
            let claim = async { store.claim_due(destination.id, at, 3).await };
            if let Some(due) = self.call("a claim", Vec::new(), claim).await? {
                self.due.extend(due.unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn attempt(&mut self) -> Result<(), Stopped> {
        let Some(due) = self.due.pop() else { return self.claim().await };
        let (status, outcome, state) = match self.random.below(4) {
            0 | 1 => (Some(200), AttemptOutcome::Delivered, 1),
            2 => (None, AttemptOutcome::RetryAt(self.model.at.plus(Duration::from_secs(300))), 0),
            _ => (Some(500), AttemptOutcome::Dead, 2),
        };
        let attempt = Attempt {
            number: due.attempt_number,
            at: self.model.at,
            status,
            duration_ms: 7,
            error: (status != Some(200)).then(|| "status: it answered otherwise".to_owned()),
            response_head: Some("answer ".repeat(self.random.below(500) as usize)),
            exchange: agentflow_server::record::Exchange::default(),
        };
        let facts = vec![Fact::Attempt { delivery: key(&due.id), number: due.attempt_number, status, state }];
        let finished = FinishedAttempt {
            delivery_id: due.id,
            workspace_id: due.workspace_id,
            destination_id: due.destination_id,
            attempt,
            outcome,
            disable_after: Duration::from_secs(1_000 * 86_400),
        };
        let store = Arc::clone(&self.store);
        let done =
            self.call("an attempt", facts, async { store.finish_attempt(Arc::new(finished)).await }).await?;
        if done.is_none() {
            self.due.push(due);
        }
        Ok(())
    }

    /// An audit row, a refusal for the log, a look at what is old.
    async fn other(&mut self) -> Result<(), Stopped> {
        let at = self.model.at;
        self.store.log(InboundLogRow {
            id: mint(at),
            workspace_id: self.world.id(),
            at,
            status: InboundStatus::Rejected(agentflow_server::reason::Reason::RateLimited),
            remote_addr: [192, 0, 2, 9].into(),
            body_bytes: 9,
            lead_id: None,
            finding: None,
        });
        let audit = self.world.audit("settings.put", at);
        let facts = vec![Fact::Audit(key(&audit.id))];
        let store = Arc::clone(&self.store);
        self.call("settings", facts, async { store.put_settings(Settings::default(), audit).await }).await?;
        let upkeep = async { store.upkeep(at, Duration::from_secs(3_600)).await };
        self.call("upkeep", Vec::new(), upkeep).await.map(|_| ())
    }

    /// Several leads at once, which the store commits together.
    async fn crowd(&mut self) -> Result<(), Stopped> {
        if self.model.destinations.len() < 2 {
            return Ok(());
        }
        let asked = self.disk.place();
        let failed_before = self.disk.device_failures() > 0;
        let sent: Vec<Sent> = (0..5).map(|_| self.fresh()).collect();
        let accepts: Vec<Accept> = sent.iter().map(|sent| self.world.plan(sent, None)).collect();
        let store = Arc::clone(&self.store);
        let answers = join_all(accepts.iter().map(|accept| store.accept(accept.clone()))).await;
        let mut stopped = None;
        for ((sent, accept), outcome) in sent.into_iter().zip(accepts).zip(answers) {
            let answer = match &outcome {
                Ok(_) => Answer::Done(self.disk.place()),
                Err(StoreError::Stopped(_)) => Answer::Unknown,
                Err(_) => Answer::Refused,
            };
            let facts = facts_of(&accept);
            self.history.note(Operation { name: "a lead of a crowd", facts, asked, answer });
            match outcome {
                Ok(answer) => {
                    self.trusted_a_failed_device += u64::from(failed_before);
                    self.stored(sent, accept.write.lead, answer);
                }
                Err(StoreError::Stopped(reason)) => stopped = Some(Stopped(reason)),
                Err(_) => {}
            }
        }
        stopped.map_or(Ok(()), Err)
    }
}

fn facts_of(accept: &Accept) -> Vec<Fact> {
    let mut facts = facts_of_write(&accept.write);
    let submission = &accept.submission;
    facts.push(Fact::Submission { id: key(&submission.id), body: submission.body.to_vec() });
    facts.push(Fact::Log(key(&accept.log.id)));
    facts.extend(accept.idempotency_key.clone().map(Fact::IdempotencyKey));
    facts
}

fn facts_of_write(write: &LeadWrite) -> Vec<Fact> {
    let lead = &write.lead;
    let state = match lead.state {
        LeadState::Received => 0,
        LeadState::InReview => 1,
        LeadState::Qualified => 2,
        LeadState::Rejected => 3,
    };
    let mut facts = vec![Fact::Lead { id: key(&lead.id), version: lead.version, state }];
    facts.extend(
        write.event.as_ref().map(|event| Fact::Event { id: key(&event.id), body: event.body.to_vec() }),
    );
    facts
}
