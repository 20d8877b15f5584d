//! The client for programs without an async runtime: it waits until it is done.

use std::fmt;
use std::panic::resume_unwind;
use std::thread;

use agentflow_signature::InboundSecret;
use bytes::Bytes;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{Accepted, ClientBuilder, Error, Lead, Prepared};

/// A [`crate::Client`] with a small runtime of its own, which runs on the calling thread and only while something is sent.
///
/// Keep it; several threads may use it at a time (share it in an `Arc`). It may be used and dropped on Tokio's
/// `spawn_blocking` threads; each send has a thread of its own there. In async code use [`crate::Client`]: this one would hold
/// up all tasks of the thread, as whatever blocks does, for as long as the deadline.
///
/// # Example: send a lead and wait
///
/// ```no_run
/// use agentflow_client::{InboundSecret, Lead, blocking};
///
/// # fn send(url: &str, secret: InboundSecret) -> Result<(), agentflow_client::Error> {
/// let client = blocking::Client::new(url, secret)?;
/// let accepted = client.send(&Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co"))?;
/// println!("{}", accepted.lead_id);
/// # Ok(())
/// # }
/// ```
pub struct Client {
    /// Taken in `drop` alone.
    runtime: Option<Runtime>,
    client: crate::Client,
}

impl Client {
    /// A client with the defaults of [`ClientBuilder`].
    ///
    /// # Errors
    ///
    /// Those of [`crate::Client::new`]; [`Error::Runtime`].
    pub fn new(endpoint_url: &str, secret: InboundSecret) -> Result<Self, Error> {
        crate::Client::builder(endpoint_url, secret).build_blocking()
    }

    /// A client with settings of its own, made by [`ClientBuilder::build_blocking`].
    pub fn builder(endpoint_url: &str, secret: InboundSecret) -> ClientBuilder {
        crate::Client::builder(endpoint_url, secret)
    }

    /// Validates and sends a lead, under a random idempotency key.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Client::send`]; [`Error::Runtime`], with nothing sent.
    pub fn send(&self, lead: &Lead) -> Result<Accepted, Error> {
        self.send_prepared(&Prepared::new(lead)?)
    }

    /// Validates and sends a body that is JSON already, byte for byte, under a random idempotency key.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_bytes(&self, body: impl Into<Bytes>) -> Result<Accepted, Error> {
        self.send_prepared(&Prepared::from_json(body)?)
    }

    /// Sends a prepared lead, in as many attempts as it takes and the settings allow.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Client::send_prepared`]; [`Error::Runtime`], with nothing sent, where another runtime is around and
    /// the system has no thread left.
    pub fn send_prepared(&self, prepared: &Prepared) -> Result<Accepted, Error> {
        let runtime = self.runtime.as_ref().expect("only `drop` takes it");
        let send = || runtime.block_on(self.client.send_prepared(prepared));
        if Handle::try_current().is_err() { send() } else { on_own_thread(send)? }
    }
}

/// Tokio panics where a thread that runs its tasks waits, and has no way to ask whether this is one. A new thread is none.
fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("agentflow-client".to_owned()).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Error::Runtime(error.kind()))?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

impl ClientBuilder {
    /// Makes a blocking client. Opens no connection.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build); [`Error::Runtime`] where the system has no file descriptors left.
    pub fn build_blocking(self) -> Result<Client, Error> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = Some(runtime.map_err(|error| Error::Runtime(error.kind()))?);
        Ok(Client { runtime, client: self.build()? })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A runtime's own drop waits for its threads, which panics inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::Client").field(&self.client).finish()
    }
}
