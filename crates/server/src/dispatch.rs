//! The way from a commit to the deliver stage, which neither intake nor review imports.

use agentflow_events::{EventType, LeadId};

use crate::record::DueDelivery;

/// Where committed deliveries go on. The deliver stage implements it.
pub trait Dispatch: Send + Sync + 'static {
    /// Takes deliveries that this process has claimed.
    fn dispatch(&self, deliveries: Vec<DueDelivery>);

    /// Looks in the store again before it makes deliveries of this lead's event that it holds and has not begun.
    fn reconsider(&self, _lead: LeadId, _event_type: EventType) {}
}
