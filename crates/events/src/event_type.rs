//! The three things that an event can say.

use crate::text::words;

words! {
    /// What happened to the lead.
    ///
    /// The enum is exhaustive on purpose: a receiver's `match` is told by the compiler when a release of this crate
    /// learns another type. Until then [`Event::parse`](crate::Event::parse) reports it as unknown.
    pub enum EventType ("an event type") {
        /// `lead.qualified`: an operator approved the lead, or it met the auto-approve threshold.
        LeadQualified = "lead.qualified",
        /// `lead.rejected`: an operator rejected the lead, or it fell below the auto-reject threshold.
        LeadRejected = "lead.rejected",
        /// `lead.review_requested`: the score fell between the thresholds; an operator is to decide.
        LeadReviewRequested = "lead.review_requested",
    }
}
