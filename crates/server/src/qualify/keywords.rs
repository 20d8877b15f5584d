//! The workspace's keywords of the ideal customer.

use super::sheet::{IDEAL_CUSTOMER_KEYWORD, Sheet};
use super::text::{beginning, fold, is_unspaced};

/// Most keywords that count for one lead.
pub(super) const KEYWORDS_COUNTED_MAX: usize = 3;
/// Keywords read from the settings, and bytes read of each.
const KEYWORDS_MAX: usize = 100;
const KEYWORD_BYTES_MAX: usize = 100;

/// The keywords that were not found yet.
pub(super) struct Keywords<'a> {
    open: Vec<(&'a str, String)>,
    counted: usize,
}

impl<'a> Keywords<'a> {
    /// Reads them from the settings. What folds to the same is one keyword.
    pub(super) fn new(keywords: &'a [String]) -> Self {
        let mut open: Vec<(&str, String)> = Vec::new();
        for keyword in keywords.iter().take(KEYWORDS_MAX) {
            let folded = fold(keyword, KEYWORD_BYTES_MAX);
            let is_new = open.iter().all(|(_, known)| *known != folded);
            if !folded.trim().is_empty() && is_new {
                open.push((beginning(keyword.trim(), KEYWORD_BYTES_MAX), folded));
            }
        }
        Self { open, counted: 0 }
    }

    /// Whether another one that is found would count.
    pub(super) fn are_open(&self) -> bool {
        self.counted < KEYWORDS_COUNTED_MAX && !self.open.is_empty()
    }

    /// Notes each keyword that stands in a folded text, once for a lead.
    pub(super) fn note_found(&mut self, sheet: &mut Sheet, folded_text: &str) {
        let mut at = 0;
        while self.counted < KEYWORDS_COUNTED_MAX && at < self.open.len() {
            if stands_in(&self.open[at].1, folded_text) {
                let (keyword, _) = self.open.remove(at);
                sheet.note_keyword(&IDEAL_CUSTOMER_KEYWORD, keyword);
                self.counted += 1;
            } else {
                at += 1;
            }
        }
    }
}

/// Whole words, but where words are not spaced anywhere.
fn stands_in(keyword: &str, text: &str) -> bool {
    if keyword.chars().any(is_unspaced) { text.contains(keyword.trim()) } else { text.contains(keyword) }
}
