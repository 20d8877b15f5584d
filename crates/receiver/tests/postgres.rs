//! The store in PostgreSQL against the suite, threads and processes, on a server of its own.

#![cfg_attr(feature = "postgres", expect(clippy::unwrap_used, reason = "a test fails by panicking"))]
#![cfg(feature = "postgres")]

#[path = "support/racers.rs"]
mod racers;
#[path = "support/servers.rs"]
mod servers;

use std::time::Duration;

use agentflow_events::idempotency::{Begin, ClaimError, IdempotencyKey, IdempotencyStore};
use agentflow_events::{Moment, suite};
use agentflow_receiver::stores::postgres::PostgresStore;
use deadpool_postgres::{Manager, Pool};
use tokio_postgres::{Config, NoTls};

use crate::servers::Postgres;

const LEASE: Duration = Duration::from_secs(60);
const NOW: Moment = Moment::from_unix_millis(1_731_573_972_345);

fn key() -> IdempotencyKey {
    "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f:lead.qualified".parse().unwrap()
}

fn pool(config: &str) -> Pool {
    let config: Config = config.parse().unwrap();
    Pool::builder(Manager::new(config, NoTls)).max_size(8).build().unwrap()
}

/// A pool whose connections see an empty schema of this name.
async fn schema(server: &Postgres, name: &str) -> Pool {
    let all = pool(&server.config());
    all.get().await.unwrap().batch_execute(&format!("CREATE SCHEMA {name}")).await.unwrap();
    pool(&format!("{} options='-c search_path={name}'", server.config()))
}

#[test]
fn keeps_the_protocol_and_commits_with_the_work() {
    let server = Postgres::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let number = std::cell::Cell::new(0);
        let report = suite::run(async || {
            number.set(number.get() + 1);
            PostgresStore::new(schema(&server, &format!("suite_{}", number.get())).await).await.unwrap()
        })
        .await;
        report.assert_sound();
        makes_its_tables_at_the_same_time(&server).await;
        commits_with_the_work_or_not_at_all(&server).await;
        purges_without_waiting_for_those_in_use(&server).await;
        leaves_a_pool_as_it_was_when_it_cannot_begin(&server).await;
        answers_while_work_holds_its_record(&server).await;
    });
    let store =
        runtime.block_on(async { PostgresStore::new(schema(&server, "threads").await).await }).unwrap();
    suite::race_on_threads(&store, 4, |race| runtime.handle().block_on(race)).assert_sound();
    racers::check_processes("races_in_a_child", &server.config());
    runtime.block_on(says_when_the_server_is_gone(store, server));
}

#[tokio::test]
async fn races_in_a_child() {
    if let Some(config) = racers::store_of_child() {
        racers::race(&PostgresStore::new(pool(&config)).await.unwrap()).await;
    }
}

async fn makes_its_tables_at_the_same_time(server: &Postgres) {
    let pool = schema(server, "beginners").await;
    let all = (0..8).map(|_| tokio::spawn(PostgresStore::new(pool.clone()))).collect::<Vec<_>>();
    for one in all {
        one.await.unwrap().unwrap();
    }
}

async fn commits_with_the_work_or_not_at_all(server: &Postgres) {
    let pool = schema(server, "work").await;
    let store = PostgresStore::new(pool.clone()).await.unwrap();
    let Begin::Fresh(old) = store.begin(key(), NOW, LEASE).await.unwrap() else { panic!("not fresh") };

    let mut mine = pool.get().await.unwrap();
    mine.batch_execute("CREATE TABLE customers (email text)").await.unwrap();
    let transaction = tokio_postgres::Client::transaction(&mut mine).await.unwrap();
    transaction.execute("INSERT INTO customers VALUES ('one')", &[]).await.unwrap();
    PostgresStore::commit_in(&transaction, key(), old.token, NOW).await.unwrap();
    transaction.rollback().await.unwrap();
    let later = NOW.plus(LEASE);
    let Begin::Fresh(new) = store.begin(key(), later, LEASE).await.unwrap() else { panic!("not fresh") };

    let transaction = tokio_postgres::Client::transaction(&mut mine).await.unwrap();
    let refused = PostgresStore::commit_in(&transaction, key(), old.token, later).await;
    assert!(matches!(refused, Err(ClaimError::NotHeld)));
    transaction.execute("INSERT INTO customers VALUES ('two')", &[]).await.unwrap();
    PostgresStore::commit_in(&transaction, key(), new.token, later).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.begin(key(), later, LEASE).await.unwrap(), Begin::Done);
    let customers: String =
        mine.query_one("SELECT string_agg(email, ',') FROM customers", &[]).await.unwrap().get(0);
    assert_eq!(customers, "two");
}

