//! A store that does nothing else: what SQLite and the disk take for the fewest rows that a lead could be.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::{Fault, ProcessUse, leads};

/// Rows in one commit.
const BATCH_MAX: usize = 512;

/// What it came to.
#[derive(Clone, Copy, Debug)]
pub struct BareRows {
    /// Leads a second.
    pub per_second: f64,
    /// CPU a lead, in microseconds, of the producers too.
    pub cpu_micros: f64,
}

/// Writes so many leads with `waiting` producers at a time: a row of the lead with two further indexes, one of a log and one of
/// a delivery, committed by one writer together with whatever else waits, and synced before the producer is told.
///
/// # Errors
/// The file cannot be written.
pub async fn bare_rows(path: &Path, number: u64, waiting: u64) -> Result<BareRows, Fault> {
    let database = Connection::open(path)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE leads (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, email TEXT NOT NULL, at INTEGER, body BLOB);
         CREATE INDEX leads_by_email ON leads (email);
         CREATE TABLE log (seq INTEGER PRIMARY KEY, lead BLOB, at INTEGER, status INTEGER);
         CREATE TABLE deliveries (seq INTEGER PRIMARY KEY, lead BLOB, state INTEGER, due INTEGER);",
    )?;
    let (queue, inbox) = sync_channel(BATCH_MAX);
    let writer = std::thread::spawn(move || write(&database, &inbox).map_err(|error| error.to_string()));
    let (before, begun) = (ProcessUse::of(std::process::id())?, Instant::now());
    let producers: Vec<_> = (0..waiting)
        .map(|producer| {
            let queue = queue.clone();
            tokio::spawn(async move {
                for lead in (producer..number).step_by(waiting as usize) {
                    let (done, committed) = oneshot::channel();
                    if queue.try_send((lead, done)).is_err() || committed.await.is_err() {
                        return Err("the writer has ended");
                    }
                }
                Ok(())
            })
        })
        .collect();
    for producer in producers {
        producer.await??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let used = ProcessUse::of(std::process::id())?.cpu_micros - before.cpu_micros;
    drop(queue);
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(BareRows { per_second: number as f64 / seconds, cpu_micros: used as f64 / number as f64 })
}

type Waiting = (u64, oneshot::Sender<()>);

fn write(database: &Connection, inbox: &Receiver<Waiting>) -> rusqlite::Result<()> {
    while let Ok(first) = inbox.recv() {
        let batch: Vec<Waiting> = std::iter::once(first).chain(inbox.try_iter()).take(BATCH_MAX).collect();
        let transaction = database.unchecked_transaction()?;
        for (lead, _) in &batch {
            let (id, at) = ((u128::from(*lead) << 64).to_be_bytes(), *lead);
            let body = leads::body(0, *lead);
            transaction
                .prepare_cached("INSERT INTO leads (id, email, at, body) VALUES (?, ?, ?, ?)")?
                .execute(params![id, format!("jordan.ellis.0.{lead}@stacklane.co"), at, &*body])?;
            transaction
                .prepare_cached("INSERT INTO log (lead, at, status) VALUES (?, ?, 0)")?
                .execute(params![id, at])?;
            transaction
                .prepare_cached("INSERT INTO deliveries (lead, state, due) VALUES (?, 0, ?)")?
                .execute(params![id, at])?;
        }
        transaction.commit()?;
        for (_, done) in batch {
            // A producer that has gone away ends the run by itself.
            let _ = done.send(());
        }
    }
    Ok(())
}
