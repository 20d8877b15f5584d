//! The built-in scorer.

use agentflow_events::{Action, Confidence, Qualification, Score};
use agentflow_lead::Submission;

use super::keywords::Keywords;
use super::sheet::{self, Sheet, Side};
use super::{Scorer, context, message, summary};
use crate::record::{Scored, ScoringRules};

/// Name and version of this scorer; any change of a score is a new version.
pub const SCORED_BY: &str = "rules/1";

/// The scorer by rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules;

impl Scorer for Rules {
    fn score(&self, lead: &Submission, rules: &ScoringRules) -> Scored {
        let mut sheet = Sheet::new();
        let mut keywords = Keywords::new(&rules.ideal_customer_keywords);
        context::note(&mut sheet, lead, rules, &mut keywords);
        message::note(&mut sheet, lead.message.as_deref(), &mut keywords);
        let score = sheet.score();
        let qualification = Qualification {
            score,
            confidence: confidence(&sheet, lead),
            summary: summary::summarise(&sheet),
            recommended_action: recommend(score),
            dimensions: sheet.dimensions(),
            scored_by: SCORED_BY.to_owned(),
        };
        Scored { qualification, signals: sheet.into_signals() }
    }
}

/// Two for a message of any length that says something, one each for company, source, business address, budget and
/// time frame: five is high, two to four medium.
fn confidence(sheet: &Sheet, lead: &Submission) -> Confidence {
    let says_nothing = sheet.has(&sheet::MESSAGE_ABSENT) || sheet.has(&sheet::MESSAGE_TRIVIAL);
    let known = [
        lead.company.is_some(),
        lead.source.is_some(),
        sheet.has(&sheet::BUSINESS_DOMAIN),
        sheet.speaks_of(Side::Budget),
        sheet.speaks_of(Side::Timeline),
    ];
    match usize::from(!says_nothing) * 2 + known.into_iter().filter(|known| *known).count() {
        5.. => Confidence::High,
        2.. => Confidence::Medium,
        _ => Confidence::Low,
    }
}

/// Fixed bands, whatever the workspace's thresholds.
fn recommend(score: Score) -> Action {
    match score.value() {
        80.. => Action::Approve,
        30.. => Action::Review,
        _ => Action::Reject,
    }
}
