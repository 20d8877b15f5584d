//! Qualification: a score with its reasons, then a decision. Pure: no clock, no store.

pub mod rules;

mod amounts;
mod context;
mod domains;
mod hints;
mod keywords;
mod lexicon;
mod message;
mod sheet;
mod summary;
mod text;

pub(crate) use sheet::detail_of;

use agentflow_events::{Outcome, Score};
use agentflow_lead::Submission;

use crate::record::{LeadState, Scored, ScoringRules, Settings};

/// Scores leads. The same lead under the same rules always gets the same score.
pub trait Scorer: Send + Sync + 'static {
    /// Scores the merged submissions of a lead.
    fn score(&self, lead: &Submission, rules: &ScoringRules) -> Scored;
}

/// What a score leads to under the workspace's thresholds.
pub fn decide(score: Score, settings: &Settings) -> Outcome {
    let score = score.value();
    if settings.auto_approve_at.is_some_and(|at| score >= at) {
        Outcome::Approved
    } else if settings.auto_reject_below.is_some_and(|below| score < below) {
        Outcome::Rejected
    } else {
        Outcome::ReviewRequested
    }
}

/// The state of a lead after this outcome.
pub fn state_after(outcome: Outcome) -> LeadState {
    match outcome {
        Outcome::Approved => LeadState::Qualified,
        Outcome::Rejected => LeadState::Rejected,
        Outcome::ReviewRequested => LeadState::InReview,
    }
}

#[cfg(test)]
mod tests {
    use agentflow_events::{Outcome, Score};

    use super::decide;
    use crate::record::Settings;

    #[track_caller]
    fn check(score: u8, approve_at: Option<u8>, reject_below: Option<u8>, expected: Outcome) {
        let settings =
            Settings { auto_approve_at: approve_at, auto_reject_below: reject_below, ..Settings::default() };
        assert_eq!(decide(Score::new(score).unwrap(), &settings), expected);
    }

    #[test]
    fn thresholds_are_at_or_above_and_below() {
        check(80, Some(80), Some(30), Outcome::Approved);
        check(79, Some(80), Some(30), Outcome::ReviewRequested);
        check(30, Some(80), Some(30), Outcome::ReviewRequested);
        check(29, Some(80), Some(30), Outcome::Rejected);
        check(0, Some(0), None, Outcome::Approved);
        check(100, None, Some(30), Outcome::ReviewRequested);
        check(0, None, None, Outcome::ReviewRequested);
        check(50, Some(50), Some(50), Outcome::Approved);
        check(49, Some(50), Some(50), Outcome::Rejected);
    }
}
