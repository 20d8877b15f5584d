//! Rows into a table, many with one statement: it looks for their place once and goes on from there. A statement for each would
//! open the table and all its indexes anew, and find the end of each by a walk from its root.

use std::sync::OnceLock;

use rusqlite::{Connection, Statement, ToSql};

/// Rows of one statement, the greatest number first. Each is a statement of its own to be kept.
const ROWS: [usize; 5] = [16, 8, 4, 2, 1];

/// What is written into a table.
pub(super) struct Insert {
    table: &'static str,
    columns: &'static str,
    /// The statement for each of [`ROWS`].
    statements: OnceLock<[String; ROWS.len()]>,
}

/// The values of a statement, bound in their order.
pub(super) struct Values<'a, 's> {
    statement: &'a mut Statement<'s>,
    bound: usize,
}

impl Values<'_, '_> {
    /// Binds the next values of a row.
    pub(super) fn bind(&mut self, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
        for value in values {
            self.bound += 1;
            self.statement.raw_bind_parameter(self.bound, value)?;
        }
        Ok(())
    }
}

impl Insert {
    /// `columns` with commas between them; one with a value, `state = 0`, is the same in all rows.
    pub(super) const fn new(table: &'static str, columns: &'static str) -> Self {
        Self { table, columns, statements: OnceLock::new() }
    }

    /// Writes rows; `bind` binds what the columns have no value for, in their order.
    ///
    /// # Errors
    /// Such a row is there already. What was written until then stays: the transaction has to be rolled back. A statement that can
    /// be undone by itself keeps a copy of every page that it changes.
    pub(super) fn run<R>(
        &self,
        sql: &Connection,
        rows: impl ExactSizeIterator<Item = R>,
        mut bind: impl FnMut(&mut Values<'_, '_>, R) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut rows = rows;
        for (number, text) in ROWS.iter().zip(self.statements()) {
            while rows.len() >= *number {
                let mut statement = sql.prepare_cached(text)?;
                let mut values = Values { statement: &mut statement, bound: 0 };
                for row in rows.by_ref().take(*number) {
                    bind(&mut values, row)?;
                }
                statement.raw_execute()?;
            }
        }
        Ok(())
    }

    fn statements(&self) -> &[String; ROWS.len()] {
        self.statements.get_or_init(|| {
            let columns =
                self.columns.split(',').map(|column| column.split_once(" = ").unwrap_or((column, "?")));
            let (names, values): (Vec<_>, Vec<_>) = columns.unzip();
            let (table, names, row) = (self.table, names.join(","), format!("({})", values.join(", ")));
            ROWS.map(|number| {
                let rows = vec![row.as_str(); number].join(", ");
                format!("INSERT OR FAIL INTO {table} ({names}) VALUES {rows}")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::Insert;

    #[test]
    fn any_number_of_rows_is_written_in_their_order() {
        static NUMBERS: Insert = Insert::new("numbers", "number, kind = 'cardinal', text");
        for number in [0_usize, 1, 2, 3, 15, 16, 31, 32, 100] {
            let sql = Connection::open_in_memory().unwrap();
            sql.execute_batch(
                "CREATE TABLE numbers (seq INTEGER PRIMARY KEY, number INTEGER UNIQUE, kind, text)",
            )
            .unwrap();
            let bind = |values: &mut super::Values<'_, '_>, number: usize| {
                values.bind(&[&number])?;
                values.bind(params![format!("the {number}")])
            };
            NUMBERS.run(&sql, 0..number, bind).unwrap();
            let mut read =
                sql.prepare("SELECT number, text FROM numbers WHERE kind = 'cardinal' ORDER BY seq").unwrap();
            let read = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            let read: Vec<(usize, String)> = read.collect::<Result<_, _>>().unwrap();
            assert_eq!(read, (0..number).map(|number| (number, format!("the {number}"))).collect::<Vec<_>>());
            if number > 0 {
                assert!(NUMBERS.run(&sql, [number - 1].into_iter(), bind).is_err(), "it is there already");
            }
        }
    }
}
