//! A store in PostgreSQL: for any number of replicas, and for work that is done in the same database.

use std::fmt;
use std::time::Duration;

use agentflow_events::Moment;
use agentflow_events::idempotency::{
    Begin, Claim, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore,
};
use deadpool_postgres::{Object, Pool, PoolError};
use tokio_postgres::error::SqlState;

use super::PURGE_BATCH;

/// Two processes that start at once would make the tables at once, and `IF NOT EXISTS` does not bear that.
///
/// One query, so one transaction without a `BEGIN`, which a failure would leave open on the pool's connection.
const SCHEMA: &str = "
    SELECT pg_advisory_xact_lock(hashtextextended('agentflow_idempotency', 0));
    CREATE TABLE IF NOT EXISTS agentflow_idempotency (
        key text PRIMARY KEY,
        token bigint NOT NULL,
        until_ms bigint NOT NULL,
        done_ms bigint
    );
    CREATE INDEX IF NOT EXISTS agentflow_idempotency_ended
        ON agentflow_idempotency (coalesce(done_ms, until_ms));
    CREATE SEQUENCE IF NOT EXISTS agentflow_idempotency_token CACHE 1;
";

/// A role that may use the table need not be one that may make it.
const IS_THERE: &str = "
    SELECT to_regclass('agentflow_idempotency') IS NOT NULL
        AND to_regclass('agentflow_idempotency_token') IS NOT NULL";

/// Claims a key that is free, and says nothing where it is not. The lock comes before the token is drawn, so that of two
/// who claim the same key the later one also has the higher token.
const CLAIM: &str = "
    WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended($1, 7)))
    INSERT INTO agentflow_idempotency AS record (key, token, until_ms)
        SELECT $1, nextval('agentflow_idempotency_token'), $3 FROM turn
        ON CONFLICT (key) DO UPDATE SET token = excluded.token, until_ms = excluded.until_ms
            WHERE record.done_ms IS NULL AND record.until_ms <= $2
        RETURNING token";

const LOOK: &str = "SELECT until_ms, done_ms IS NOT NULL FROM agentflow_idempotency WHERE key = $1";

/// A second commit of the same claim leaves the first one's time.
const COMMIT: &str =
    "UPDATE agentflow_idempotency SET done_ms = coalesce(done_ms, $3) WHERE key = $1 AND token = $2";

const ABORT: &str = "DELETE FROM agentflow_idempotency WHERE key = $1 AND token = $2 AND done_ms IS NULL";

/// Records in use are passed over rather than waited for; they are not due anyway.
const PURGE: &str = "
    DELETE FROM agentflow_idempotency WHERE key IN (
        SELECT key FROM agentflow_idempotency WHERE coalesce(done_ms, until_ms) < $1
            LIMIT $2 FOR UPDATE SKIP LOCKED)";

const RETRIED: [SqlState; 2] = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];

/// How often a key may change hands between the claim and the look at who has it.
const ROUNDS_MAX: usize = 16;

/// An [`IdempotencyStore`] in PostgreSQL 12 or later, for any number of processes on any number of machines.
///
/// It takes connections from your pool, one for the time of an operation: a look and a statement to claim a key, a
/// statement to commit. It waits as long as pool and server let it, so give both their limits: deadpool's `wait_timeout`,
/// PostgreSQL's `statement_timeout` and `lock_timeout`. Between `commit_in` and the end of its transaction, ask the pool for no
/// second connection.
/// It works behind a transaction-pooling proxy, given that the proxy bears prepared statements. How durable it is, is up
/// to the server's `synchronous_commit` (on unless changed).
///
/// # Example: with a pool
///
/// ```no_run
/// use agentflow_receiver::Handler;
/// use agentflow_receiver::stores::postgres::PostgresStore;
/// use deadpool_postgres::{Manager, Pool};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let config = "host=localhost user=app dbname=app".parse()?;
/// let pool = Pool::builder(Manager::new(config, tokio_postgres::NoTls)).max_size(8).build()?;
/// let handler = Handler::new(PostgresStore::new(pool).await?);
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
/// use agentflow_receiver::stores::postgres::{PostgresError, PostgresStore};
///
/// // From `Handler::handle_fenced`.
/// async fn create_customer(
///     database: &mut tokio_postgres::Client,
///     received: &Received,
///     token: FencingToken,
///     now: Moment,
/// ) -> Result<(), ClaimError<PostgresError>> {
///     let transaction = database.transaction().await.map_err(PostgresError::from)?;
///     let email = &received.event().data.lead.email;
///     transaction.execute("INSERT INTO customers (email) VALUES ($1)", &[email]).await.map_err(PostgresError::from)?;
///     PostgresStore::commit_in(&transaction, received.key(), token, now).await?;
///     Ok(transaction.commit().await.map_err(PostgresError::from)?)
/// }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
}

