//! The client: prepared leads in, acceptances out, attempts in between.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agentflow_signature::InboundSecret;
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::exchange::Exchange;
use crate::retry::Retries;
use crate::{Accepted, ClientBuilder, Error, Lead, Prepared, random};

/// Sends leads to one endpoint. Keep it: it keeps connections, is cheap to clone, and can be shared between tasks.
///
/// Needs a Tokio runtime with I/O and time enabled. `Debug` shows the endpoint's host alone.
///
/// # Cancellation
///
/// A send that is dropped midway may have reached AgentFlow or not. Send the same [`Prepared`] lead again to find out:
/// if it did, the reply says that it is a duplicate.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) exchange: Exchange,
    pub(crate) retries: Retries,
    pub(crate) attempt_timeout: Duration,
    pub(crate) deadline: Duration,
}

impl Client {
    /// A client with the defaults of [`ClientBuilder`]. `endpoint_url`: the inbound URL as AgentFlow shows it.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`] where the URL is not HTTPS, or no inbound URL at all.
    pub fn new(endpoint_url: &str, secret: InboundSecret) -> Result<Self, Error> {
        Self::builder(endpoint_url, secret).build()
    }

    /// A client with settings of its own.
    pub fn builder(endpoint_url: &str, secret: InboundSecret) -> ClientBuilder {
        ClientBuilder::new(endpoint_url, secret)
    }

    /// Validates and sends a lead, under a random idempotency key.
    ///
    /// # Errors
    ///
    /// Those of [`Prepared::new`], before anything is sent; then those of [`send_prepared`](Self::send_prepared). To send
    /// the lead again after such an error, prepare it first: a second call of this has another key.
    pub async fn send(&self, lead: &Lead) -> Result<Accepted, Error> {
        self.send_prepared(&Prepared::new(lead)?).await
    }

    /// Validates and sends a body that is JSON already, byte for byte, under a random idempotency key.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_bytes(&self, body: impl Into<Bytes>) -> Result<Accepted, Error> {
        self.send_prepared(&Prepared::from_json(body)?).await
    }

    /// Sends a prepared lead, in as many attempts as it takes and the settings allow. May be called again with the same
    /// lead at any time: AgentFlow knows it again.
    ///
    /// # Errors
    ///
    /// [`Error::NotAccepted`] with what became of the last attempt.
    pub async fn send_prepared(&self, prepared: &Prepared) -> Result<Accepted, Error> {
        let inner = &*self.0;
        let begun = Instant::now();
        let mut attempts = 1;
        loop {
            let left = inner.deadline.saturating_sub(begun.elapsed());
            let within = left.min(inner.attempt_timeout);
            let failure = match inner.exchange.attempt(prepared, attempts, within).await {
                Ok(accepted) => return Ok(accepted),
                Err(failure) => failure,
            };
            let now = begun.elapsed();
            match inner.retries.wait(attempts, &failure, now, inner.deadline, random::share()) {
                Some(wait) => sleep(wait).await,
                None => return Err(Error::NotAccepted { attempts, failure }),
            }
            attempts += 1;
        }
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", self.0.exchange.endpoint()).finish_non_exhaustive()
    }
}
