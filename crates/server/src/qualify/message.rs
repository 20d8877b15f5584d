//! The message: what the lead wants, in its own words.

use super::amounts::Currency;
use super::hints;
use super::keywords::Keywords;
use super::lexicon::{Found, Group, look_up};
use super::sheet::{self, Kind, Sheet};
use super::text::{beginning, fold, is_unspaced};

/// Bytes read of a message.
const MESSAGE_BYTES_MAX: usize = 16_384;

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
/// that.
pub(super) fn note(sheet: &mut Sheet, message: Option<&str>, keywords: &mut Keywords<'_>) {
    let Some(message) = message else { return sheet.note(&sheet::MESSAGE_ABSENT) };
    let message = beginning(message, MESSAGE_BYTES_MAX);
    let folded = fold(message, MESSAGE_BYTES_MAX);
    let found = look_up(&folded);
    if let Some(kind) = off_topic(message, &folded, found) {
        return sheet.note(kind);
    }
    let intents: Vec<&Kind> =
        INTENTS.iter().filter(|(group, _)| found.has(*group)).map(|(_, kind)| *kind).collect();
    sheet.note(length(&folded));
    intents.into_iter().for_each(|kind| sheet.note(kind));
    if found.has(Group::Scale) || names_a_number_of_people(&folded) {
        sheet.note(&sheet::INTENT_SCALE);
    }
    if is_shouted(message) {
        sheet.note(&sheet::SHOUTING);
    }
    hints::note_budget(sheet, message, found, Currency::Needed);
    hints::note_timeline(sheet, found);
    keywords.note_found(sheet, &folded);
}

/// The first reason why a message is about something else.
fn off_topic(message: &str, folded: &str, found: Found) -> Option<&'static Kind> {
    let links = message.matches("://").count().max(folded.matches(" www ").count());
    if found.has(Group::Spam) || found.spam_words() >= 2 {
        Some(&sheet::SPAM)
    } else if links >= 3 {
        Some(&sheet::MANY_LINKS)
    } else if found.has(Group::Unsubscribe) || folded.trim() == "unsubscribe" {
        Some(&sheet::UNSUBSCRIBE)
    } else if found.has(Group::JobSeeking) {
        Some(&sheet::JOB_SEEKING)
    } else if found.has(Group::Student) {
        Some(&sheet::STUDENT)
    } else if found.has(Group::Test) {
        Some(&sheet::TEST_MESSAGE)
    } else {
        None
    }
}

/// By words: fewer than four, or fewer than three different ones, is trivial; from eight on it is substantial. Where
/// words are not spaced, two characters count as a word.
fn length(folded: &str) -> &'static Kind {
    let unspaced = folded.chars().filter(|character| is_unspaced(*character)).count();
    let spaced = folded.split(' ').filter(|word| !word.is_empty()).count();
    let words = if unspaced > 0 { spaced.max(unspaced / 2) } else { spaced };
    let first = folded.split(' ').find(|word| !word.is_empty()).unwrap_or("");
    let mut others = folded.split(' ').filter(|word| !word.is_empty() && *word != first);
    let second = others.next();
    let is_varied = unspaced >= 8 || second.is_some_and(|second| others.any(|word| word != second));
    match words {
        _ if !is_varied => &sheet::MESSAGE_TRIVIAL,
        ..4 => &sheet::MESSAGE_TRIVIAL,
        4..8 => &sheet::MESSAGE_SHORT,
        8.. => &sheet::MESSAGE_SUBSTANTIAL,
    }
}

/// `40 users`, `12 people` and the like.
fn names_a_number_of_people(folded: &str) -> bool {
    const UNITS: [&str; 14] = [
        "users",
        "seats",
        "people",
        "employees",
        "reps",
        "agents",
        "licenses",
        "licences",
        "leads",
        "developers",
        "engineers",
        "customers",
        "members",
        "salespeople",
    ];
    let mut after_number = false;
    folded.split(' ').any(|word| {
        let is_unit = after_number && UNITS.contains(&word);
        after_number = word.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        is_unit
    })
}

/// Twenty letters or more that have a case, four in five of them capitals.
fn is_shouted(message: &str) -> bool {
    let (mut upper, mut lower) = (0_usize, 0_usize);
    for character in message.chars() {
        upper += usize::from(character.is_uppercase());
        lower += usize::from(character.is_lowercase());
    }
    upper + lower >= 20 && upper >= 4 * lower
}
