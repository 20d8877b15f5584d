//! The one writer: takes whatever is waiting as one transaction, syncs once, then answers everybody.
//!
//! A batch runs without savepoints, since almost none fails. Where one operation does, the whole batch is rolled back and
//! run again with a savepoint for each, so that the bad one fails alone. Operations may therefore run twice, and what
//! they do outside the database is an effect that runs after the commit.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentflow_events::WorkspaceId;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};

use super::checkpoint::{Signals, checkpoint};
use super::log::LogBuffer;
use crate::id::DeliveryId;
use crate::record::Destination;
use crate::store::StoreError;

/// Writes that may wait before further ones are refused.
const QUEUE_MAX: usize = 4_096;
/// Writes in one transaction.
const BATCH_MAX: usize = 512;
/// How long log rows wait for a batch to go with.
const LOG_FLUSH: Duration = Duration::from_millis(100);

/// Deliveries that this process holds.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<DeliveryId>>>);

impl Claims {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashSet<DeliveryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What operations see: the open transaction, and what the writer remembers between them.
pub(super) struct Tx<'a> {
    pub(super) sql: &'a Connection,
    pub(super) cache: &'a mut Cache,
    pub(super) claims: &'a Claims,
    /// Claims made and ended in this batch, newest last; applied after the commit.
    pub(super) claimed: &'a mut HashMap<DeliveryId, bool>,
}

impl Tx<'_> {
    pub(super) fn is_claimed(&self, id: &DeliveryId) -> bool {
        self.claimed.get(id).copied().unwrap_or_else(|| self.claims.lock().contains(id))
    }

    pub(super) fn claim(&mut self, id: DeliveryId) {
        self.claimed.insert(id, true);
    }

    pub(super) fn end_claim(&mut self, id: DeliveryId) {
        self.claimed.insert(id, false);
    }
}

/// Rows that nearly every write needs. All their changes go through the writer; forgotten after a roll back.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) destinations: Option<Vec<Destination>>,
    pub(super) first_wait_seconds: HashMap<WorkspaceId, u32>,
}

type Run = Box<dyn FnMut(&mut Tx<'_>) -> Result<(), rusqlite::Error> + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

struct Job {
    run: Run,
    answer: Answer,
}

enum Message {
    Job(Job),
    LogPending,
    Close(oneshot::Sender<()>),
}

/// The way to the writer's thread.
pub(super) struct Writer {
    queue: SyncSender<Message>,
    log_announced: Arc<AtomicBool>,
    failed: watch::Receiver<Option<String>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        claims: Claims,
        log: Arc<LogBuffer>,
        signals: Signals,
    ) -> std::io::Result<Self> {
        let (queue, inbox) = sync_channel(QUEUE_MAX);
        let failed = signals.fail.subscribe();
        let log_announced = Arc::new(AtomicBool::new(false));
        let thread = Thread {
            connection,
            claims,
            log,
            log_announced: Arc::clone(&log_announced),
            cache: Cache::default(),
            signals,
            rejected_since_prune: 0,
        };
        std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || thread.run(&inbox))?;
        Ok(Self { queue, log_announced, failed })
    }

    /// Runs `operation` in the next transaction and answers when it is on the disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        mut operation: impl FnMut(&mut Tx<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, replied) = oneshot::channel();
        let output = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&output);
        let job = Job {
            run: Box::new(move |tx| {
                let value = operation(tx)?;
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Ok(())
            }),
            answer: Box::new(move |result| {
                let value = output.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stopped = || StoreError::Stopped("an operation gave no answer".to_owned());
                // A caller that has gone away does not want to know.
                let _ = reply.send(result.and_then(|()| value.ok_or_else(stopped)));
            }),
        };
        match self.queue.try_send(Message::Job(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Overloaded),
            Err(TrySendError::Disconnected(_)) => return Err(self.stopped()),
        }
        replied.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Says that log rows wait.
    pub(super) fn log_pending(&self) {
        if !self.log_announced.swap(true, Ordering::AcqRel)
            && self.queue.try_send(Message::LogPending).is_err()
        {
            self.log_announced.store(false, Ordering::Release);
        }
    }

    /// Commits what waits and ends the thread.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let mut message = Message::Close(done);
        loop {
            match self.queue.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = closed.await;
    }

    /// Waits for the reason of a failure.
    pub(super) async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        loop {
            if let Some(reason) = failed.borrow_and_update().clone() {
                return reason;
            }
            if failed.changed().await.is_err() {
                // Closed in good order: it will never fail.
                std::future::pending::<()>().await;
            }
        }
    }

    fn stopped(&self) -> StoreError {
        StoreError::Stopped(self.failed.borrow().clone().unwrap_or_else(|| "it is closed".to_owned()))
    }
}

