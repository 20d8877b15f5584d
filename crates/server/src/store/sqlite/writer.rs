//! The one writer: takes whatever is waiting as one transaction, syncs once, then answers everybody.
//!
//! A batch runs without savepoints, since almost none fails. Where one operation does, the whole batch is rolled back and
//! run again with a savepoint for each, so that the bad one fails alone. Operations may therefore run twice, and what
//! they do outside the database is an effect that runs after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::checkpoint::Signals;
use super::commit::{Alarm, Thread};
use super::job::{Claims, Job, Message, Operation, Tx};
use super::lock::Lock;
use super::log::LogBuffer;
use crate::record::DueDelivery;
use crate::store::StoreError;

/// Writes that may wait before further ones are refused.
const QUEUE_MAX: usize = 4_096;

/// A committed answer on its way to the caller. Where the caller has gone away, nobody would make the attempts that it
/// claims: dropped unopened, it gives the claims back.
struct Parcel<T> {
    value: Option<T>,
    held: fn(&T) -> &[DueDelivery],
    claims: Claims,
}

impl<T> Drop for Parcel<T> {
    fn drop(&mut self) {
        if let Some(value) = &self.value {
            let mut claims = self.claims.lock();
            for delivery in (self.held)(value) {
                claims.remove(&delivery.id);
            }
        }
    }
}

/// An operation that answers a value.
struct Write<F, T> {
    operation: F,
    /// What it answered when it ran last.
    value: Option<T>,
    held: fn(&T) -> &[DueDelivery],
    claims: Claims,
    reply: oneshot::Sender<Result<Parcel<T>, StoreError>>,
}

impl<F, T> Operation for Write<F, T>
where
    F: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.value = Some((self.operation)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { operation, value, held, claims, reply } = *self;
        drop(operation);
        // A caller that has gone away does not want to know.
        let _ = reply.send(result.map(|()| Parcel { value, held, claims }));
    }
}

/// The way to the writer's thread. Its drop waits for the thread, so that the file is free for whoever opens it next.
pub(super) struct Writer {
    /// Taken when the store is dropped, which ends the thread.
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    log_announced: Arc<AtomicBool>,
    failed: watch::Receiver<Option<String>>,
    claims: Claims,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        lock: Lock,
        claims: Claims,
        log: Arc<LogBuffer>,
        signals: Signals,
    ) -> std::io::Result<Self> {
        let (queue, inbox) = sync_channel(QUEUE_MAX);
        let failed = signals.fail.subscribe();
        let log_announced = Arc::new(AtomicBool::new(false));
        let alarm = signals.clone();
        let thread = Thread::new(connection, claims.clone(), log, Arc::clone(&log_announced), signals);
        let handle = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            let _alarm = Alarm(alarm);
            let closing = thread.run(&inbox);
            // Whoever opens the file next must find this thread done with it.
            drop(lock);
            if let Some(done) = closing {
                let _ = done.send(());
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(handle), log_announced, failed, claims })
    }

    /// Runs `operation` in the next transaction and answers when it is on the disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(operation, |_| &[], false).await
    }

    /// As [`write`](Self::write), for an answer that hands over the claims on `held`.
    pub(super) async fn write_claiming<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
        held: fn(&T) -> &[DueDelivery],
    ) -> Result<T, StoreError> {
        self.submit(operation, held, false).await
    }

    /// As [`write_claiming`](Self::write_claiming), for an operation that [gathers](Job::gathers).
    pub(super) async fn gather<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
        held: fn(&T) -> &[DueDelivery],
    ) -> Result<T, StoreError> {
        self.submit(operation, held, true).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Tx<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
        held: fn(&T) -> &[DueDelivery],
        gathers: bool,
    ) -> Result<T, StoreError> {
        let (reply, replied) = oneshot::channel::<Result<Parcel<T>, StoreError>>();
        let write = Write { operation, value: None, held, claims: self.claims.clone(), reply };
        match self.send(Message::Job(Job { operation: Box::new(write), gathers })) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Overloaded),
            Err(TrySendError::Disconnected(_)) => return Err(self.stopped()),
        }
        let mut parcel = replied.await.unwrap_or_else(|_| Err(self.stopped()))?;
        parcel.value.take().ok_or_else(|| StoreError::Stopped("an operation gave no answer".to_owned()))
    }

    /// Says that log rows wait.
    pub(super) fn log_pending(&self) {
        if !self.log_announced.swap(true, Ordering::AcqRel) && self.send(Message::LogPending).is_err() {
            self.log_announced.store(false, Ordering::Release);
        }
    }

    /// Commits what waits and ends the thread.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let mut message = Message::Close(done);
        loop {
            match self.send(message) {
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

    fn send(&self, message: Message) -> Result<(), TrySendError<Message>> {
        match &self.queue {
            Some(queue) => queue.try_send(message),
            None => Err(TrySendError::Disconnected(message)),
        }
    }

    fn stopped(&self) -> StoreError {
        StoreError::Stopped(self.failed.borrow().clone().unwrap_or_else(|| "it is closed".to_owned()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has said so itself.
            let _ = thread.join();
        }
    }
}
