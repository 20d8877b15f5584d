//! The writer's thread: batches, commits, answers. See [`super::writer`] for what a batch promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::checkpoint::{Signals, checkpoint};
use super::job::{Cache, Claims, Effects, Job, Message, Tx};
use super::log::LogBuffer;
use super::schema::{BUSY_WAIT, is_full, leave_log};
use crate::store::StoreError;

/// Writes in one transaction.
const BATCH_MAX: usize = 512;
/// How long log rows wait for a batch to go with.
const LOG_FLUSH: Duration = Duration::from_millis(100);
/// How long the writer waits for readers when the log begins anew. Those of the server are done sooner.
const READERS_WAIT: Duration = Duration::from_millis(20);

/// Says so where the writer dies, since nobody would be told otherwise.
pub(super) struct Alarm(pub(super) Signals);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.fail.send(Some("the store's writer died of a fault in the server".to_owned()));
        }
    }
}

pub(super) struct Thread {
    connection: Connection,
    claims: Claims,
    log: Arc<LogBuffer>,
    log_announced: Arc<AtomicBool>,
    cache: Cache,
    signals: Signals,
    rejected_since_prune: usize,
    full: FullDisk,
}

/// Tells of a full disk, seldom: every refused write would repeat it.
#[derive(Default)]
struct FullDisk {
    is_full: bool,
    told: Option<Instant>,
    refused: usize,
}

impl FullDisk {
    const TELL_EVERY: Duration = Duration::from_secs(60);

    /// Answers whether it was told.
    fn refuse(&mut self, writes: usize) -> bool {
        self.is_full = true;
        self.refused += writes;
        let tells = self.told.is_none_or(|told| told.elapsed() >= Self::TELL_EVERY);
        if tells {
            let refused = std::mem::take(&mut self.refused);
            tracing::error!(
                refused,
                "the disk of the data folder is full: leads are answered 503 until there is room"
            );
            self.told = Some(Instant::now());
        }
        tells
    }

    fn commit(&mut self) {
        // Only what was told is taken back: on the brink, small writes succeed between large ones that fail.
        if std::mem::take(&mut self.is_full) && std::mem::take(&mut self.refused) == 0 {
            tracing::info!("the disk of the data folder has room again");
        }
    }
}

/// Why a batch was not committed.
enum BatchError {
    /// This operation, in a batch without savepoints.
    Operation,
    /// Nothing of it can be written now; later ones may.
    Full,
    /// Another process holds the file for a moment, or memory is short.
    Busy,
    /// The store cannot be trusted any more.
    Fatal(String),
}

impl Thread {
    pub(super) fn new(
        connection: Connection,
        claims: Claims,
        log: Arc<LogBuffer>,
        log_announced: Arc<AtomicBool>,
        signals: Signals,
    ) -> Self {
        Self {
            connection,
            claims,
            log,
            log_announced,
            cache: Cache::default(),
            signals,
            rejected_since_prune: 0,
            full: FullDisk::default(),
        }
    }

