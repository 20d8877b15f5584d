//! The last stage: each committed delivery is signed and POSTed to its destination, and what came of it is recorded.
//!
//! ```text
//! dispatch, claims -> scheduler (lanes) -> target policy -> sign -> POST -> attempt recorded -> retry | dead letter
//! ```
//!
//! The store is the queue; what is held here is claimed there and falls back to it when the process ends. [`scheduler`]
//! and [`schedule`] decide without clock or sockets, [`client`] alone opens connections, [`worker`] ties them together.

mod address;
mod asked;
mod budget;
mod client;
mod failure;
mod lane;
mod limit;
mod message;
mod names;
mod pace;
mod pool;
mod report;
mod resolve;
mod response;
mod schedule;
mod scheduler;
#[cfg(test)]
mod simulation;
mod slot;
mod target;
mod trace;
mod turns;
mod worker;

use std::collections::HashSet;
use std::sync::Arc;

use agentflow_events::{EventType, LeadId};

use crate::clock::Clock;
use crate::config::DeliveryConfig;
use crate::directory::Directory;
use crate::id::DeliveryId;
use crate::intake::Dispatch;
use crate::record::{Attempt, Destination, DueDelivery, EventRow};
use crate::store::Store;
use crate::telemetry::Metrics;

pub use address::AddressPolicy;
pub use client::DeliverError;
pub use target::{Target, TargetError};

use worker::Worker;

/// Delivers events. Dropping it does not end what is under way; [`stop`](Self::stop) does.
pub struct Deliver {
    worker: Arc<Worker>,
}

impl Deliver {
    /// Starts delivering: whatever is due in the store, and what [`dispatch`](Dispatch::dispatch) brings. Must be called
    /// within a Tokio runtime.
    ///
    /// # Errors
    /// The configured certificate authorities cannot be used.
    pub fn start(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        config: &DeliveryConfig,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, DeliverError> {
        if !config.allow_networks.is_empty() {
            tracing::warn!(networks = ?config.allow_networks, "events may be sent to these networks, which are not public");
        }
        if let Some(path) = &config.extra_ca {
            tracing::warn!(path = %path.display(), "destinations may have certificates of these further authorities");
        }
        Ok(Arc::new(Self { worker: Worker::start(store, directory, config, clock, metrics)? }))
    }

    /// Looks at destinations, settings and due times again, after they were changed.
    pub fn wake(&self) {
        self.worker.wake();
    }

    /// Gives deliveries back to the store that wait here for an attempt: they were cancelled there. Attempts under way finish.
    pub fn give_back(&self, deliveries: &[DeliveryId]) {
        if !deliveries.is_empty() {
            let chosen: HashSet<DeliveryId> = deliveries.iter().copied().collect();
            self.worker.give_back(|delivery| chosen.contains(&delivery.id));
        }
    }

    /// Sends an event at once, beside the lanes; nothing is stored and nothing retried.
    pub async fn send_test(&self, destination: &Destination, event: EventRow) -> Attempt {
        self.worker.send_test(destination, event).await
    }

    /// Judges a URL, and the addresses of its host where they are known within a second. A name that cannot be resolved is
    /// no fault of the URL; every attempt judges anew.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub async fn check_url(&self, url: &str) -> Result<(), TargetError> {
        self.worker.check_url(url).await
    }

    /// The head of the request that an attempt at delivering this event sent, byte for byte; absent where none was sent or
    /// is known. Where the outbound secret was rotated since, the signatures are left out.
    pub fn request_head(&self, attempt: &Attempt, event: &EventRow) -> Option<String> {
        self.worker.request_head(attempt, event)
    }

    /// Begins no further attempt, gives waiting deliveries back and returns when those in flight are recorded: within the
    /// deadline of an attempt, as long as the store takes them.
    pub async fn stop(&self) {
        self.worker.stop().await;
    }
}

impl Dispatch for Deliver {
    fn dispatch(&self, deliveries: Vec<DueDelivery>) {
        self.worker.dispatch(deliveries);
    }

    fn reconsider(&self, lead: LeadId, event_type: EventType) {
        self.worker.give_back(|delivery| delivery.lead_id == lead && delivery.event_type == event_type);
    }
}
