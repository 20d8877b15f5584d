//! Budget and time frame, from whichever text speaks of them first.

use super::amounts::{self, Currency};
use super::lexicon::{Found, Group};
use super::sheet::{self, Kind, Sheet};

/// What can be said of a budget; only the first counts.
const BUDGETS: [&Kind; 5] = [
    &sheet::BUDGET_LARGE,
    &sheet::BUDGET_APPROVED,
    &sheet::BUDGET_MODERATE,
    &sheet::BUDGET_SMALL,
    &sheet::BUDGET_NONE,
];

/// What can be said of the time frame; only the first counts.
const TIMELINES: [(Group, &Kind); 4] = [
    (Group::TimelineNone, &sheet::TIMELINE_NONE),
    (Group::TimelineNow, &sheet::TIMELINE_NOW),
    (Group::TimelineSoon, &sheet::TIMELINE_SOON),
    (Group::TimelineLater, &sheet::TIMELINE_LATER),
];

/// Notes what a text says of a budget, unless that is known already.
pub(super) fn note_budget(sheet: &mut Sheet, text: &str, found: Found, currency: Currency) {
    if sheet.count(&BUDGETS) > 0 {
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
    if sheet.count(&BUDGETS) == 0 {
        sheet.note(&sheet::BUDGET_NONE);
    }
}

/// Notes what a text says of the time frame, unless that is known already.
pub(super) fn note_timeline(sheet: &mut Sheet, found: Found) {
    if TIMELINES.iter().any(|(_, kind)| sheet.has(kind)) {
        return;
    }
    if let Some((_, kind)) = TIMELINES.iter().find(|(group, _)| found.has(*group)) {
        sheet.note(kind);
    }
}
