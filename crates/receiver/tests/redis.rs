//! The store in Redis against the suite, threads and processes, on a server of its own.

#![cfg_attr(feature = "redis", expect(clippy::unwrap_used, reason = "a test fails by panicking"))]
#![cfg(feature = "redis")]

#[path = "support/racers.rs"]
mod racers;
#[path = "support/servers.rs"]
mod servers;

use std::time::Duration;

use agentflow_events::idempotency::{Begin, IdempotencyKey, IdempotencyStore};
use agentflow_events::{Moment, suite};
use agentflow_receiver::stores::redis::RedisStore;
use redis::AsyncCommands;
use redis::aio::ConnectionManager;

use crate::servers::Redis;

const LEASE: Duration = Duration::from_secs(60);
const NOW: Moment = Moment::from_unix_millis(1_731_573_972_345);

fn key() -> IdempotencyKey {
    "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f:lead.qualified".parse().unwrap()
}

async fn connection(url: &str) -> ConnectionManager {
    redis::Client::open(url).unwrap().get_connection_manager().await.unwrap()
}

#[test]
fn keeps_the_protocol() {
    let server = Redis::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connection = runtime.block_on(connection(&server.url()));
    runtime.block_on(async {
        let number = std::cell::Cell::new(0);
        let report = suite::run(async || {
            number.set(number.get() + 1);
            RedisStore::new(connection.clone()).prefix(&format!("{{suite {}}}:", number.get()))
        })
        .await;
        report.assert_sound();
        leaves_nothing_behind(connection.clone()).await;
        purges_in_batches(connection.clone()).await;
    });
    let store = RedisStore::new(connection.clone()).prefix("{threads}:");
    suite::race_on_threads(&store, 4, |race| runtime.handle().block_on(race)).assert_sound();
    racers::check_processes("races_in_a_child", &server.url());
    runtime.block_on(says_when_the_server_is_gone(store, server));
}

#[tokio::test]
async fn races_in_a_child() {
    if let Some(url) = racers::store_of_child() {
        racers::race(&RedisStore::new(connection(&url).await)).await;
    }
}

async fn leaves_nothing_behind(mut connection: ConnectionManager) {
    let store = RedisStore::new(connection.clone()).prefix("{tidy}:");
    let Begin::Fresh(claim) = store.begin(key(), NOW, LEASE).await.unwrap() else { panic!("not fresh") };
    store.abort(key(), claim.token).await.unwrap();
    let Begin::Fresh(claim) = store.begin(key(), NOW, LEASE).await.unwrap() else { panic!("not fresh") };
    store.commit(key(), claim.token, NOW).await.unwrap();
    assert_eq!(store.purge(NOW.plus(LEASE)).await.unwrap(), 1);
    let left: Vec<String> = connection.keys("{tidy}:*").await.unwrap();
    assert_eq!(left, ["{tidy}:token"], "the counter alone lasts: tokens must rise");
}

async fn purges_in_batches(mut connection: ConnectionManager) {
    let store = RedisStore::new(connection.clone()).prefix("{purging}:");
    for number in 0..1501 {
        let name = format!("old{number}");
        let () = connection.hset(format!("{{purging}}:{name}"), "token", 1).await.unwrap();
        let () = connection.zadd("{purging}:ended", name, 1000).await.unwrap();
    }
    assert_eq!(store.purge(NOW).await.unwrap(), 1501);
    let left: Vec<String> = connection.keys("{purging}:*").await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

async fn says_when_the_server_is_gone(store: RedisStore, server: Redis) {
    drop(server);
    assert!(store.begin(key(), NOW, LEASE).await.is_err());
}
