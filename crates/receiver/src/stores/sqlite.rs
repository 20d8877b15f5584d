//! A store in an SQLite file: for processes of one machine, and for work that is done in the same file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use agentflow_events::Moment;
use agentflow_events::idempotency::{
    Begin, Claim, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::PURGE_BATCH;

/// How long an operation waits for another process to finish its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between tries where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS agentflow_idempotency (
        key TEXT PRIMARY KEY,
        token INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        done_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS agentflow_idempotency_ended
        ON agentflow_idempotency (coalesce(done_ms, until_ms));
    CREATE TABLE IF NOT EXISTS agentflow_idempotency_token (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        last INTEGER NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO agentflow_idempotency_token VALUES (1, 0);
";

/// An [`IdempotencyStore`] in an SQLite file, safe between any number of processes of one machine.
///
/// It has one connection; its operations take turns, one at a time on one of tokio's blocking threads. The file is put into WAL mode, and
/// every change is synced to the disk before it is answered (`synchronous = FULL`): about 150 bytes a key. Not for
/// network file systems.
///
/// # Example: in a file
///
/// ```
/// use agentflow_receiver::stores::sqlite::SqliteStore;
/// use agentflow_receiver::Handler;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("events.db");
/// let handler = Handler::new(SqliteStore::open(path).await?);
/// # Ok(())
/// # }
/// ```
///
/// # Example: work and record in one transaction
///
/// A crash then leaves both or neither, and the work is done exactly once.
///
/// ```
/// use agentflow_events::Moment;
/// use agentflow_events::idempotency::{ClaimError, FencingToken};
/// use agentflow_receiver::Received;
/// use agentflow_receiver::stores::sqlite::{SqliteError, SqliteStore};
///
/// // In a thread that may block, from `Handler::handle_fenced`.
/// fn create_customer(
///     database: &mut rusqlite::Connection,
///     received: &Received,
///     token: FencingToken,
///     now: Moment,
/// ) -> Result<(), ClaimError<SqliteError>> {
///     let transaction = database.transaction().map_err(SqliteError::from)?;
///     let email = &received.event().data.lead.email;
///     transaction.execute("INSERT INTO customers (email) VALUES (?1)", [email]).map_err(SqliteError::from)?;
///     SqliteStore::commit_in(&transaction, received.key(), token, now)?;
///     Ok(transaction.commit().map_err(SqliteError::from)?)
/// }
/// ```
pub struct SqliteStore {
    connection: Arc<Mutex<Connection>>,
}

/// What went wrong in an [`SqliteStore`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// SQLite refused: the disk, a lock held for more than five seconds, a file that is no database.
    #[error("idempotency store: {0}")]
    Database(#[from] rusqlite::Error),
    /// The runtime is going down and does not run the operation any more.
    #[error("idempotency store: the runtime has stopped")]
    Stopped,
}

impl SqliteError {
    /// The stable code: `store_unavailable`.
    pub const fn code(&self) -> &'static str {
        "store_unavailable"
    }
}

impl SqliteStore {
    /// Opens the file, makes it where it is missing, and makes its tables (`agentflow_idempotency…`) where they are
    /// missing. They may share a file with yours.
    ///
    /// # Errors
    ///
    /// The file cannot be opened or written, is no SQLite database, is on no local disk (or `:memory:`), or another process
    /// holds it for five seconds.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        let path = path.as_ref().to_owned();
        let opening = spawn_blocking(move || {
            let mut connection = Connection::open(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            turn_log_on(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(SCHEMA)?;
            transaction.commit()?;
            Ok(connection)
        });
        let connection = opening.await.unwrap_or(Err(SqliteError::Stopped))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Records, within a transaction of yours on the same file, that the claim's work is done. It takes effect with the
    /// transaction, or not at all. Blocks as SQLite does.
    ///
    /// # Errors
    ///
    /// [`ClaimError::NotHeld`] where the claim was taken over or aborted: roll back, for the work is another's now.
    pub fn commit_in(
        transaction: &Transaction<'_>,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<SqliteError>> {
        commit(transaction, key, token, now)
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, SqliteError> {
        // Whoever waits for the connection waits here, and not on one of the threads that others need, too.
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        let running = spawn_blocking(move || operation(&mut connection));
        running.await.map_err(|_| SqliteError::Stopped)
    }
}

impl IdempotencyStore for SqliteStore {
    type Error = SqliteError;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> Result<Begin, SqliteError> {
        self.run(move |connection| Ok(begin(connection, key, now, now.plus(lease))?)).await?
    }

    async fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<SqliteError>> {
        self.run(move |connection| commit(connection, key, token, now)).await?
    }

    async fn abort(&self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<SqliteError>> {
        self.run(move |connection| {
            let removed = connection
                .prepare_cached(
                    "DELETE FROM agentflow_idempotency WHERE key = ?1 AND token = ?2 AND done_ms IS NULL",
                )
                .and_then(|mut statement| statement.execute(params![key.to_string(), number(token)]))
                .map_err(SqliteError::from)?;
            if removed == 1 { Ok(()) } else { Err(ClaimError::NotHeld) }
        })
        .await?
    }

    async fn purge(&self, older_than: Moment) -> Result<u64, SqliteError> {
        let mut purged = 0;
        loop {
            let gone = self.run(move |connection| purge_batch(connection, older_than)).await??;
            purged += gone;
            if gone < PURGE_BATCH {
                return Ok(purged);
            }
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteStore")
    }
}

/// Puts the file into WAL mode. Where another process is about to do so, SQLite says that it is busy without ever asking
/// the busy handler, because two that both held a shared lock would wait for each other; here none is held between the tries.
fn turn_log_on(connection: &Connection) -> Result<(), rusqlite::Error> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match try_to_turn_log_on(connection) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
}

/// The switch takes effect with the statement's end, after its row. Without the log a commit could be undone by a power
/// cut right after it.
fn try_to_turn_log_on(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let journals: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if journals == ["wal"] {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    let sentence = "its write-ahead log cannot be turned on; use a file on a local disk".to_owned();
    Err(rusqlite::Error::SqliteFailure(code, Some(sentence)))
}

fn begin(
    connection: &mut Connection,
    key: IdempotencyKey,
    now: Moment,
    until: Moment,
) -> Result<Begin, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let key = key.to_string();
    let found = transaction
        .prepare_cached("SELECT until_ms, done_ms IS NOT NULL FROM agentflow_idempotency WHERE key = ?1")?
        .query_row([&key], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)))
        .optional()?;
    match found {
        Some((_, true)) => return Ok(Begin::Done),
        Some((until_ms, false)) if now.unix_millis() < until_ms => {
            return Ok(Begin::InFlight { until: Moment::from_unix_millis(until_ms) });
        }
        Some(_) | None => {}
    }
    let token: u64 = transaction
        .prepare_cached("UPDATE agentflow_idempotency_token SET last = last + 1 RETURNING last")?
        .query_row([], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO agentflow_idempotency (key, token, until_ms) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![key, token, until.unix_millis()])?;
    transaction.commit()?;
    Ok(Begin::Fresh(Claim { token: FencingToken::new(token) }))
}

fn commit(
    connection: &Connection,
    key: IdempotencyKey,
    token: FencingToken,
    now: Moment,
) -> Result<(), ClaimError<SqliteError>> {
    // A second commit of the same claim leaves the first one's time.
    let held = connection
        .prepare_cached(
            "UPDATE agentflow_idempotency SET done_ms = coalesce(done_ms, ?3) WHERE key = ?1 AND token = ?2",
        )
        .and_then(|mut statement| {
            statement.execute(params![key.to_string(), number(token), now.unix_millis()])
        })
        .map_err(SqliteError::from)?;
    if held == 1 { Ok(()) } else { Err(ClaimError::NotHeld) }
}

fn purge_batch(connection: &Connection, older_than: Moment) -> Result<u64, SqliteError> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM agentflow_idempotency WHERE key IN (
                SELECT key FROM agentflow_idempotency WHERE coalesce(done_ms, until_ms) < ?1 LIMIT ?2)",
        )?
        .execute(params![older_than.unix_millis(), PURGE_BATCH])?;
    Ok(gone as u64)
}

/// A token that no store gave out may be too large for a column: then it holds nothing.
fn number(token: FencingToken) -> i64 {
    i64::try_from(token.as_u64()).unwrap_or(-1)
}
