//! Decisions in the five seconds in which they can be taken back.
//!
//! A decision is held here, not in the store: until it is committed nothing has happened, and a crash leaves the lead in the
//! queue, where the operator finds it again. A batch is held, taken back or committed as a whole: whoever comes first, the timer
//! or an undo, has won. What is being committed stays in the map until it is, so that nobody decides it anew meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentflow_events::{LeadId, Moment, OperatorId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::id::random;
use crate::record::Role;
use crate::review::{Judgement, Review, ReviewError, Verdict};
use crate::store::{Store, StoreError};

/// Decisions that wait for their time.
pub(super) struct Holds {
    store: Arc<dyn Store>,
    review: Arc<Review>,
    clock: Clock,
    closing: CancellationToken,
    tasks: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: HashMap<LeadId, Held>,
    /// What became of decisions that could not be taken, until their operators are told.
    untold: HashMap<OperatorId, Vec<Untold>>,
}

struct Held {
    batch: u64,
    name: String,
    judgement: Judgement,
    until: Moment,
    /// The time to take it back is over.
    is_due: bool,
}

/// A decision that is not held, since another one is.
pub(super) struct Taken {
    pub(super) name: String,
    /// Whether it is the same operator's.
    pub(super) by_themselves: bool,
}

impl Held {
    /// Whether this operator may take it back.
    fn is_open_to(&self, operator: OperatorId) -> bool {
        self.judgement.operator_id == operator && !self.is_due
    }
}

/// A decision that was not taken after all.
pub(super) struct Untold {
    pub(super) lead_id: LeadId,
    pub(super) name: String,
    pub(super) why: String,
}

/// Decisions made with one click, as their operator sees them.
pub(super) struct Batch {
    pub(super) id: u64,
    pub(super) verdict: Verdict,
    pub(super) names: Vec<String>,
    pub(super) remaining: Duration,
}

/// Lets go of what is left of a batch, whichever way its commit ends.
struct LetGo<'a>(&'a Holds, u64);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.lock().held.retain(|_, held| held.batch != self.1);
    }
}

impl Holds {
    /// How long a decision can be taken back.
    pub(super) const HELD: Duration = Duration::from_secs(5);
    /// Messages kept for an operator who does not come back.
    const UNTOLD_MAX: usize = 100;

    pub(super) fn new(
        store: Arc<dyn Store>,
        review: Arc<Review>,
        clock: Clock,
        closing: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self { store, review, clock, closing, tasks: TaskTracker::new(), state: Mutex::default() })
    }

    /// Holds these decisions, each with its lead's name, as one batch. Answers those that stand against another one; what the
    /// operator has decided just so already, with a second click, does not.
    pub(super) fn hold(self: &Arc<Self>, judgements: Vec<(Judgement, String)>) -> Vec<Taken> {
        let batch = u64::from_le_bytes(random());
        let until = self.clock.now().plus(Self::HELD);
        let mut taken = Vec::new();
        {
            let mut state = self.lock();
            let mut is_empty = true;
            for (judgement, name) in judgements {
                match state.held.get(&judgement.lead_id).map(|held| &held.judgement) {
                    Some(other) => {
                        let by_themselves = other.operator_id == judgement.operator_id;
                        let is_same = other.verdict == judgement.verdict && other.note == judgement.note;
                        if !by_themselves || !is_same {
                            taken.push(Taken { name, by_themselves });
                        }
                    }
                    None => {
                        let held = Held { batch, name, judgement, until, is_due: false };
                        state.held.insert(held.judgement.lead_id, held);
                        is_empty = false;
                    }
                }
            }
            if is_empty {
                return taken;
            }
        }
        let holds = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(Self::HELD) => {}
                () = holds.closing.cancelled() => {}
            }
            holds.commit(batch).await;
        });
        taken
    }

    async fn commit(&self, batch: u64) {
        let mut due = Vec::new();
        for held in self.lock().held.values_mut().filter(|held| held.batch == batch) {
            held.is_due = true;
            due.push((held.judgement.clone(), held.name.clone()));
        }
        due.sort_by_key(|(judgement, _)| judgement.lead_id);
        let _let_go = LetGo(self, batch);
        for (judgement, name) in due {
            let why = self.decide(&judgement).await.err();
            let mut state = self.lock();
            state.held.remove(&judgement.lead_id);
            let Some(why) = why else { continue };
            let untold = state.untold.entry(judgement.operator_id).or_default();
            if untold.len() < Self::UNTOLD_MAX {
                untold.push(Untold { lead_id: judgement.lead_id, name, why: why.clone() });
            }
            // Whatever becomes of the log line, the operator is told.
            drop(state);
            tracing::warn!(lead = %judgement.lead_id, why, "an operator's decision was not taken");
        }
    }

    /// Commits a decision of whoever may still make it, or says why not.
    async fn decide(&self, judgement: &Judgement) -> Result<(), String> {
        let failed = |error: StoreError| format!("the store did not take it ({error}); decide again");
        let operator = self.store.operator(judgement.operator_id).await.map_err(failed)?;
        let may = operator.is_some_and(|operator| {
            operator.workspace_id == judgement.workspace_id && operator.role >= Role::Operator
        });
        if !may {
            return Err("your role no longer allows it".to_owned());
        }
        self.review.decide(judgement).await.map(drop).map_err(|error| match error {
            ReviewError::NotFound => "it was deleted".to_owned(),
            ReviewError::Closed(state) => {
                format!("somebody decided it meanwhile: it is {}", state.as_str().replace('_', " "))
            }
            ReviewError::Changed(_) => "it has changed since you saw it; look at it again".to_owned(),
            ReviewError::Store(error) => failed(error),
        })
    }

    /// Takes an operator's batch back, all of it or (too late) nothing. Answers whose decisions were still held.
    pub(super) fn undo(&self, operator: OperatorId, batch: u64) -> Vec<LeadId> {
        let mut state = self.lock();
        let mut undone: Vec<LeadId> = state
            .held
            .iter()
            .filter(|(_, held)| held.is_open_to(operator) && held.batch == batch)
            .map(|(lead, _)| *lead)
            .collect();
        undone.sort();
        for lead in &undone {
            state.held.remove(lead);
        }
        undone
    }

    /// Whether a decision on this lead is held.
    pub(super) fn is_held(&self, lead: LeadId) -> bool {
        self.lock().held.contains_key(&lead)
    }

    /// An operator's batches that can be taken back now, the newest first.
    pub(super) fn batches(&self, operator: OperatorId) -> Vec<Batch> {
        let now = self.clock.now();
        let mut batches: Vec<Batch> = Vec::new();
        let state = self.lock();
        for held in state.held.values().filter(|held| held.is_open_to(operator)) {
            match batches.iter_mut().find(|batch| batch.id == held.batch) {
                Some(batch) => batch.names.push(held.name.clone()),
                None => batches.push(Batch {
                    id: held.batch,
                    verdict: held.judgement.verdict,
                    names: vec![held.name.clone()],
                    remaining: held.until.since(now),
                }),
            }
        }
        batches.sort_by_key(|batch| std::cmp::Reverse(batch.remaining));
        batches
    }

    /// What an operator has not been told yet; told by this.
    pub(super) fn tell(&self, operator: OperatorId) -> Vec<Untold> {
        self.lock().untold.remove(&operator).unwrap_or_default()
    }

    pub(super) async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
