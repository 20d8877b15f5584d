//! Decisions in the five seconds in which they can be taken back.
//!
//! A decision is held here, not in the store: until it is committed nothing has happened, and a crash leaves the lead in the
//! queue, where the operator finds it again. Whoever takes a hold out of the map, the timer or an undo, has won.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentflow_events::{LeadId, Moment, OperatorId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::id::random;
use crate::review::{Judgement, Review, ReviewError, Verdict};

/// Decisions that wait for their time.
pub(super) struct Holds {
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

impl Holds {
    /// How long a decision can be taken back.
    pub(super) const HELD: Duration = Duration::from_secs(5);
    /// Messages kept for an operator who does not come back.
    const UNTOLD_MAX: usize = 100;

    pub(super) fn new(review: Arc<Review>, clock: Clock, closing: CancellationToken) -> Arc<Self> {
        Arc::new(Self { review, clock, closing, tasks: TaskTracker::new(), state: Mutex::default() })
    }

    /// Holds these decisions, each with its lead's name, as one batch. Answers those that somebody else is deciding.
    pub(super) fn hold(self: &Arc<Self>, judgements: Vec<(Judgement, String)>) -> Vec<String> {
        let batch = u64::from_le_bytes(random());
        let until = self.clock.now().plus(Self::HELD);
        let (mut taken, mut ids) = (Vec::new(), Vec::new());
        {
            let mut state = self.lock();
            for (judgement, name) in judgements {
                let lead_id = judgement.lead_id;
                match state.held.entry(lead_id) {
                    Entry::Occupied(_) => taken.push(name),
                    Entry::Vacant(free) => {
                        free.insert(Held { batch, name, judgement, until });
                        ids.push(lead_id);
                    }
                }
            }
        }
        let holds = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(Self::HELD) => {}
                () = holds.closing.cancelled() => {}
            }
            for lead_id in ids {
                holds.commit(lead_id, batch).await;
            }
        });
        taken
    }

    async fn commit(&self, lead_id: LeadId, batch: u64) {
        let held = {
            let mut state = self.lock();
            match state.held.get(&lead_id) {
                Some(held) if held.batch == batch => state.held.remove(&lead_id),
                _ => None,
            }
        };
        let Some(held) = held else { return };
        let Err(error) = self.review.decide(&held.judgement).await else { return };
        let why = match &error {
            ReviewError::NotFound => "it was deleted".to_owned(),
            ReviewError::Closed(state) => {
                format!("somebody decided it meanwhile: it is {}", state.as_str().replace('_', " "))
            }
            ReviewError::Changed(_) => "it has changed since you saw it; look at it again".to_owned(),
            ReviewError::Store(error) => format!("the store did not take it ({error}); decide again"),
        };
        tracing::warn!(lead = %lead_id, %error, "an operator's decision was not taken");
        let mut state = self.lock();
        let untold = state.untold.entry(held.judgement.operator_id).or_default();
        if untold.len() < Self::UNTOLD_MAX {
            untold.push(Untold { lead_id, name: held.name, why });
        }
    }

    /// Takes an operator's batch back. Answers how many decisions were still held.
    pub(super) fn undo(&self, operator: OperatorId, batch: u64) -> Vec<LeadId> {
        let mut state = self.lock();
        let mut undone: Vec<LeadId> = state
            .held
            .iter()
            .filter(|(_, held)| held.batch == batch && held.judgement.operator_id == operator)
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
        for held in state.held.values().filter(|held| held.judgement.operator_id == operator) {
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
    pub(super) fn untold(&self, operator: OperatorId) -> Vec<Untold> {
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
