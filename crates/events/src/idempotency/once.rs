//! The whole protocol around one piece of work.

use std::time::Duration;

use crate::Moment;
use crate::idempotency::{Begin, Claim, ClaimError, IdempotencyKey, IdempotencyStore};

/// What became of one delivery, and so what to tell its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the sender is to be told"]
pub enum Receipt<T, E> {
    /// The work was done now, and that is recorded.
    Done(T),
    /// The work had been done before; it was not run.
    AlreadyDone,
    /// Somebody else is at it; it was not run.
    InFlight {
        /// When the other's lease runs out.
        until: Moment,
    },
    /// The work failed, and the key was given back.
    Failed(E),
    /// The work was done, but took longer than the lease, and somebody else has begun it again.
    TakenOver(T),
}

impl<T, E> Receipt<T, E> {
    /// Whether the sender may be told that all is well. Otherwise tell it to try again.
    ///
    /// # Example: one place that answers
    ///
    /// ```
    /// use agentflow_events::idempotency::Receipt;
    ///
    /// fn status(receipt: &Receipt<(), std::io::Error>) -> u16 {
    ///     if receipt.is_acknowledged() { 200 } else { 503 }
    /// }
    /// assert_eq!(status(&Receipt::AlreadyDone), 200);
    /// ```
    pub const fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Done(_) | Self::AlreadyDone)
    }

    /// How long the sender should wait at least, where that is known: until the other's lease has run out.
    pub fn retry_after(&self, now: Moment) -> Option<Duration> {
        match self {
            Self::InFlight { until } => Some(until.since(now)),
            _ => None,
        }
    }
}

/// Does a key's work unless it has been done or somebody is at it: begin, work, then commit or abort.
///
/// `clock` is read before the work and after it. `work` gets the claim, whose token it may pass on to what it acts
/// upon. Should the future be dropped or the work panic, the key stays claimed until the lease runs out, as after a
/// crash.
///
/// # Errors
///
/// The store's, from begin or commit: the sender is to try again. Where giving the key back fails, that is left to the
/// lease, and the work's own failure is reported.
///
/// # Example: a redelivery does nothing
///
/// ```
/// use std::time::Duration;
/// use agentflow_events::Moment;
/// use agentflow_events::idempotency::{MemoryStore, Receipt, run_once};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let key = "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f:lead.qualified".parse()?;
/// let clock = || Moment::from(std::time::SystemTime::now());
/// let lease = Duration::from_secs(60);
///
/// let first = run_once(&store, key, lease, clock, |_| async { Ok::<_, std::io::Error>("created") }).await?;
/// assert!(matches!(first, Receipt::Done("created")));
///
/// let again = run_once(&store, key, lease, clock, |_| async { Ok::<_, std::io::Error>("created") }).await?;
/// assert!(matches!(again, Receipt::AlreadyDone));
/// # Ok(())
/// # }
/// ```
pub async fn run_once<S, T, E, W>(
    store: &S,
    key: IdempotencyKey,
    lease: Duration,
    clock: impl Fn() -> Moment,
    work: impl FnOnce(Claim) -> W,
) -> Result<Receipt<T, E>, S::Error>
where
    S: IdempotencyStore,
    W: Future<Output = Result<T, E>>,
{
    let claim = match store.begin(key, clock(), lease).await? {
        Begin::Fresh(claim) => claim,
        Begin::InFlight { until } => return Ok(Receipt::InFlight { until }),
        Begin::Done => return Ok(Receipt::AlreadyDone),
    };
    match work(claim).await {
        Ok(done) => match store.commit(key, claim.token, clock()).await {
            Ok(()) => Ok(Receipt::Done(done)),
            Err(ClaimError::NotHeld) => Ok(Receipt::TakenOver(done)),
            Err(ClaimError::Store(error)) => Err(error),
        },
        Err(failure) => {
            let _ = store.abort(key, claim.token).await;
            Ok(Receipt::Failed(failure))
        }
    }
}
