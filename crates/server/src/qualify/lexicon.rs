//! The scorer's words and phrases, found in one pass over a folded text.

use std::sync::LazyLock;

use super::text::{Word, head, words};

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
    WordBudget = "word_budget",
    WordWww = "word_www",
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

    /// Adds every group of which a phrase begins where `word` does.
    #[inline(always)] // Half of the words are known to begin none before a call would have been made.
    pub(super) fn add(&mut self, lexicon: &Lexicon, word: Word<'_>) {
        for phrase in lexicon.candidates(word.head).iter().filter(|phrase| phrase.begins(word)) {
            self.groups |= 1 << phrase.group as u32;
            self.spam_words |= phrase.spam_bit;
        }
    }
}

/// Every group that has a phrase in `folded`, a text as [`fold`](super::text::fold) makes it.
pub(super) fn look_up(folded: &str) -> Found {
    let lexicon = lexicon();
    let mut found = Found::default();
    words(folded).for_each(|word| found.add(lexicon, word));
    found
}

/// The words and phrases of the committed list.
pub(super) fn lexicon() -> &'static Lexicon {
    &LEXICON
}

/// The phrases, found by their first letters: a word of a text comes upon one or two that it may begin.
pub(super) struct Lexicon {
    /// In the order of their slots.
    phrases: Vec<Phrase>,
    /// Where in `phrases` each slot begins, and at last where the last one ends.
    slots: Box<[u16; Self::SLOTS as usize + 1]>,
}

struct Phrase {
    /// What a text has to begin with; a space is at the end, but where the phrase may go on.
    text: Box<[u8]>,
    /// Its first eight bytes, and which bits of them there are: enough for most texts that do not begin so.
    head: u64,
    head_mask: u64,
    group: Group,
    /// Of a spam word a bit of its own, or else none.
    spam_bit: u64,
}

impl Phrase {
    /// Whether the text from `word` on begins with the phrase.
    fn begins(&self, word: Word<'_>) -> bool {
        word.head & self.head_mask == self.head && (self.text.len() <= 8 || word.text.starts_with(&self.text))
    }
}

impl Lexicon {
    /// Several for each phrase.
    const SLOTS: u32 = 4_096;

    /// Those phrases that a text with this head may begin with.
    fn candidates(&self, head: u64) -> &[Phrase] {
        let slot = slot(head);
        &self.phrases[usize::from(self.slots[slot])..usize::from(self.slots[slot + 1])]
    }
}

/// The slot of all that begins with the same three bytes, which every phrase has.
fn slot(head: u64) -> usize {
    // Multiplied by the golden ratio of 2^32, all three have a part in the highest bits.
    let hash = ((head & 0xFF_FFFF) as u32).wrapping_mul(0x9E37_79B9);
    (hash / (u32::MAX / Lexicon::SLOTS + 1)) as usize
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut phrases = Vec::new();
    let mut group = None;
    let mut next_spam_bit = 1;
    for line in include_str!("lists/phrases.txt").lines() {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(heading) => {
                group = Some(Group::from_heading(heading).expect("the committed list has known groups only"));
            }
            None if line.is_empty() || line.starts_with('#') => {}
            None => {
                let group = group.expect("the committed list begins with a group");
                let mut spam_bit = 0;
                if group == Group::SpamWord {
                    (spam_bit, next_spam_bit) = (next_spam_bit, next_spam_bit << 1);
                }
                let text = line.strip_suffix('*').map_or_else(|| format!("{line} "), str::to_owned);
                let text = text.into_bytes().into_boxed_slice();
                assert!(text.len() >= 3, "every phrase of the committed list has three bytes");
                let head_mask = u64::MAX >> (64 - 8 * text.len().min(8));
                phrases.push(Phrase { head: head(&text), head_mask, text, group, spam_bit });
            }
        }
    }
    let slot_of = |phrase: &Phrase| slot(phrase.head);
    phrases.sort_by_key(slot_of);
    let begins = |slot: usize| phrases.partition_point(|phrase| slot_of(phrase) < slot) as u16;
    let slots = std::array::from_fn(begins);
    Lexicon { phrases, slots: Box::new(slots) }
});

#[cfg(test)]
mod tests {
    use super::{Group, LEXICON, Phrase, look_up};
    use crate::qualify::text::{beginning, fold};

    #[test]
    fn every_phrase_is_folded_and_in_one_group_of_those_together() {
        for line in include_str!("lists/phrases.txt").lines() {
            if line.is_empty() || line.starts_with(['#', '[']) {
                continue;
            }
            let phrase = line.strip_suffix('*').unwrap_or(line);
            assert_eq!(fold(phrase, 100).trim(), phrase);
        }
        for phrase in &LEXICON.phrases {
            let is_spam_word = phrase.group == Group::SpamWord;
            assert_eq!(phrase.spam_bit != 0, is_spam_word, "each spam word has a bit");
        }
    }

    #[test]
    fn finds_what_begins_with_a_phrase_and_nothing_else() {
        let text_of = |phrase: &Phrase| String::from_utf8(phrase.text.to_vec()).unwrap();
        let phrases: Vec<_> =
            LEXICON.phrases.iter().map(|phrase| (format!(" {}", text_of(phrase)), phrase)).collect();
        for phrase in LEXICON.phrases.iter().map(text_of) {
            let shorter = beginning(&phrase, phrase.len() - 1);
            for text in [
                format!(" {phrase}"),
                format!(" {phrase}x y "),
                format!(" {shorter}"),
                format!(" {shorter}x "),
            ] {
                let text = format!("{} ", text.trim_end());
                let expected = phrases.iter().filter(|(phrase, _)| text.contains(phrase.as_str()));
                let expected = expected.fold((0, 0), |(groups, spam_words), (_, phrase)| {
                    (groups | 1 << phrase.group as u32, spam_words | phrase.spam_bit)
                });
                let found = look_up(&text);
                assert_eq!((found.groups, found.spam_words), expected, "{text}");
            }
        }
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
