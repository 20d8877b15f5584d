//! A store in Redis or Valkey: for any number of replicas that have one already.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agentflow_events::Moment;
use agentflow_events::idempotency::{
    Begin, Claim, ClaimError, FencingToken, IdempotencyKey, IdempotencyStore,
};
use redis::aio::ConnectionManager;
use redis::{RedisError, Script};

use super::PURGE_BATCH;

/// The braces put all keys into one slot of a cluster: a script may touch no other.
const PREFIX: &str = "{agentflow-idempotency}:";

// Numbers stay texts: Lua's have 53 bits, and it writes large ones with an exponent.
// A record is a hash of `token`, `until` and `done`. `ended` is a sorted set of keys by when they end, for the purge.
const BEGIN: &str = "
    local until_and_done = redis.call('HMGET', KEYS[1], 'until', 'done')
    if until_and_done[2] then return {'done', '0'} end
    if until_and_done[1] and tonumber(until_and_done[1]) > tonumber(ARGV[1]) then
        return {'in flight', until_and_done[1]}
    end
    redis.call('INCR', KEYS[2])
    local token = redis.call('GET', KEYS[2])
    redis.call('HSET', KEYS[1], 'token', token, 'until', ARGV[2])
    redis.call('ZADD', KEYS[3], ARGV[2], ARGV[3])
    return {'fresh', token}";

const COMMIT: &str = "
    local token_and_done = redis.call('HMGET', KEYS[1], 'token', 'done')
    if token_and_done[1] ~= ARGV[1] then return 0 end
    if not token_and_done[2] then
        redis.call('HSET', KEYS[1], 'done', ARGV[2])
        redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
    end
    return 1";

const ABORT: &str = "
    local token_and_done = redis.call('HMGET', KEYS[1], 'token', 'done')
    if token_and_done[1] ~= ARGV[1] or token_and_done[2] then return 0 end
    redis.call('DEL', KEYS[1])
    redis.call('ZREM', KEYS[2], ARGV[2])
    return 1";

const PURGE: &str = "
    local keys = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[3])
    for _, key in ipairs(keys) do
        redis.call('DEL', ARGV[2] .. key)
        redis.call('ZREM', KEYS[1], key)
    end
    return #keys";

/// An [`IdempotencyStore`] in Redis 6 or later, or Valkey, for any number of processes on any number of machines.
///
/// Each operation is one script, so one round trip, and atomic. Redis keeps what it was told to keep: with
/// `appendfsync always` and `maxmemory-policy noeviction` a commit that was answered lasts; with less, a crash or an
/// eviction forgets work that was done, and a late attempt does it again. So does a failover to a replica that lags.
/// About 250 bytes a key.
///
/// # Example: with a connection that mends itself
///
/// ```no_run
/// use agentflow_receiver::Handler;
/// use agentflow_receiver::stores::redis::RedisStore;
///
/// # async fn start() -> Result<(), redis::RedisError> {
/// let client = redis::Client::open("redis://localhost/")?;
/// let handler = Handler::new(RedisStore::new(client.get_connection_manager().await?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    begin: Script,
    commit: Script,
    abort: Script,
    purge: Script,
}

impl RedisStore {
    /// A store on this connection, under keys that begin with `{agentflow-idempotency}:`. The manager's own time-outs
    /// and reconnects apply.
    pub fn new(connection: ConnectionManager) -> Self {
        let scripts = Scripts {
            begin: Script::new(BEGIN),
            commit: Script::new(COMMIT),
            abort: Script::new(ABORT),
            purge: Script::new(PURGE),
        };
        Self { connection, prefix: PREFIX.into(), scripts: Arc::new(scripts) }
    }

    /// Sets what the keys begin with. In a cluster it needs a part in braces, for all keys to live in one slot.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn name(&self, suffix: impl fmt::Display) -> String {
        format!("{}{suffix}", self.prefix)
    }
}

impl IdempotencyStore for RedisStore {
    type Error = RedisError;

    async fn begin(&self, key: IdempotencyKey, now: Moment, lease: Duration) -> Result<Begin, RedisError> {
        let (said, number): (String, i64) = self
            .scripts
            .begin
            .key(self.name(key))
            .key(self.name("token"))
            .key(self.name("ended"))
            .arg(now.unix_millis())
            .arg(now.plus(lease).unix_millis())
            .arg(key.to_string())
            .invoke_async(&mut self.connection.clone())
            .await?;
        Ok(match said.as_str() {
            "fresh" => Begin::Fresh(Claim { token: FencingToken::new(number.unsigned_abs()) }),
            "in flight" => Begin::InFlight { until: Moment::from_unix_millis(number) },
            _ => Begin::Done,
        })
    }

    async fn commit(
        &self,
        key: IdempotencyKey,
        token: FencingToken,
        now: Moment,
    ) -> Result<(), ClaimError<RedisError>> {
        let held = self
            .scripts
            .commit
            .key(self.name(key))
            .key(self.name("ended"))
            .arg(token.as_u64())
            .arg(now.unix_millis())
            .arg(key.to_string())
            .invoke_async(&mut self.connection.clone())
            .await?;
        if held { Ok(()) } else { Err(ClaimError::NotHeld) }
    }

    async fn abort(&self, key: IdempotencyKey, token: FencingToken) -> Result<(), ClaimError<RedisError>> {
        let held = self
            .scripts
            .abort
            .key(self.name(key))
            .key(self.name("ended"))
            .arg(token.as_u64())
            .arg(key.to_string())
            .invoke_async(&mut self.connection.clone())
            .await?;
        if held { Ok(()) } else { Err(ClaimError::NotHeld) }
    }

    async fn purge(&self, older_than: Moment) -> Result<u64, RedisError> {
        let mut purged = 0;
        loop {
            let gone: u64 = self
                .scripts
                .purge
                .key(self.name("ended"))
                .arg(older_than.unix_millis())
                .arg(&*self.prefix)
                .arg(PURGE_BATCH)
                .invoke_async(&mut self.connection.clone())
                .await?;
            purged += gone;
            if gone < PURGE_BATCH {
                return Ok(purged);
            }
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
