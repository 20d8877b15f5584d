//! Text that is looked for in leads. Every lead of a stretch is looked into: an index by trigrams would find it at once, but
//! would cost each new lead twice of what all the rest of it costs. So the looking is made cheap instead; `LIKE` takes
//! several times as long.

use aho_corasick::AhoCorasick;
use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement};

/// Where a lead's text is.
const COLUMNS: [&str; 4] = ["name", "email", "company", "message"];

pub(super) struct Needle(AhoCorasick);

impl Needle {
    pub(super) fn new(text: &str) -> rusqlite::Result<Self> {
        let finder = AhoCorasick::builder().ascii_case_insensitive(true).build([text]);
        finder.map(Self).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }

    /// Where its columns are in the rows of a statement.
    pub(super) fn columns(statement: &Statement<'_>) -> rusqlite::Result<[usize; COLUMNS.len()]> {
        let mut places = [0; COLUMNS.len()];
        for (place, name) in places.iter_mut().zip(COLUMNS) {
            *place = statement.column_index(name)?;
        }
        Ok(places)
    }

    pub(super) fn is_in(&self, row: &Row<'_>, columns: &[usize]) -> rusqlite::Result<bool> {
        for column in columns {
            if let ValueRef::Text(text) = row.get_ref(*column)?
                && self.0.is_match(text)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
