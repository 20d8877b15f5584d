//! Opening the file: pragmas, the schema's version, migrations.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::checkpoint::LOG_BYTES_KEPT;
use crate::store::StoreError;

/// Each file takes the schema from the version of its index to the next.
const MIGRATIONS: [&str; 3] = [include_str!("0001.sql"), include_str!("0002.sql"), include_str!("0003.sql")];

/// "AgFl": tells the file from other SQLite databases.
const APPLICATION_ID: i32 = 0x4167_466c;

/// Opens the one writing connection, creates or migrates the schema.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    // Readable by its owner only, whatever the folder is; SQLite gives the log beside it the same mode. What is wrong with the
    // path is told by the opening.
    let _made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut connection = Connection::open(path).map_err(|error| unusable(path, &error))?;
    let version = check(&connection, path)?;
    prepare(&mut connection).map_err(|error| unusable(path, &error))?;
    migrate(&connection, path, version)?;
    Ok(connection)
}

/// Opens a reading connection on a file that the writer has opened before.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    keep_plans(&connection)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A statement keeps its plan whatever is bound to it. SQLite with `STAT4` would otherwise compile every look-up by an
/// indexed column anew at each execution.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The checkpoint thread does it, off the commit path.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    keep_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Refuses a database of another program, or of a newer server, before anything in it is touched. Answers the version.
fn check(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let failed = |error: rusqlite::Error| unusable(path, &error);
    let version: usize =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(StoreError::Backend(format!("{} is a database of another program", path.display())));
    }
    if version > MIGRATIONS.len() {
        return Err(StoreError::Backend(format!(
            "{} was written by a newer version of the server (schema {version}, this one knows {}); start that one",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    Ok(version)
}

fn migrate(connection: &Connection, path: &Path, version: usize) -> Result<(), StoreError> {
    for (from, sql) in MIGRATIONS.iter().enumerate().skip(version) {
        let step = || -> rusqlite::Result<()> {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", from + 1)?;
            transaction.commit()
        };
        step().map_err(|error| unusable(path, &error))?;
    }
    Ok(())
}

fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Backend(format!("{} cannot be used as the database: {error}", path.display()))
}

/// Opens a connection that does nothing but checkpoints.
pub(super) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    Ok(connection)
}
