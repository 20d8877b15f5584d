//! The sheet on which signals are noted, and the catalogue of all of them.

use std::borrow::Cow;

use agentflow_events::{Dimensions, Score};

use crate::record::Signal;

/// The side of the score that a signal speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// None: the base and limits.
    None,
    /// `company_fit`.
    Company,
    /// `intent_strength`.
    Intent,
    /// `budget_signal`.
    Budget,
    /// `timeline`.
    Timeline,
}

/// One kind of signal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) points: i32,
    pub(super) side: Side,
    pub(super) detail: &'static str,
    /// One bit, another for each kind.
    bit: u64,
}

/// Declares the kinds and the list of all of them.
macro_rules! kinds {
    ($($constant:ident: $name:literal, $points:literal, $side:ident, $detail:literal;)+) => {
        /// The kinds by their place, which is their bit's.
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "each is named as its constant")]
        enum Place { $($constant,)+ }

        $(pub(super) const $constant: Kind = Kind {
            name: $name,
            points: $points,
            side: Side::$side,
            detail: $detail,
            bit: 1 << Place::$constant as u32,
        };)+

        /// Every kind, in the order of the documentation.
        #[cfg(test)]
        pub(super) const CATALOGUE: &[Kind] = &[$($constant),+];

        /// The sentence that goes with every signal of this name, keywords aside.
        pub(crate) fn detail_of(name: &str) -> Option<&'static str> {
            match name { $($name => Some($detail),)+ _ => None }
        }
    };
}

kinds! {
    BASE: "base", 40, None, "Every lead starts here.";

    BUSINESS_DOMAIN: "business_domain", 4, Company, "The address is at a domain of its own.";
    FREE_MAIL_DOMAIN: "free_mail_domain", -4, Company, "The address is at a free mail provider.";
    DISPOSABLE_DOMAIN: "disposable_domain", -24, Company, "The address is at a disposable mail provider.";
    ROLE_ADDRESS: "role_address", -2, Company, "The address belongs to a function, not to a person.";
    NO_REPLY_ADDRESS: "no_reply_address", -8, Company, "Nobody reads mail to this address.";
    LINK_IN_NAME: "link_in_name", -20, Company, "The name contains a link.";
    COMPANY_NAMED: "company_named", 2, Company, "A company is named.";
    COMPANY_MATCHES_DOMAIN: "company_matches_domain", 3, Company, "The company goes with the address's domain.";
    JOB_TITLE_DECIDES: "job_title_decides", 4, Company, "The job title is one of those who decide.";
    JOB_TITLE_NOT_A_BUYER: "job_title_not_a_buyer", -6, Company, "The job title is not one of a buyer.";
    PHONE_GIVEN: "phone_given", 2, Intent, "A phone number is given.";
    COMPANY_SIZE_LARGE: "company_size_large", 4, Company, "The size given is 50 or more.";
    COMPANY_SIZE_MEDIUM: "company_size_medium", 2, Company, "The size given is 10 to 49.";
    SOURCE_PREFERRED: "source_preferred", 6, Intent, "The source is one that the workspace prefers.";
    SOURCE_STRONG: "source_strong", 2, Intent, "The source is one where people ask by themselves.";
    SOURCE_WEAK: "source_weak", -8, Intent, "The source is one where people rarely ask by themselves.";
    IDEAL_CUSTOMER_KEYWORD: "ideal_customer_keyword", 4, Company, "A keyword of the ideal customer is there";
    CONTEXT_LIMIT: "context_limit", 0, None, "All but the message counts from 6 to 75.";

    MESSAGE_ABSENT: "message_absent", -6, Intent, "There is no message.";
    MESSAGE_TRIVIAL: "message_trivial", -4, Intent, "The message says next to nothing.";
    MESSAGE_SHORT: "message_short", 19, Intent, "The message is short.";
    MESSAGE_SUBSTANTIAL: "message_substantial", 22, Intent, "The message has eight words or more.";
    INTENT_EVALUATING: "intent_evaluating", 4, Intent, "The message speaks of evaluating or looking for something.";
    INTENT_DEMO: "intent_demo", 4, Intent, "The message asks for a demo or a call.";
    INTENT_PRICING: "intent_pricing", 4, Intent, "The message asks for prices or an offer.";
    INTENT_PILOT: "intent_pilot", 4, Intent, "The message speaks of a pilot, a trial or a roll-out.";
    INTENT_REPLACING: "intent_replacing", 4, Intent, "The message speaks of replacing something or migrating.";
    INTENT_INTEGRATING: "intent_integrating", 3, Intent, "The message speaks of integrating with other systems.";
    INTENT_MANUAL_WORK: "intent_manual_work", 3, Intent, "The message speaks of manual work or a bottleneck.";
    INTENT_SCALE: "intent_scale", 2, Intent, "The message speaks of volume or the size of a team.";
    SHOUTING: "shouting", -3, Intent, "The message is written in capitals.";
    MESSAGE_FLOOR: "message_floor", 0, None, "A message that is to the point gives 19 points or more.";
    SPAM: "spam", -35, Intent, "The message reads like an unasked-for offer.";
    MANY_LINKS: "many_links", -25, Intent, "The message has three links or more.";
    UNSUBSCRIBE: "unsubscribe", -30, Intent, "The message asks not to be contacted.";
    JOB_SEEKING: "job_seeking", -25, Intent, "The message is about a job for its author.";
    STUDENT: "student", -20, Intent, "The message is about studies.";
    TEST_MESSAGE: "test_message", -25, Intent, "The message is a test.";
    GIBBERISH: "gibberish", -20, Intent, "Most words of the message cannot be pronounced.";

    BUDGET_LARGE: "budget_large", 8, Budget, "An amount of 10,000 or more is named.";
    BUDGET_APPROVED: "budget_approved", 6, Budget, "A budget is said to be there.";
    BUDGET_MODERATE: "budget_moderate", 5, Budget, "An amount of 1,000 to 9,999 is named.";
    BUDGET_SMALL: "budget_small", 1, Budget, "An amount below 1,000 is named.";
    BUDGET_NONE: "budget_none", -8, Budget, "There is said to be no budget.";
    TIMELINE_NOW: "timeline_now", 6, Timeline, "It is to be within days.";
    TIMELINE_SOON: "timeline_soon", 4, Timeline, "It is to be within months.";
    TIMELINE_LATER: "timeline_later", -2, Timeline, "It is to be in half a year or later.";
    TIMELINE_NONE: "timeline_none", -6, Timeline, "There is said to be no hurry.";
}