struct Thread {
    connection: Connection,
    claims: Claims,
    log: Arc<LogBuffer>,
    log_announced: Arc<AtomicBool>,
    cache: Cache,
    signals: Signals,
    rejected_since_prune: usize,
}

/// Why a batch was not committed.
enum BatchError {
    /// This operation, in a batch without savepoints.
    Operation,
    /// Nothing of it can be written now; later ones may.
    Full,
    /// The store cannot be trusted any more.
    Fatal(String),
}

impl Thread {
    fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            let log_waits = self.log_announced.load(Ordering::Acquire);
            let first = if log_waits {
                match inbox.recv_timeout(LOG_FLUSH) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                match inbox.recv() {
                    Ok(message) => Some(message),
                    Err(_) => return,
                }
            };
            let (jobs, mut closing) = gather(first, inbox);
            if self.commit(jobs) {
                if let Some(done) = closing.take() {
                    if let Err(reason) = checkpoint(&self.connection, "TRUNCATE") {
                        tracing::error!(reason, "the write-ahead log stays for the next start");
                    }
                    drop(self.connection);
                    let _ = done.send(());
                    return;
                }
                continue;
            }
            return self.refuse_forever(inbox, closing);
        }
    }

    /// Commits a batch and answers its waiters. False: the store has failed.
    fn commit(&mut self, mut jobs: Vec<Job>) -> bool {
        self.log_announced.store(false, Ordering::Release);
        let log_rows = self.log.take();
        let rejected = log_rows.iter().filter(|row| row.status.reason().is_some()).count();
        self.rejected_since_prune += rejected;
        let prune = self.rejected_since_prune >= super::log::PRUNE_EVERY;
        if self.signals.restart.swap(false, Ordering::AcqRel)
            && let Err(reason) = checkpoint(&self.connection, "RESTART")
        {
            let _ = self.signals.fail.send(Some(reason));
        }
        if let Some(reason) = self.signals.fail.borrow().clone() {
            jobs.into_iter().for_each(|job| (job.answer)(Err(StoreError::Stopped(reason.clone()))));
            return false;
        }
        if jobs.is_empty() && log_rows.is_empty() {
            return true;
        }
        let mut claimed = HashMap::new();
        let mut results = Vec::new();
        let mut outcome = self.attempt(&mut jobs, &log_rows, prune, &mut claimed, &mut results, false);
        if matches!(outcome, Err(BatchError::Operation)) {
            outcome = self.attempt(&mut jobs, &log_rows, prune, &mut claimed, &mut results, true);
        }
        match outcome {
            Ok(()) => {
                if prune {
                    self.rejected_since_prune = 0;
                }
                {
                    let mut claims = self.claims.lock();
                    for (id, held) in claimed {
                        if held {
                            claims.insert(id)
                        } else {
                            claims.remove(&id)
                        };
                    }
                }
                for (job, result) in jobs.into_iter().zip(results) {
                    (job.answer)(result);
                }
                true
            }
            Err(BatchError::Full | BatchError::Operation) => {
                jobs.into_iter().for_each(|job| (job.answer)(Err(StoreError::DiskFull)));
                true
            }
            Err(BatchError::Fatal(reason)) => {
                let _ = self.signals.fail.send(Some(reason.clone()));
                jobs.into_iter().for_each(|job| (job.answer)(Err(StoreError::Stopped(reason.clone()))));
                false
            }
        }
    }

    /// One transaction over the batch; rolled back unless it is committed.
    fn attempt(
        &mut self,
        jobs: &mut [Job],
        log_rows: &[crate::record::InboundLogRow],
        prune: bool,
        claimed: &mut HashMap<DeliveryId, bool>,
        results: &mut Vec<Result<(), StoreError>>,
        savepoints: bool,
    ) -> Result<(), BatchError> {
        claimed.clear();
        results.clear();
        let done = self.transaction(jobs, log_rows, prune, claimed, results, savepoints);
        if let Err(error) = done {
            self.cache = Cache::default();
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                return Err(BatchError::Fatal(format!("a roll back failed: {error}")));
            }
            return Err(error);
        }
        Ok(())
    }

    fn transaction(
        &mut self,
        jobs: &mut [Job],
        log_rows: &[crate::record::InboundLogRow],
        prune: bool,
        claimed: &mut HashMap<DeliveryId, bool>,
        results: &mut Vec<Result<(), StoreError>>,
        savepoints: bool,
    ) -> Result<(), BatchError> {
        let sql = &self.connection;
        let run = |statement: &str| -> Result<(), BatchError> {
            let mut prepared = sql.prepare_cached(statement).map_err(|error| grave(&error))?;
            prepared.execute([]).map(|_| ()).map_err(|error| grave(&error))
        };
        run("BEGIN IMMEDIATE")?;
        for job in jobs.iter_mut() {
            if savepoints {
                run("SAVEPOINT operation")?;
            }
            let before = savepoints.then(|| claimed.clone());
            let mut tx = Tx { sql, cache: &mut self.cache, claims: &self.claims, claimed };
            match (job.run)(&mut tx) {
                Ok(()) => results.push(Ok(())),
                Err(error) if is_grave(&error) => return Err(grave(&error)),
                Err(_) if !savepoints => return Err(BatchError::Operation),
                Err(error) => {
                    run("ROLLBACK TO operation")?;
                    self.cache = Cache::default();
                    if let Some(before) = before {
                        *claimed = before;
                    }
                    results.push(Err(StoreError::Backend(error.to_string())));
                }
            }
            if savepoints {
                run("RELEASE operation")?;
            }
        }
        for row in log_rows {
            super::log::insert(sql, row).map_err(|error| grave(&error))?;
        }
        if prune {
            super::log::prune_rejected(sql).map_err(|error| grave(&error))?;
        }
        run("COMMIT")
    }

    /// Answers everybody that the store has stopped, until nobody is left to ask.
    fn refuse_forever(self, inbox: &Receiver<Message>, closing: Option<oneshot::Sender<()>>) {
        let reason = self.signals.fail.borrow().clone().unwrap_or_default();
        drop(self.connection);
        if let Some(done) = closing {
            let _ = done.send(());
        }
        while let Ok(message) = inbox.recv() {
            match message {
                Message::Job(job) => (job.answer)(Err(StoreError::Stopped(reason.clone()))),
                Message::LogPending => {}
                Message::Close(done) => {
                    let _ = done.send(());
                }
            }
        }
    }
}

fn gather(first: Option<Message>, inbox: &Receiver<Message>) -> (Vec<Job>, Option<oneshot::Sender<()>>) {
    let mut jobs = Vec::new();
    let mut next = first;
    while let Some(message) = next {
        match message {
            Message::Job(job) => jobs.push(job),
            Message::LogPending => {}
            Message::Close(done) => return (jobs, Some(done)),
        }
        if jobs.len() == BATCH_MAX {
            break;
        }
        next = inbox.try_recv().ok();
    }
    (jobs, None)
}

/// Whether the error says something of the disk, not of the operation.
fn is_grave(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
        )
    )
}

fn grave(error: &rusqlite::Error) -> BatchError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory | ErrorCode::DatabaseBusy) => BatchError::Full,
        _ => BatchError::Fatal(format!("the database could not be written: {error}")),
    }
}
