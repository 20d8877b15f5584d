//! Makes operations up, from a seed.

use std::time::Duration;

use agentflow_events::{EventType, Moment};

use super::side::{Operation, Which};
use crate::id::mint;
use crate::random::Random;
use crate::reason::Reason;
use crate::record::{
    Attempt, AttemptOutcome, DeliveryState, Destination, DestinationChange, DueDelivery, Exchange,
    FinishedAttempt, InboundLogRow, InboundStatus, Lead, SentRequest, Settings,
};
use crate::store::DeliveryFilter;
use crate::store::suite::sent::Sent;
use crate::store::suite::world::{DAY, HOUR, World, founding};

/// An attempt that took so long is refused by its table.
pub(super) const REFUSED_MS: u32 = 666;

/// Makes up operations.
pub(super) struct Planner {
    pub(super) random: Random,
    pub(super) worlds: Vec<World>,
    pub(super) destinations: Vec<Destination>,
    pub(super) leads: Vec<Lead>,
    pub(super) due: Vec<DueDelivery>,
    pub(super) now: Moment,
    /// Finishes what is claimed, once each, and nothing else.
    pub(super) is_orderly: bool,
    pub(super) retains: bool,
    /// Emails of the present batch.
    pub(super) emails: usize,
    /// Ids do not rise with the order of the operations.
    pub(super) is_jumbled: bool,
}

impl Planner {
    fn tick(&mut self) -> Moment {
        let more = 1 + self.random.place(2_000) as u64;
        self.now = self.now.plus(Duration::from_millis(more));
        self.now
    }

    pub(super) fn destination(&mut self) -> Destination {
        let at = self.tick();
        let world = self.random.place(self.worlds.len());
        let types = [EventType::ALL, &[EventType::LeadQualified], &[EventType::LeadReviewRequested]];
        Destination {
            id: mint(at),
            workspace_id: self.worlds[world].id(),
            url: format!("https://hooks{}.stacklane.co/agentflow", self.random.place(3)),
            event_types: types[self.random.place(3)].to_vec(),
            enabled: !self.random.once_in(8),
            paused: self.random.once_in(8),
            disabled_reason: None,
            created_at: at,
            failing_since: None,
            max_in_flight: None,
            per_second: None,
        }
    }

    fn accept(&mut self) -> Operation {
        let mut at = self.tick();
        if self.is_jumbled {
            at = at.minus(Duration::from_millis(self.random.place(9_000) as u64));
        }
        let world = self.random.place(self.worlds.len());
        let email = format!("n{}@stacklane.co", self.random.place(self.emails));
        let spelled = if self.random.once_in(3) { email.to_uppercase() } else { email.clone() };
        let (message, company) =
            (self.random.place(3), if self.random.once_in(25) { "refused" } else { "Stacklane" });
        let mut sent = Sent::body(format!(
            r#"{{"name":"Jordan","email":"{spelled}","message":"No. {message}","company":"{company}"}}"#
        ));
        sent = sent.at(at).window([0, 10, HOUR, 10 * DAY][self.random.place(4)]);
        sent = match self.random.place(4) {
            0 => sent.approved(),
            1 => sent.rejected(),
            2 => sent.unscored(),
            _ => sent,
        };
        if self.random.once_in(3) {
            let key = format!("k-{}", self.random.place(4));
            sent = sent.key(&key);
        }
        let workspace = self.worlds[world].id();
        let same: Vec<Lead> = self
            .leads
            .iter()
            .filter(|lead| lead.workspace_id == workspace && lead.details.email.identity() == email)
            .cloned()
            .collect();
        let newest = match self.random.place(6) {
            0 => None,
            1 => self.random.any_of(&same).cloned(),
            _ => same.last().cloned(),
        };
        let mut accept = self.worlds[world].plan(&sent, newest.as_ref());
        if self.random.once_in(4) {
            accept.submission.endpoint_id = agentflow_events::Id::from_bytes([9; 16]);
        }
        // An id that another has already, unless that was deleted.
        if !self.retains
            && self.random.once_in(60)
            && let (Some(event), Some(other)) = (&mut accept.write.event, self.random.any_of(&self.due))
        {
            event.id = other.event_id;
        }
        self.leads.push(accept.write.lead.clone());
        Operation::Accept(Box::new(accept))
    }

