//! Opening the file: pragmas, the schema's version, migrations.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::checkpoint::LOG_BYTES_KEPT;
use crate::store::StoreError;

/// Each file takes the schema from the version of its index to the next.
const MIGRATIONS: [&str; 15] = [
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
    include_str!("0007.sql"),
    include_str!("0008.sql"),
    include_str!("0009.sql"),
    include_str!("0010.sql"),
    include_str!("0011.sql"),
    include_str!("0012.sql"),
    include_str!("0013.sql"),
    include_str!("0014.sql"),
    include_str!("0015.sql"),
];

/// How long a connection waits for a lock that another one has.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// "AgFl": tells the file from other SQLite databases.
const APPLICATION_ID: i32 = 0x4167_466c;

/// Opens the one writing connection, creates or migrates the schema.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
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
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a database that is to be copied, of a server that runs or ran here. It may have to write: where nobody has it open, the log is
/// read by way of shared memory that somebody must make. Its end moves nothing.
pub(super) fn open_source(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        leave_log(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.busy_timeout(BUSY_WAIT)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| unusable(path, &error))?;
    match check(&connection, path)? {
        0 => Err(StoreError::Unusable("this is an empty database".to_owned())),
        _ => Ok(connection),
    }
}

/// A statement keeps its plan whatever is bound to it. SQLite with `STAT4` would otherwise compile every look-up by an
/// indexed column anew at each execution.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    turn_log_on(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The checkpoint thread does it, off the commit path.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // In KiB, where it is negative. No larger: where SQLite has put pages in order, the next commit looks through all of them.
    connection.pragma_update(None, "cache_size", -4 * 1024)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    keep_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(())
}

/// Turns the write-ahead log on, and makes sure that it is. SQLite names the new journal first and commits the switch with the
/// statement's end, where its failure is easily missed. With the old journal a commit is undone by a power cut right after it.
fn turn_log_on(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut journal = String::new();
    while let Some(row) = rows.next()? {
        journal = row.get(0)?;
    }
    if journal == "wal" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    let sentence = format!("its write-ahead log cannot be turned on; the journal is still `{journal}`");
    Err(rusqlite::Error::SqliteFailure(code, Some(sentence)))
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
        return Err(StoreError::Unusable("this is a database of another program".to_owned()));
    }
    if version > MIGRATIONS.len() {
        return Err(StoreError::Unusable(format!(
            "this was written by a newer version of the server (schema {version}, this one knows {}); start that one",
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

/// Whether something found no room on the disk: the database, its log, or the shared memory beside them.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    const NO_SHARED_MEMORY: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
    error
        .sqlite_error()
        .is_some_and(|code| code.code == ErrorCode::DiskFull || code.extended_code == NO_SHARED_MEMORY)
}

fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    if is_full(error) {
        return StoreError::DiskFull;
    }
    // SQLite names the path as well.
    let sentence = error.to_string().replace(&format!(": {}", path.display()), "");
    StoreError::Unusable(format!("this cannot be used as the database: {sentence}"))
}

/// Opens a connection that does nothing but checkpoints.
pub(super) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    leave_log(&connection)?;
    Ok(connection)
}

/// The end of this connection moves nothing, even if it is the last one. After a failed sync nobody knows what the log's pages
/// are; and in good order the writer has moved them before.
pub(super) fn leave_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(|_| ())
}
