//! The message: what the lead wants, in its own words.

use super::amounts::Currency;
use super::hints;
use super::keywords::Keywords;
use super::lexicon::{Found, Group, lexicon};
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
    let currency = if found.has(Group::WordBudget) { Currency::Suffix } else { Currency::Needed };
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
    // Nearly always none, which is found out sooner than how many.
    let addresses =
        if count_bytes(message, |byte| *byte == b':') > 0 { message.matches("://").count() } else { 0 };
    let names = if found.has(Group::WordWww) { folded.matches(" www ").count() } else { 0 };
    let links = addresses.max(names);
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
    } else if intents == 0 && is_gibberish(folded, seen.long_words) {
        Some(&sheet::GIBBERISH)
    } else {
        None
    }
}

/// By words: fewer than four, or fewer than three different ones, is trivial unless it shows intent; from eight on it
/// is substantial. Where words are not spaced, two characters count as a word.
fn length(folded: &str, seen: &Seen, intents: usize) -> &'static Kind {
    let unspaced = if folded.is_ascii() { 0 } else { folded.chars().filter(|c| is_unspaced(*c)).count() };
    let words_or_pairs = if unspaced > 0 { seen.words.max(unspaced / 2) } else { seen.words };
    let is_varied = unspaced >= 8 || has_three_different(folded);
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
    /// How many of them are long enough to be asked whether they can be pronounced.
    long_words: usize,
    /// `40 users`, `12 people` and the like.
    a_number_of_people: bool,
}

impl Seen {
    fn in_words_of(folded: &str) -> Self {
        let lexicon = lexicon();
        let mut seen = Self::default();
        let mut after_number = false;
        for word in words(folded) {
            seen.phrases.add(lexicon, word);
            seen.words += 1;
            seen.long_words += usize::from(word.letters.len() >= LONG_BYTES_MIN);
            seen.a_number_of_people |= after_number && is_of_people(word.letters);
            after_number = word.letters[0].is_ascii_digit();
        }
        seen
    }
}

/// Whether there are three different words, which the first few of most messages are.
fn has_three_different(folded: &str) -> bool {
    let mut words = words(folded).map(|word| word.letters);
    let Some(first) = words.next() else { return false };
    let Some(second) = words.find(|word| *word != first) else { return false };
    words.any(|word| word != first && word != second)
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
        let upper = count_bytes(message, u8::is_ascii_uppercase);
        // Fewer are not four in five of twenty.
        (upper, if upper >= 16 { count_bytes(message, u8::is_ascii_lowercase) } else { 0 })
    } else {
        let count = |is_such: fn(char) -> bool| message.chars().filter(|c| is_such(*c)).count();
        (count(char::is_uppercase), count(char::is_lowercase))
    };
    upper + lower >= 20 && upper >= 4 * lower
}

/// Bytes of the shortest word of which it counts whether it can be pronounced.
const LONG_BYTES_MIN: usize = 4;

/// Whether more than half of the words of four letters or more, two at least, cannot be pronounced. Says nothing of
/// other alphabets.
fn is_gibberish(folded: &str, long_words: usize) -> bool {
    let (mut strange, mut plain) = (0_usize, 0_usize);
    for word in words(folded).filter(|word| word.letters.len() >= LONG_BYTES_MIN) {
        if is_unpronounceable(word.letters) {
            strange += 1;
        } else {
            plain += 1;
        }
        if 2 * plain >= long_words {
            return false;
        }
    }
    strange >= 2
}

/// ASCII letters only, and no vowel, six consonants in a row, or one letter four times in a row.
fn is_unpronounceable(letters: &[u8]) -> bool {
    let (mut vowels, mut consonants_in_a_row, mut same_in_a_row, mut before) = (0_usize, 0_u32, 0_u32, 0);
    let mut is_strange = false;
    for &letter in letters {
        match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' | b'y' => (vowels, consonants_in_a_row) = (vowels + 1, 0),
            b'a'..=b'z' => consonants_in_a_row += 1,
            _ => return false,
        }
        same_in_a_row = if letter == before { same_in_a_row + 1 } else { 1 };
        is_strange |= consonants_in_a_row >= 6 || same_in_a_row >= 4;
        before = letter;
    }
    is_strange || vowels == 0
}

#[cfg(test)]
mod tests;
