//! Budget and time frame, from whichever text speaks of them first.

use super::amounts::{self, Currency};
use super::lexicon::{Found, Group};
use super::sheet::{self, Sheet};

/// Notes what a text says of a budget, unless that is known already.
pub(super) fn note_budget(sheet: &mut Sheet, text: &str, found: Found, currency: Currency) {
    if sheet.count("budget_") > 0 {
        return;
    }
    let kind = match amounts::largest(text, currency) {
        _ if found.has(Group::BudgetNone) => &sheet::BUDGET_NONE,
        Some(10_000..) => &sheet::BUDGET_LARGE,
        _ if found.has(Group::BudgetApproved) => &sheet::BUDGET_APPROVED,
        Some(1_000..) => &sheet::BUDGET_MODERATE,
        Some(1..) => &sheet::BUDGET_SMALL,
        _ => return,
    };
    sheet.note(kind);
}

/// Notes that there is no budget, unless a budget is known already.
pub(super) fn note_no_budget(sheet: &mut Sheet) {
    if sheet.count("budget_") == 0 {
        sheet.note(&sheet::BUDGET_NONE);
    }
}

/// Notes what a text says of the time frame, unless that is known already.
pub(super) fn note_timeline(sheet: &mut Sheet, found: Found) {
    if sheet.count("timeline_") > 0 {
        return;
    }
    let kinds = [
        (Group::TimelineNone, &sheet::TIMELINE_NONE),
        (Group::TimelineNow, &sheet::TIMELINE_NOW),
        (Group::TimelineSoon, &sheet::TIMELINE_SOON),
        (Group::TimelineLater, &sheet::TIMELINE_LATER),
    ];
    if let Some((_, kind)) = kinds.into_iter().find(|(group, _)| found.has(*group)) {
        sheet.note(kind);
    }
}