    /// Runs until it is closed or nobody is left to send. Answers whom to tell, once the file is let go.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) -> Option<oneshot::Sender<()>> {
        loop {
            let log_waits = self.log_announced.load(Ordering::Acquire);
            let first = if log_waits {
                match inbox.recv_timeout(LOG_FLUSH) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return None,
                }
            } else {
                match inbox.recv() {
                    Ok(message) => Some(message),
                    Err(_) => return None,
                }
            };
            let timed_out = first.is_none();
            let (jobs, mut closing) = gather(first, inbox);
            if jobs.is_empty() && closing.is_none() && !timed_out {
                // Log rows alone: they wait a moment for a batch to go with.
                continue;
            }
            if self.commit(jobs) {
                if let Some(done) = closing.take() {
                    if let Err(reason) = self.checkpoint_soon("TRUNCATE") {
                        tracing::error!(reason, "the write-ahead log stays for the next start");
                        self.leave_log();
                    }
                    return Some(done);
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
            && let Err(reason) = self.checkpoint_soon("RESTART")
        {
            let _ = self.signals.fail.send(Some(reason));
        }
        if let Some(reason) = self.signals.fail.borrow().clone() {
            jobs.into_iter().for_each(|job| job.answer(Err(StoreError::Stopped(reason.clone()))));
            return false;
        }
        if jobs.is_empty() && log_rows.is_empty() {
            return true;
        }
        let mut effects = Effects::default();
        let mut results = Vec::new();
        let mut outcome = self.attempt(&mut jobs, &log_rows, prune, &mut effects, &mut results, false);
        if matches!(outcome, Err(BatchError::Operation)) {
            outcome = self.attempt(&mut jobs, &log_rows, prune, &mut effects, &mut results, true);
        }
        match outcome {
            Ok(()) => {
                self.full.commit();
                if prune {
                    self.rejected_since_prune = 0;
                }
                {
                    let mut claims = self.claims.lock();
                    for (id, place) in effects.claimed {
                        match place {
                            Some(place) => claims.insert(id, place),
                            None => claims.remove(&id),
                        };
                    }
                }
                for (job, result) in jobs.into_iter().zip(results) {
                    job.answer(result);
                }
                true
            }
            Err(BatchError::Full | BatchError::Operation) => {
                if self.full.refuse(jobs.len()) {
                    // The log may be what fills it, and begins anew once it is moved.
                    self.signals.restart.store(true, Ordering::Release);
                }
                jobs.into_iter().for_each(|job| job.answer(Err(StoreError::DiskFull)));
                true
            }
            Err(BatchError::Busy) => {
                jobs.into_iter().for_each(|job| job.answer(Err(StoreError::Overloaded)));
                true
            }
            Err(BatchError::Fatal(reason)) => {
                let _ = self.signals.fail.send(Some(reason.clone()));
                jobs.into_iter().for_each(|job| job.answer(Err(StoreError::Stopped(reason.clone()))));
                false
            }
        }
    }

    /// A checkpoint that leaves the log as it is where somebody reads it: a backup may for minutes, and neither a commit nor the end is
    /// to wait for that.
    fn checkpoint_soon(&self, mode: &str) -> Result<(), String> {
        let wait = |most| self.connection.busy_timeout(most).map_err(|error| error.to_string());
        wait(READERS_WAIT)?;
        let done = checkpoint(&self.connection, mode);
        wait(BUSY_WAIT)?;
        done.map(|_| ())
    }

    /// One transaction over the batch; rolled back unless it is committed.
    fn attempt(
        &mut self,
        jobs: &mut [Job],
        log_rows: &[crate::record::InboundLogRow],
        prune: bool,
        effects: &mut Effects,
        results: &mut Vec<Result<(), StoreError>>,
        savepoints: bool,
    ) -> Result<(), BatchError> {
        *effects = Effects::default();
        results.clear();
        let done = self.transaction(jobs, log_rows, prune, effects, results, savepoints);
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
        effects: &mut Effects,
        results: &mut Vec<Result<(), StoreError>>,
        savepoints: bool,
    ) -> Result<(), BatchError> {
        let sql = &self.connection;
        let run = |statement: &str| -> Result<(), BatchError> {
            let mut prepared = sql.prepare_cached(statement).map_err(|error| grave(&error))?;
            prepared.execute([]).map(|_| ()).map_err(|error| grave(&error))
        };
        run("BEGIN IMMEDIATE")?;
        let mut tx = Tx::new(sql, &mut self.cache, &self.claims, effects);
        for job in jobs.iter_mut() {
            if savepoints {
                run("SAVEPOINT operation")?;
            }
            let before = savepoints.then(|| tx.effects.clone());
            match job.run_in(&mut tx, savepoints) {
                Ok(()) => results.push(Ok(())),
                Err(error) if is_grave(&error) => return Err(grave(&error)),
                Err(_) if !savepoints => return Err(BatchError::Operation),
                Err(error) => {
                    run("ROLLBACK TO operation")?;
                    *tx.cache = Cache::default();
                    if let Some(before) = before {
                        *tx.effects = before;
                    }
                    results.push(Err(StoreError::Backend(error.to_string())));
                }
            }
            if savepoints {
                run("RELEASE operation")?;
            }
        }
        log_rows.iter().for_each(|row| tx.effects.gathered.log(row.clone()));
        if let Err(error) = tx.write_gathered() {
            // Which operation's row it was will be seen where each writes its own.
            return Err(if savepoints || is_grave(&error) { grave(&error) } else { BatchError::Operation });
        }
        if prune {
            super::log::prune_rejected(sql).map_err(|error| grave(&error))?;
        }
        tx.effects.hours.write(sql).map_err(|error| grave(&error))?;
        run("COMMIT")
    }

    /// The connection's last words would be a checkpoint, which believes a log whose sync failed.
    fn leave_log(&self) {
        if let Err(error) = leave_log(&self.connection) {
            tracing::error!(%error, "the write-ahead log of a failed store cannot be left as it is");
        }
    }

    /// Answers everybody that the store has stopped, until it is closed or nobody is left to ask.
    fn refuse_forever(
        self,
        inbox: &Receiver<Message>,
        closing: Option<oneshot::Sender<()>>,
    ) -> Option<oneshot::Sender<()>> {
        let reason = self.signals.fail.borrow().clone().unwrap_or_default();
        self.leave_log();
        drop(self.connection);
        if closing.is_some() {
            return closing;
        }
        while let Ok(message) = inbox.recv() {
            match message {
                Message::Job(job) => job.answer(Err(StoreError::Stopped(reason.clone()))),
                Message::LogPending => {}
                Message::Close(done) => return Some(done),
            }
        }
        None
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
        _ if is_full(error) => BatchError::Full,
        Some(ErrorCode::OutOfMemory | ErrorCode::DatabaseBusy) => BatchError::Busy,
        _ => BatchError::Fatal(format!("the database could not be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::{BatchError, grave};

    #[test]
    fn shared_memory_that_finds_no_room_is_a_full_disk() {
        let failure = |code| grave(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(failure(ffi::SQLITE_IOERR_SHMSIZE), BatchError::Full));
        assert!(matches!(failure(ffi::SQLITE_FULL), BatchError::Full));
        assert!(matches!(failure(ffi::SQLITE_IOERR_FSYNC), BatchError::Fatal(_)));
    }
}