/// The signs of intent.
pub(super) const INTENTS: [&Kind; 8] = [
    &INTENT_EVALUATING,
    &INTENT_DEMO,
    &INTENT_PRICING,
    &INTENT_PILOT,
    &INTENT_REPLACING,
    &INTENT_INTEGRATING,
    &INTENT_MANUAL_WORK,
    &INTENT_SCALE,
];

/// The signals noted so far, in order.
pub(super) struct Sheet {
    signals: Vec<Signal>,
    /// The bits of their kinds.
    noted: u64,
    total: i32,
    sides: [i32; 5],
}

impl Sheet {
    /// A sheet with the base on it.
    pub(super) fn new() -> Self {
        let mut sheet = Self { signals: Vec::with_capacity(16), noted: 0, total: 0, sides: [0; 5] };
        sheet.note(&BASE);
        sheet
    }

    /// Notes a signal.
    pub(super) fn note(&mut self, kind: &Kind) {
        self.push(kind, kind.points, Cow::Borrowed(kind.detail));
    }

    /// Notes a signal about a keyword from the settings.
    pub(super) fn note_keyword(&mut self, kind: &Kind, keyword: &str) {
        self.push(kind, kind.points, Cow::Owned(format!("{}: {keyword}.", kind.detail)));
    }

    /// Brings what was noted so far within bounds, by a signal that is there only where it is needed.
    pub(super) fn limit(&mut self, kind: &Kind, low: i32, high: i32) {
        let points = self.total.clamp(low, high) - self.total;
        if points != 0 {
            self.push(kind, points, Cow::Borrowed(kind.detail));
        }
    }

    /// The sum of all points so far.
    pub(super) fn total(&self) -> i32 {
        self.total
    }

    fn push(&mut self, kind: &Kind, points: i32, detail: Cow<'static, str>) {
        self.noted |= kind.bit;
        self.total += points;
        self.sides[kind.side as usize] += points;
        self.signals.push(Signal { name: Cow::Borrowed(kind.name), points, detail });
    }

    /// Whether a signal of this kind was noted.
    pub(super) fn has(&self, kind: &Kind) -> bool {
        self.noted & kind.bit != 0
    }

    /// Whether a signal of this side was noted that gave or took points.
    pub(super) fn speaks_of(&self, side: Side) -> bool {
        self.sides[side as usize] != 0
    }

    /// How many of these kinds were noted.
    pub(super) fn count(&self, kinds: &[&Kind]) -> usize {
        kinds.iter().filter(|kind| self.has(kind)).count()
    }

    /// The sum of all points, within 0 to 100.
    pub(super) fn score(&self) -> Score {
        Score::clamped(self.total.into())
    }

    /// The four sides: each a start and a multiple of its signals' points, within 0 to 100.
    pub(super) fn dimensions(&self) -> Dimensions {
        let side = |side: Side, start: i64, factor: i64| {
            Score::clamped(start + factor * i64::from(self.sides[side as usize]))
        };
        Dimensions {
            company_fit: side(Side::Company, 50, 4),
            intent_strength: side(Side::Intent, 20, 2),
            budget_signal: side(Side::Budget, 50, 5),
            timeline: side(Side::Timeline, 50, 6),
        }
    }

    /// All signals.
    pub(super) fn into_signals(self) -> Vec<Signal> {
        self.signals
    }
}

#[cfg(test)]
mod tests {
    use super::{CATALOGUE, INTENTS};

    #[test]
    fn the_signs_of_intent_are_the_kinds_that_are_named_so() {
        let named: Vec<_> = CATALOGUE.iter().filter(|kind| kind.name.starts_with("intent_")).collect();
        assert_eq!(named, INTENTS);
    }
}