async fn purges_without_waiting_for_those_in_use(server: &Postgres) {
    let pool = schema(server, "purging").await;
    let store = PostgresStore::new(pool.clone()).await.unwrap();
    let mut mine = pool.get().await.unwrap();
    mine.batch_execute(
        "INSERT INTO agentflow_idempotency SELECT 'old' || i, i, 1000, 1000 FROM generate_series(1, 1501) i",
    )
    .await
    .unwrap();
    // Somebody holds a row; a purge that waited for it would never end.
    let transaction = tokio_postgres::Client::transaction(&mut mine).await.unwrap();
    transaction
        .execute("SELECT 1 FROM agentflow_idempotency WHERE key = 'old7' FOR UPDATE", &[])
        .await
        .unwrap();
    assert_eq!(store.purge(NOW).await.unwrap(), 1500);
    transaction.rollback().await.unwrap();
    assert_eq!(store.purge(NOW).await.unwrap(), 1);
}

async fn leaves_a_pool_as_it_was_when_it_cannot_begin(server: &Postgres) {
    let admin = pool(&server.config()).get().await.unwrap();
    let limited = server.config().replace("user=postgres", "user=limited");
    admin
        .batch_execute(
            "CREATE ROLE limited LOGIN; CREATE SCHEMA narrow; GRANT USAGE ON SCHEMA narrow TO limited",
        )
        .await
        .unwrap();
    let manager = Manager::new(format!("{limited} options='-c search_path=narrow'").parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(1).build().unwrap();
    assert!(PostgresStore::new(pool.clone()).await.is_err(), "it may not make tables");
    pool.get().await.unwrap().query_one("SELECT 1", &[]).await.expect("the connection is fit for use");
    // An administrator makes them; from then on the right to use them is enough.
    PostgresStore::new(self::pool(&format!("{} options='-c search_path=narrow'", server.config())))
        .await
        .unwrap();
    admin
        .batch_execute("GRANT ALL ON ALL TABLES IN SCHEMA narrow TO limited; GRANT ALL ON ALL SEQUENCES IN SCHEMA narrow TO limited")
        .await
        .unwrap();
    let store = PostgresStore::new(pool).await.unwrap();
    assert!(matches!(store.begin(key(), NOW, LEASE).await.unwrap(), Begin::Fresh(_)));
}

async fn answers_while_work_holds_its_record(server: &Postgres) {
    let pool = schema(server, "holding").await;
    let store = PostgresStore::new(pool.clone()).await.unwrap();
    let Begin::Fresh(claim) = store.begin(key(), NOW, LEASE).await.unwrap() else { panic!("not fresh") };
    let mut mine = pool.get().await.unwrap();
    let transaction = tokio_postgres::Client::transaction(&mut mine).await.unwrap();
    PostgresStore::commit_in(&transaction, key(), claim.token, NOW).await.unwrap();
    // A redelivery meanwhile: a statement that locked the row would wait for ever.
    let until = NOW.plus(LEASE);
    assert_eq!(store.begin(key(), NOW, LEASE).await.unwrap(), Begin::InFlight { until });
    transaction.commit().await.unwrap();
    assert_eq!(store.begin(key(), NOW, LEASE).await.unwrap(), Begin::Done);
}

async fn says_when_the_server_is_gone(store: PostgresStore, server: Postgres) {
    drop(server);
    let error = store.begin(key(), NOW, LEASE).await.unwrap_err();
    assert_eq!(error.code(), "store_unavailable");
}
