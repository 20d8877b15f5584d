//! The message: what the lead wants, in its own words.

use super::amounts::Currency;
use super::hints;
use super::keywords::Keywords;
use super::lexicon::{Found, Group};
use super::sheet::{self, Kind, Sheet};
use super::text::{beginning, count_bytes, fold_in, is_unspaced, words};

/// Bytes read of a message.
const MESSAGE_BYTES_MAX: usize = 16_384;

/// What a message to the point gives at least, so that with what its absence takes it makes 25 points.
const FLOOR: i32 = 19;

/// Intent groups and what each gives.
const INTENTS: [(Group, &Kind); 7] = [
    (Group::Evaluating, &sheet::INTENT_EVALUATING),
    (Group::Demo, &sheet::INTENT_DEMO),
    (Group::Pricing, &sheet::INTENT_PRICING),
    (Group::Pilot, &sheet::INTENT_PILOT),
    (Group::Replacing, &sheet::INTENT_REPLACING),
    (Group::Integrating, &sheet::INTENT_INTEGRATING),
    (Group::ManualWork, &sheet::INTENT_MANUAL_WORK),
];

/// Notes the signals of the message, and of its absence. A message that is about something else counts for nothing but
/// that. `buffer` is memory for the folded text.
pub(super) fn note(
    sheet: &mut Sheet,
    message: Option<&str>,
    keywords: &mut Keywords<'_>,
    buffer: &mut String,
) {
    let Some(message) = message else { return sheet.note(&sheet::MESSAGE_ABSENT) };
    let message = beginning(message, MESSAGE_BYTES_MAX);
    let folded = fold_in(buffer, message, MESSAGE_BYTES_MAX);
    let seen = Seen::in_words_of(folded);
    let found = seen.phrases;
    let intents = INTENTS.iter().filter(|(group, _)| found.has(*group)).count();
    let before = sheet.total();
    if let Some(kind) = off_topic(message, folded, &seen, intents) {
        return sheet.note(kind);
    }
    let length = length(folded, &seen, intents);
    sheet.note(length);
    for (_, kind) in INTENTS.iter().filter(|(group, _)| found.has(*group)) {
        sheet.note(kind);
    }
    if found.has(Group::Scale) || seen.a_number_of_people {
        sheet.note(&sheet::INTENT_SCALE);
    }
    if is_shouted(message) {
        sheet.note(&sheet::SHOUTING);
    }
    let currency = if seen.the_word_budget { Currency::Suffix } else { Currency::Needed };
    hints::note_budget(sheet, message, found, currency);
    hints::note_timeline(sheet, found);
    keywords.note_found(sheet, folded);
    if *length != sheet::MESSAGE_TRIVIAL {
        sheet.limit(&sheet::MESSAGE_FLOOR, before + FLOOR, i32::MAX);
    }
}

/// The first reason why a message is about something else. Signs of intent speak against it: who evaluates tools for
/// the forty open positions of a company does not look for a job.
fn off_topic(message: &str, folded: &str, seen: &Seen, intents: usize) -> Option<&'static Kind> {
    let found = seen.phrases;
    let spam = found.spam_words() as usize + if found.has(Group::Spam) { 2 } else { 0 };
    let links = count(message, "://").max(if seen.the_word_www { count(folded, " www ") } else { 0 });
    if spam >= 2 && spam > intents {
        Some(&sheet::SPAM)
    } else if links >= 3 + intents {
        Some(&sheet::MANY_LINKS)
    } else if intents >= 2 {
        None
    } else if found.has(Group::Unsubscribe) || folded.trim() == "unsubscribe" {
        Some(&sheet::UNSUBSCRIBE)
    } else if found.has(Group::JobSeeking) {
        Some(&sheet::JOB_SEEKING)
    } else if found.has(Group::Student) {
        Some(&sheet::STUDENT)
    } else if found.has(Group::Test) {
        Some(&sheet::TEST_MESSAGE)
    } else if intents == 0 && is_gibberish(folded) {
        Some(&sheet::GIBBERISH)
    } else {
        None
    }
}

