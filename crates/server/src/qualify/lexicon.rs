//! The scorer's words and phrases, found in one pass over a folded text.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Declares the groups of `lists/phrases.txt`, each with its heading there.
macro_rules! groups {
    ($($variant:ident = $name:literal,)+) => {
        /// What a phrase speaks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Group { $($variant,)+ }

        impl Group {
            fn from_heading(name: &str) -> Option<Self> {
                match name { $($name => Some(Group::$variant),)+ _ => None }
            }
        }
    };
}

groups! {
    Evaluating = "evaluating",
    Demo = "demo",
    Pricing = "pricing",
    Pilot = "pilot",
    Replacing = "replacing",
    Integrating = "integrating",
    ManualWork = "manual_work",
    Scale = "scale",
    BudgetApproved = "budget_approved",
    BudgetNone = "budget_none",
    TimelineNow = "timeline_now",
    TimelineSoon = "timeline_soon",
    TimelineLater = "timeline_later",
    TimelineNone = "timeline_none",
    Spam = "spam",
    SpamWord = "spam_word",
    JobSeeking = "job_seeking",
    Student = "student",
    Unsubscribe = "unsubscribe",
    Test = "test",
    DecisionMaker = "decision_maker",
    NotABuyer = "not_a_buyer",
    SourceStrong = "source_strong",
    SourceWeak = "source_weak",
}

/// The groups that a text has a phrase of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    groups: u32,
    spam_words: u64,
}

impl Found {
    /// Whether a phrase of `group` was there.
    pub(super) fn has(self, group: Group) -> bool {
        self.groups & (1 << group as u32) != 0
    }

    /// How many different spam words were there.
    pub(super) fn spam_words(self) -> u32 {
        self.spam_words.count_ones()
    }
}

/// Every group that has a phrase in `folded`, a text as [`fold`](super::text::fold) makes it.
pub(super) fn look_up(folded: &str) -> Found {
    let mut found = Found::default();
    for hit in LEXICON.phrases.find_overlapping_iter(folded) {
        let place = hit.pattern().as_usize();
        let group = LEXICON.groups[place];
        found.groups |= 1 << group as u32;
        if group == Group::SpamWord {
            found.spam_words |= 1 << (place - LEXICON.first_spam_word);
        }
    }
    found
}

struct Lexicon {
    phrases: AhoCorasick,
    /// The group of each phrase.
    groups: Vec<Group>,
    first_spam_word: usize,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut groups = Vec::new();
    let mut patterns = Vec::new();
    let mut group = None;
    for line in include_str!("lists/phrases.txt").lines() {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(heading) => {
                group = Some(Group::from_heading(heading).expect("the committed list has known groups only"));
            }
            None if line.is_empty() || line.starts_with('#') => {}
            None => {
                groups.push(group.expect("the committed list begins with a group"));
                patterns.push(match line.strip_suffix('*') {
                    Some(beginning) => format!(" {beginning}"),
                    None => format!(" {line} "),
                });
            }
        }
    }
    let first_spam_word = groups.iter().position(|group| *group == Group::SpamWord).unwrap_or(0);
    // The kind that looks at one table entry a byte; it is the largest, which a list of this length can bear.
    let phrases = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(patterns);
    let phrases = phrases.expect("the committed list makes a small automaton");
    Lexicon { phrases, groups, first_spam_word }
});

#[cfg(test)]
mod tests {
    use super::{Group, LEXICON, look_up};
    use crate::qualify::text::fold;

    #[test]
    fn every_phrase_is_folded_and_in_one_group_of_those_together() {
        for line in include_str!("lists/phrases.txt").lines() {
            if line.is_empty() || line.starts_with(['#', '[']) {
                continue;
            }
            let phrase = line.strip_suffix('*').unwrap_or(line);
            assert_eq!(fold(phrase, 100).trim(), phrase);
        }
        let spam_words = LEXICON.groups.iter().filter(|group| **group == Group::SpamWord).count();
        assert!((1..=64).contains(&spam_words), "each spam word has a bit");
        assert!(
            LEXICON.groups[LEXICON.first_spam_word..][..spam_words].iter().all(|g| *g == Group::SpamWord)
        );
    }

    #[test]
    fn finds_whole_words_next_to_each_other_and_beginnings_where_a_star_says_so() {
        let found = look_up(&fold("Evaluation; pricing, API!", 100));
        assert!(found.has(Group::Evaluating) && found.has(Group::Pricing) && found.has(Group::Integrating));
        assert!(!look_up(&fold("capital overpricings", 100)).has(Group::Pricing));
        assert!(!look_up(&fold("rapid apiary", 100)).has(Group::Integrating));
    }

    #[test]
    fn counts_different_spam_words() {
        assert_eq!(look_up(&fold("SEO seo Seo", 100)).spam_words(), 1);
        assert_eq!(look_up(&fold("SEO, backlinks, crypto", 100)).spam_words(), 3);
    }
}