/// What went wrong in a [`PostgresStore`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No connection could be had from the pool.
    #[error("idempotency store: {0}")]
    Pool(#[from] PoolError),
    /// PostgreSQL refused, or the connection broke; whether a change was made is not known.
    #[error("idempotency store: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// The key changed hands faster than one could look.
    #[error("idempotency store: the key is contended, try again")]
    Contended,
}

impl PostgresError {
    /// The stable code: `store_unavailable`.
    pub const fn code(&self) -> &'static str {
        "store_unavailable"
    }
}

impl PostgresStore {
    /// A store in the pool's database. Makes its table, index and sequence (`agentflow_idempotency…`) where they are
    /// missing, in the first schema of the search path.
    ///
    /// # Errors
    ///
    /// No connection, or no right to make the table.
    pub async fn new(pool: Pool) -> Result<Self, PostgresError> {
        let connection = pool.get().await?;
        if !connection.query_one(IS_THERE, &[]).await?.get::<_, bool>(0) {
            connection.batch_execute(SCHEMA).await?;
        }
        drop(connection);
        Ok(Self { pool })
    }

    /// Records, within a transaction of yours on the same database, that the claim's work is done. It takes effect with
    /// the transaction, or not at all.
    ///
    /// # Errors
    ///
    /// [`ClaimError::NotHeld`] where the claim was taken over or aborted: roll back, for the work is another's now.
    pub async fn commit_in(
        transaction: &tokio_postgres::Transaction<'_>,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<PostgresError>> {
        let (key, number, now) = (key.to_string(), number(token), now.unix_millis());
        held(transaction.execute(COMMIT, &[&key, &number, &now]).await)
    }

    async fn connection(&self) -> Result<Object, PostgresError> {
        Ok(self.pool.get().await?)
    }
}

impl IdempotencyStore for PostgresStore {
    type Error = PostgresError;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> Result<Begin, PostgresError> {
        let connection = self.connection().await?;
        let (key, now, until) = (key.to_string(), now.unix_millis(), now.plus(lease).unix_millis());
        let claim = connection.prepare_cached(CLAIM).await?;
        let look = connection.prepare_cached(LOOK).await?;
        for _ in 0..ROUNDS_MAX {
            // A look first: a claim would wait for whoever holds the row, in `commit_in` as long as the work takes.
            match connection.query_opt(&look, &[&key]).await?.map(|row| (row.get(0), row.get(1))) {
                Some((_, true)) => return Ok(Begin::Done),
                Some((until, false)) if until > now => {
                    return Ok(Begin::InFlight { until: Moment::from_unix_millis(until) });
                }
                Some(_) | None => {}
            }
            match connection.query_opt(&claim, &[&key, &now, &until]).await {
                Ok(Some(row)) => {
                    let token = FencingToken::new(row.get::<_, i64>(0).unsigned_abs());
                    return Ok(Begin::Fresh(Claim { token }));
                }
                // Somebody else was quicker.
                Ok(None) => {}
                // The same, as connections that are serializable by default say it.
                Err(error) if error.code().is_some_and(|code| RETRIED.contains(code)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PostgresError::Contended)
    }

    async fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<PostgresError>> {
        let connection = self.connection().await?;
        let statement = connection.prepare_cached(COMMIT).await.map_err(PostgresError::from)?;
        let (key, number, now) = (key.to_string(), number(token), now.unix_millis());
        held(connection.execute(&statement, &[&key, &number, &now]).await)
    }

    async fn abort(&self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<PostgresError>> {
        let connection = self.connection().await?;
        let statement = connection.prepare_cached(ABORT).await.map_err(PostgresError::from)?;
        held(connection.execute(&statement, &[&key.to_string(), &number(token)]).await)
    }

    async fn purge(&self, older_than: Moment) -> Result<u64, PostgresError> {
        let connection = self.connection().await?;
        let statement = connection.prepare_cached(PURGE).await?;
        let mut purged = 0;
        loop {
            let (limit, batch) = (older_than.unix_millis(), PURGE_BATCH as i64);
            let gone = connection.execute(&statement, &[&limit, &batch]).await?;
            purged += gone;
            if gone < PURGE_BATCH {
                return Ok(purged);
            }
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresStore")
    }
}

/// One row changed: the claim was held.
fn held(changed: Result<u64, tokio_postgres::Error>) -> Result<(), ClaimError<PostgresError>> {
    match changed.map_err(PostgresError::from)? {
        0 => Err(ClaimError::NotHeld),
        _ => Ok(()),
    }
}

/// A token that no store gave out may be too large for a column: then it holds nothing.
fn number(token: FencingToken) -> i64 {
    i64::try_from(token.as_u64()).unwrap_or(-1)
}
