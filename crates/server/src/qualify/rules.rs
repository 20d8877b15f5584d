//! The built-in scorer: a score is the sum of signals, and each signal says why it is there.
//!
//! The total is kept within 0 to 100. All but the message counts from 6 to 75 (`context_limit` makes up the difference), so
//! that a message of four words or more, or with a sign of intent, always makes 25 points or more (`message_floor` sees to that where it says there
//! is no budget and no hurry), and nobody reaches 80 without a message. Of the budget, the time frame, the job title and the size the first source counts: fields
//! before message. A message that is spam, about a job or studies, a test and the like counts for nothing but that;
//! spam has to outweigh the signs of intent, and two of them speak against the others, so that buyers from such trades are heard.
//!
//! Each side is a start and a multiple of the points of its signals, within 0 to 100: `company_fit` 50 + 4 x,
//! `intent_strength` 20 + 2 x, `budget_signal` 50 + 5 x, `timeline` 50 + 6 x. Recommended: from 80 approve, from 30 review,
//! below that reject. Name and email alone are for review (38, at a free mail provider 30), at a disposable one rejected (10).
//!
//! | signal | points | side | when |
//! | --- | --- | --- | --- |
//! | `base` | +40 | - | Every lead starts here |
//! | `business_domain` | +4 | `company_fit` | The address is at a domain of its own |
//! | `free_mail_domain` | -4 | `company_fit` | The address is at a free mail provider |
//! | `disposable_domain` | -24 | `company_fit` | The address is at a disposable mail provider |
//! | `role_address` | -2 | `company_fit` | The address belongs to a function, not to a person |
//! | `no_reply_address` | -8 | `company_fit` | Nobody reads mail to this address |
//! | `link_in_name` | -20 | `company_fit` | The name contains a link |
//! | `company_named` | +2 | `company_fit` | A company is named |
//! | `company_matches_domain` | +3 | `company_fit` | The company goes with the address's domain |
//! | `job_title_decides` | +4 | `company_fit` | The job title is one of those who decide |
//! | `job_title_not_a_buyer` | -6 | `company_fit` | The job title is not one of a buyer |
//! | `phone_given` | +2 | `intent_strength` | A phone number is given |
//! | `company_size_large` | +4 | `company_fit` | The size given is 50 or more |
//! | `company_size_medium` | +2 | `company_fit` | The size given is 10 to 49 |
//! | `source_preferred` | +6 | `intent_strength` | The source is one that the workspace prefers |
//! | `source_strong` | +2 | `intent_strength` | The source is one where people ask by themselves |
//! | `source_weak` | -8 | `intent_strength` | The source is one where people rarely ask by themselves |
//! | `ideal_customer_keyword` | +4 | `company_fit` | A keyword of the ideal customer is there |
//! | `context_limit` | as needed | - | All but the message counts from 6 to 75 |
//! | `message_absent` | -6 | `intent_strength` | There is no message |
//! | `message_trivial` | -4 | `intent_strength` | The message says next to nothing |
//! | `message_short` | +19 | `intent_strength` | The message is short |
//! | `message_substantial` | +22 | `intent_strength` | The message has eight words or more |
//! | `intent_evaluating` | +4 | `intent_strength` | The message speaks of evaluating or looking for something |
//! | `intent_demo` | +4 | `intent_strength` | The message asks for a demo or a call |
//! | `intent_pricing` | +4 | `intent_strength` | The message asks for prices or an offer |
//! | `intent_pilot` | +4 | `intent_strength` | The message speaks of a pilot, a trial or a roll-out |
//! | `intent_replacing` | +4 | `intent_strength` | The message speaks of replacing something or migrating |
//! | `intent_integrating` | +3 | `intent_strength` | The message speaks of integrating with other systems |
//! | `intent_manual_work` | +3 | `intent_strength` | The message speaks of manual work or a bottleneck |
//! | `intent_scale` | +2 | `intent_strength` | The message speaks of volume or the size of a team |
//! | `shouting` | -3 | `intent_strength` | The message is written in capitals |
//! | `message_floor` | as needed | - | A message that is to the point gives 19 points or more |
//! | `spam` | -35 | `intent_strength` | The message reads like an unasked-for offer |
//! | `many_links` | -25 | `intent_strength` | The message has three links or more, one more for each sign of intent |
//! | `unsubscribe` | -30 | `intent_strength` | The message asks not to be contacted |
//! | `job_seeking` | -25 | `intent_strength` | The message is about a job for its author |
//! | `student` | -20 | `intent_strength` | The message is about studies |
//! | `test_message` | -25 | `intent_strength` | The message is a test |
//! | `gibberish` | -20 | `intent_strength` | Most words of the message cannot be pronounced |
//! | `budget_large` | +8 | `budget_signal` | An amount of 10,000 or more is named |
//! | `budget_approved` | +6 | `budget_signal` | A budget is said to be there |
//! | `budget_moderate` | +5 | `budget_signal` | An amount of 1,000 to 9,999 is named |
//! | `budget_small` | +1 | `budget_signal` | An amount below 1,000 is named |
//! | `budget_none` | -8 | `budget_signal` | There is said to be no budget |
//! | `timeline_now` | +6 | `timeline` | It is to be within days |
//! | `timeline_soon` | +4 | `timeline` | It is to be within months |
//! | `timeline_later` | -2 | `timeline` | It is to be in half a year or later |
//! | `timeline_none` | -6 | `timeline` | There is said to be no hurry |
//!
//! At most three keywords count. Work is bounded: 16 KiB of the message, 1 KiB of a field, 8 KiB of all fields are read, a
//! nested field as its JSON text. The words looked for are English and the commonest ones German, French and Spanish; keywords may be of any language. No detail and no summary
//! has a word of the lead in it, but keywords of the settings.

use agentflow_events::{Action, Confidence, Qualification, Score};
use agentflow_lead::Submission;

use super::keywords::Keywords;
use super::sheet::{self, Sheet, Side};
use super::{Scorer, context, message, summary};
use crate::record::{Scored, ScoringRules};

/// Name and version of this scorer; any change of a score is a new version.
pub const SCORED_BY: &str = "rules/1";

/// Most folded texts are shorter, so the memory for them does not grow.
const FOLDED_BYTES: usize = 1_024;

/// The scorer by rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules;

impl Scorer for Rules {
    fn score(&self, lead: &Submission, rules: &ScoringRules) -> Scored {
        let mut sheet = Sheet::new();
        let mut keywords = Keywords::new(&rules.ideal_customer_keywords);
        let mut buffer = String::with_capacity(FOLDED_BYTES);
        context::note(&mut sheet, lead, rules, &mut keywords, &mut buffer);
        message::note(&mut sheet, lead.message.as_deref(), &mut keywords, &mut buffer);
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

#[cfg(test)]
mod tests;