/// Nearly always none, which a search that does not count finds out sooner.
fn count(text: &str, part: &str) -> usize {
    if text.contains(part) { text.matches(part).count() } else { 0 }
}

/// By words: fewer than four, or fewer than three different ones, is trivial unless it shows intent; from eight on it
/// is substantial. Where words are not spaced, two characters count as a word.
fn length(folded: &str, seen: &Seen, intents: usize) -> &'static Kind {
    let unspaced = if folded.is_ascii() { 0 } else { folded.chars().filter(|c| is_unspaced(*c)).count() };
    let words_or_pairs = if unspaced > 0 { seen.words.max(unspaced / 2) } else { seen.words };
    let is_varied = unspaced >= 8 || seen.three_different;
    match words_or_pairs {
        8.. if is_varied => &sheet::MESSAGE_SUBSTANTIAL,
        4.. if is_varied => &sheet::MESSAGE_SHORT,
        _ if intents > 0 => &sheet::MESSAGE_SHORT,
        _ => &sheet::MESSAGE_TRIVIAL,
    }
}

/// What is seen in one pass over the words of a message.
#[derive(Default)]
struct Seen {
    phrases: Found,
    /// How many.
    words: usize,
    three_different: bool,
    the_word_budget: bool,
    the_word_www: bool,
    /// `40 users`, `12 people` and the like.
    a_number_of_people: bool,
}

impl Seen {
    fn in_words_of(folded: &str) -> Self {
        let mut seen = Self::default();
        let (mut first, mut second, mut after_number) = (None, None, false);
        for (word, text) in words(folded) {
            seen.phrases.add(text);
            seen.words += 1;
            if !seen.three_different && *first.get_or_insert(word) != word {
                seen.three_different = *second.get_or_insert(word) != word;
            }
            match word {
                b"budget" => seen.the_word_budget = true,
                b"www" => seen.the_word_www = true,
                _ => {}
            }
            seen.a_number_of_people |= after_number && is_of_people(word);
            after_number = word[0].is_ascii_digit();
        }
        seen
    }
}

fn is_of_people(word: &[u8]) -> bool {
    const UNITS: [&[u8]; 14] = [
        b"users",
        b"seats",
        b"people",
        b"employees",
        b"reps",
        b"agents",
        b"licenses",
        b"licences",
        b"leads",
        b"developers",
        b"engineers",
        b"customers",
        b"members",
        b"salespeople",
    ];
    UNITS.contains(&word)
}

/// Twenty letters or more that have a case, four in five of them capitals.
fn is_shouted(message: &str) -> bool {
    let (upper, lower) = if message.is_ascii() {
        (count_bytes(message, u8::is_ascii_uppercase), count_bytes(message, u8::is_ascii_lowercase))
    } else {
        let count = |is_such: fn(char) -> bool| message.chars().filter(|c| is_such(*c)).count();
        (count(char::is_uppercase), count(char::is_lowercase))
    };
    upper + lower >= 20 && upper >= 4 * lower
}

/// Whether more than half of the words of four letters or more, two at least, cannot be pronounced. Says nothing of
/// other alphabets.
fn is_gibberish(folded: &str) -> bool {
    let (mut all, mut strange) = (0_usize, 0_usize);
    for (word, _) in words(folded).filter(|(word, _)| word.len() >= 4) {
        all += 1;
        strange += usize::from(is_unpronounceable(word));
    }
    strange >= 2 && 2 * strange > all
}

/// ASCII letters only, and no vowel, six consonants in a row, or one letter four times in a row.
fn is_unpronounceable(letters: &[u8]) -> bool {
    if !letters.iter().all(u8::is_ascii_lowercase) {
        return false;
    }
    let is_vowel = |byte: &u8| matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    !letters.iter().any(is_vowel)
        || letters.windows(6).any(|run| !run.iter().any(is_vowel))
        || letters.windows(4).any(|run| run.iter().all(|letter| *letter == run[0]))
}

#[cfg(test)]
mod tests;