    fn finish(&mut self) -> Option<Operation> {
        if self.due.is_empty() {
            return None;
        }
        let chosen = self.random.place(self.due.len());
        let due = if self.is_orderly { self.due.swap_remove(chosen) } else { self.due[chosen].clone() };
        let at = self.tick();
        let outcome = match self.random.place(12) {
            0 => AttemptOutcome::Dead,
            1 if self.random.once_in(3) => AttemptOutcome::Gone,
            2..=4 => AttemptOutcome::RetryAt(at.plus(Duration::from_secs(self.random.place(600) as u64))),
            _ => AttemptOutcome::Delivered,
        };
        let request = SentRequest {
            url: format!("https://hooks{}.stacklane.co/", self.random.place(4)).into(),
            agent: "agent".into(),
            signed: None,
        };
        let attempt = FinishedAttempt {
            delivery_id: due.id,
            workspace_id: due.workspace_id,
            destination_id: due.destination_id,
            attempt: Attempt {
                number: due.attempt_number,
                at,
                status: Some(200),
                duration_ms: if !self.is_orderly && self.random.once_in(30) { REFUSED_MS } else { 7 },
                error: None,
                response_head: None,
                exchange: Exchange { request: Some(request), ..Exchange::default() },
            },
            outcome,
            disable_after: Duration::from_secs(HOUR),
        };
        Some(Operation::Finish { name: (due.event_id, due.destination_id), attempt: Box::new(attempt) })
    }

    fn which(&mut self) -> Which {
        match self.random.any_of(&self.due).cloned() {
            Some(due) if !self.random.once_in(3) => Which::One((due.event_id, due.destination_id)),
            _ => {
                let destination = self.random.any_of(&self.destinations).map(|to| to.id);
                let state = [None, Some(DeliveryState::Pending), Some(DeliveryState::Delivered)];
                let state = state[self.random.place(3)];
                Which::Matching(DeliveryFilter { destination, state, ..DeliveryFilter::default() })
            }
        }
    }

    pub(super) fn operation(&mut self, seldom: bool) -> Operation {
        let at = self.tick();
        let world = self.random.place(self.worlds.len());
        let audit = self.worlds[world].audit("model", at);
        let known = self.random.any_of(&self.destinations).cloned();
        match self.random.place(if seldom { 100 } else { 80 }) {
            0..=44 => self.accept(),
            45..=79 => self.finish().unwrap_or(Operation::NextDue),
            80..=83 => {
                let Some(lead) = self.random.any_of(&self.leads).cloned() else { return self.accept() };
                let world = self.worlds.iter().find(|world| world.id() == lead.workspace_id);
                let decide = world.expect("it is one of them").judgement(&lead, self.random.once_in(2), at);
                self.leads.push(decide.write.lead.clone());
                Operation::Decide(Box::new(decide))
            }
            84..=88 => match known {
                Some(to) => Operation::Claim {
                    to: to.id,
                    now: at,
                    limit: 1 + self.random.place(9),
                    latest: self.random.once_in(2),
                },
                None => Operation::NextDue,
            },
            89 => Operation::Cancel(self.which(), audit),
            90 | 91 if self.is_jumbled => Operation::Audit(audit),
            90 => Operation::Resend(self.which(), at, audit),
            91 if self.retains => Operation::Upkeep(at),
            91 => Operation::MendDueTimes(at),
            92 => {
                let mut to = self.destination();
                match known {
                    Some(known) if self.random.once_in(2) => to = Destination { enabled: true, ..known },
                    _ => self.destinations.push(to.clone()),
                }
                Operation::Put(Box::new(to), audit)
            }
            93 => match known {
                Some(to) => {
                    let change = DestinationChange {
                        enabled: Some(!self.random.once_in(4)),
                        paused: Some(self.random.once_in(3)),
                        ..DestinationChange::default()
                    };
                    Operation::Change(to.id, change, audit)
                }
                None => Operation::Audit(audit),
            },
            94 => match known {
                Some(to) if self.random.once_in(4) => Operation::Delete(to.id, audit),
                _ => Operation::Audit(audit),
            },
            95 => {
                let wait = [0, 0, 30][self.random.place(3)];
                let settings = Settings {
                    retry_schedule_seconds: vec![wait, 5, 300],
                    duplicate_window_seconds: 600,
                    retention_days: self.retains.then_some(1),
                    supersede_review_requests: self.random.once_in(2),
                    ..Settings::default()
                };
                Operation::Set(Box::new(settings), audit)
            }
            96 => Operation::Found(Box::new(founding(Settings::default()))),
            97 => {
                let log = InboundLogRow {
                    id: mint(at),
                    workspace_id: audit.workspace_id,
                    at,
                    status: InboundStatus::Rejected(Reason::RateLimited),
                    remote_addr: [192, 0, 2, 7].into(),
                    body_bytes: 1,
                    lead_id: None,
                    finding: None,
                };
                Operation::Log(Box::new(log))
            }
            98 => Operation::Fail(at),
            _ => Operation::NextDue,
        }
    }
}
