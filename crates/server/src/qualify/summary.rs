//! The summary: two plain sentences out of the signals, without a word of the lead's own.

use super::sheet::{self, Sheet, Side};

/// No summary is longer.
const SUMMARY_BYTES: usize = 192;

/// Describes what was noted.
pub(super) fn summarise(sheet: &Sheet) -> String {
    let address = if sheet.has(&sheet::DISPOSABLE_DOMAIN) {
        "Disposable address"
    } else if sheet.has(&sheet::FREE_MAIL_DOMAIN) {
        "Free-mail address"
    } else {
        "Business address"
    };
    let company = if sheet.has(&sheet::COMPANY_MATCHES_DOMAIN) {
        "with a matching company"
    } else if sheet.has(&sheet::COMPANY_NAMED) {
        "with a company named"
    } else {
        "without a company"
    };
    let [begins, length, ends] = message(sheet);
    let budget = if sheet.has(&sheet::BUDGET_NONE) { "denied" } else { says(sheet, Side::Budget) };
    let timeline = if sheet.has(&sheet::TIMELINE_LATER) {
        "late"
    } else if sheet.has(&sheet::TIMELINE_NONE) {
        "denied"
    } else {
        says(sheet, Side::Timeline)
    };
    let mut summary = String::with_capacity(SUMMARY_BYTES);
    summary.extend([address, " ", company, ", ", begins, length, ends]);
    summary.extend([". Budget ", budget, ", time frame ", timeline, "."]);
    summary
}

/// What is to be said of the message, in up to three pieces.
fn message(sheet: &Sheet) -> [&'static str; 3] {
    let off_topic = [
        (&sheet::MESSAGE_ABSENT, "and no message"),
        (&sheet::MESSAGE_TRIVIAL, "and a message that says next to nothing"),
        (&sheet::SPAM, "and a message that reads like spam"),
        (&sheet::MANY_LINKS, "and a message full of links"),
        (&sheet::UNSUBSCRIBE, "and a wish not to be contacted"),
        (&sheet::JOB_SEEKING, "and a message about a job"),
        (&sheet::STUDENT, "and a message about studies"),
        (&sheet::TEST_MESSAGE, "and a test message"),
        (&sheet::GIBBERISH, "and a message without words"),
    ];
    if let Some((_, text)) = off_topic.into_iter().find(|(kind, _)| sheet.has(kind)) {
        return [text, "", ""];
    }
    let length = if sheet.has(&sheet::MESSAGE_SHORT) { "short" } else { "substantial" };
    let intent = match sheet.count(&sheet::INTENTS) {
        0 => " message without clear signs of intent",
        1 => " message with a sign of intent",
        _ => " message with several signs of intent",
    };
    ["and a ", length, intent]
}

fn says(sheet: &Sheet, side: Side) -> &'static str {
    if sheet.speaks_of(side) { "indicated" } else { "not mentioned" }
}
