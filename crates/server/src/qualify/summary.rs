//! The summary: two plain sentences out of the signals, without a word of the lead's own.

use super::sheet::{self, Sheet, Side};

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
    format!("{address} {company}, {}. {}.", message(sheet), terms(sheet))
}

fn message(sheet: &Sheet) -> String {
    let off_topic = [
        (&sheet::MESSAGE_ABSENT, "and no message"),
        (&sheet::MESSAGE_TRIVIAL, "and a message that says next to nothing"),
        (&sheet::SPAM, "and a message that reads like spam"),
        (&sheet::MANY_LINKS, "and a message full of links"),
        (&sheet::UNSUBSCRIBE, "and a wish not to be contacted"),
        (&sheet::JOB_SEEKING, "and a message about a job"),
        (&sheet::STUDENT, "and a message about studies"),
        (&sheet::TEST_MESSAGE, "and a test message"),
    ];
    if let Some((_, text)) = off_topic.into_iter().find(|(kind, _)| sheet.has(kind)) {
        return text.to_owned();
    }
    let length = if sheet.has(&sheet::MESSAGE_SHORT) { "short" } else { "substantial" };
    match sheet.count("intent_") {
        0 => format!("and a {length} message without clear signs of intent"),
        1 => format!("and a {length} message with a sign of intent"),
        _ => format!("and a {length} message with several signs of intent"),
    }
}

fn terms(sheet: &Sheet) -> String {
    let says = |side: Side, none: &sheet::Kind| match (sheet.has(none), sheet.speaks_of(side)) {
        (true, _) => "denied",
        (false, true) => "indicated",
        (false, false) => "not mentioned",
    };
    let timeline =
        if sheet.has(&sheet::TIMELINE_LATER) { "late" } else { says(Side::Timeline, &sheet::TIMELINE_NONE) };
    format!("Budget {}, time frame {timeline}", says(Side::Budget, &sheet::BUDGET_NONE))
}
