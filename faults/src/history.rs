//! What a workload asked of the store and what it was told: the ledger that audits hold a store against.

use agentflow_events::{Id, IdKind};

/// An id's bytes.
pub type Key = [u8; 16];

/// The bytes of an id.
pub fn key<K: IdKind>(id: &Id<K>) -> Key {
    let mut key = [0; 16];
    key.copy_from_slice(id.as_bytes());
    key
}

/// Something that is in the store once an operation is. Nothing of it is ever taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A workspace.
    Workspace(Key),
    /// A destination.
    Destination(Key),
    /// A lead in this version or a later one; in this version, in this state.
    Lead {
        /// Id.
        id: Key,
        /// Version.
        version: u64,
        /// State, as the store numbers them.
        state: u8,
    },
    /// A submission with its body.
    Submission {
        /// Id.
        id: Key,
        /// Every byte.
        body: Vec<u8>,
    },
    /// An event with its body, and a delivery of it for each destination that subscribes.
    Event {
        /// Id.
        id: Key,
        /// Every byte.
        body: Vec<u8>,
    },
    /// A finished attempt.
    Attempt {
        /// The delivery.
        delivery: Key,
        /// Its number.
        number: u32,
        /// The response's status.
        status: Option<u16>,
        /// The delivery's state while this is its last attempt, as the store numbers them.
        state: u8,
    },
    /// An idempotency key.
    IdempotencyKey(String),
    /// A row of the audit log.
    Audit(Key),
    /// A row of the inbound log.
    Log(Key),
}

impl Fact {
    fn is_taken_by(&self, again: &Self) -> bool {
        match (self, again) {
            (Self::Workspace(id), Self::Workspace(other)) => id == other,
            (Self::Lead { id, version, .. }, Self::Lead { id: other, version: other_version, .. }) => {
                id == other && version == other_version
            }
            (
                Self::Attempt { delivery, number, .. },
                Self::Attempt { delivery: other, number: other_number, .. },
            ) => delivery == other && number == other_number,
            _ => false,
        }
    }
}

/// What the store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done. The place of the disk's record by which the answer was there.
    Done(usize),
    /// Nothing was changed.
    Refused,
    /// The store has stopped: whether it was done is not known.
    Unknown,
}

/// One call of the store.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What was asked.
    pub name: &'static str,
    /// What it brings, all of it or nothing.
    pub facts: Vec<Fact>,
    /// The place of the disk's record when it was asked.
    pub asked: usize,
    /// What was answered.
    pub answer: Answer,
}

/// All calls in their order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The calls.
    pub operations: Vec<Operation>,
}

impl History {
    /// Notes a call. What was refused may be asked for again: a lead in the same version, an attempt with the same number is
    /// then this call's, not the refused one's.
    pub fn note(&mut self, operation: Operation) {
        for earlier in self.operations.iter_mut().filter(|it| it.answer == Answer::Refused) {
            earlier.facts.retain(|fact| !operation.facts.iter().any(|again| fact.is_taken_by(again)));
        }
        self.operations.push(operation);
    }

    /// How many calls were acknowledged when the disk's record stood at `cut`.
    pub fn acknowledged_by(&self, cut: usize) -> u64 {
        self.operations.iter().filter(|it| matches!(it.answer, Answer::Done(place) if place <= cut)).count()
            as u64
    }

    /// The same as seen from a disk whose record begins after all of this.
    pub fn settled(mut self) -> Self {
        for operation in &mut self.operations {
            operation.asked = 0;
            if let Answer::Done(place) = &mut operation.answer {
                *place = 0;
            }
        }
        self
    }
}
