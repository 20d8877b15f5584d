//! Why a signature was refused, for the inbound log: found after the reply, and never told in it.
//!
//! Refused requests are anybody's, so what is spent on them is bounded: a few explanations a second for a workspace, one at
//! a time in the whole server and a rest after each, a short queue, small bodies. What is over a bound is logged at once, and its
//! finding says which.

use std::sync::Arc;
use std::time::Instant;

use agentflow_events::{Moment, WorkspaceId};
use agentflow_signature::explain::Mistake;
use agentflow_signature::{SIGNATURE_HEADER_LOWERCASE, TIMESTAMP_HEADER_LOWERCASE, Timestamp};
use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::directory::LiveWorkspace;
use crate::rate::RateLimiter;
use crate::record::{Finding, InboundLogRow};
use crate::store::Store;

/// A request that was refused for its signature or timestamp.
pub struct Refused<'a> {
    /// Whom it was for.
    pub workspace: &'a Arc<LiveWorkspace>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The exact body.
    pub body: &'a Bytes,
    /// What the reply says.
    pub detail: &'a str,
    /// The time that it was verified at.
    pub now: Moment,
}

/// Logs refusals together with their finding.
pub struct Explainer {
    store: Arc<dyn Store>,
    rate: RateLimiter<WorkspaceId>,
    waiting: Arc<Semaphore>,
    turn: Arc<Turn>,
}

/// Work that is done one at a time and rested after, so that however much there is takes a small share of one core.
#[derive(Default)]
struct Turn {
    taken: Mutex<()>,
    hurry: CancellationToken,
}

impl Turn {
    /// How many times as long as the work a rest is.
    const RESTS: u32 = 19;

    /// Does `work` on a thread that may wait, in its turn, and hands `then` what came of it; returns when the rest is over.
    async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(Option<T>),
    ) {
        let _taken = self.taken.lock().await;
        let begun = Instant::now();
        then(tokio::task::spawn_blocking(work).await.ok());
        tokio::select! {
            () = tokio::time::sleep(begun.elapsed() * Self::RESTS) => {}
            () = self.hurry.cancelled() => {}
        }
    }
}

impl Explainer {
    /// Explanations a second for a workspace. One hashes 8 MiB and writes as much JSON at most.
    const PER_SECOND: u32 = 4;
    /// Largest body that is looked at.
    const BODY_BYTES_MAX: usize = 64 * 1024;
    /// Explanations that wait for their turn, over all workspaces; they wait for each other's rests.
    const WAITING_MAX: u32 = 8;

    /// An explainer that logs to `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            rate: RateLimiter::new(Self::PER_SECOND),
            waiting: Arc::new(Semaphore::new(Self::WAITING_MAX as usize)),
            turn: Arc::default(),
        }
    }

    /// Logs `row`: with what was found, in a moment, or why nothing was looked for, at once. Does not wait for either.
    pub fn log(&self, mut row: InboundLogRow, refused: &Refused<'_>) {
        let place = match self.place(refused) {
            Ok(place) => place,
            Err(skipped) => {
                // What the reply says is known without looking.
                let message = format!("{}; {}", refused.detail.trim_end_matches('.'), skipped.message);
                row.finding = Some(Finding { message, ..skipped });
                return self.store.log(row);
            }
        };
        let (workspace, now) = (Arc::clone(refused.workspace), refused.now);
        let (headers, body) = (signature_headers(refused.headers), refused.body.clone());
        let (store, turn) = (Arc::clone(&self.store), Arc::clone(&self.turn));
        tokio::spawn(async move {
            let log = |finding| {
                row.finding = finding;
                store.log(row);
                drop(place);
            };
            turn.take(move || explain(&workspace, &headers, &body, now), log).await;
        });
    }

    /// A place in the queue, or which bound stands against it.
    fn place(&self, refused: &Refused<'_>) -> Result<OwnedSemaphorePermit, Finding> {
        if refused.body.len() > Self::BODY_BYTES_MAX {
            return Err(skipped("skipped_body_too_large", "not looked into: its body is over 64 KiB"));
        }
        let rate = self.rate.take(refused.workspace.id, refused.now).ok();
        let place = rate.and_then(|()| Arc::clone(&self.waiting).try_acquire_owned().ok());
        place.ok_or_else(|| {
            skipped("skipped_too_many", "not looked into: of many refusals at a time only some are")
        })
    }

    /// Waits until everything that was to be explained is logged, without a rest from now on.
    pub async fn settle(&self) {
        self.turn.hurry.cancel();
        // Never closed, so there is nothing else to wait for.
        let _all = self.waiting.acquire_many(Self::WAITING_MAX).await;
    }
}

fn explain(workspace: &LiveWorkspace, headers: &HeaderMap, body: &Bytes, now: Moment) -> Finding {
    match workspace.doctor.explain(headers, body, now_signed(now)) {
        Some(finding) => Finding { code: finding.code().to_owned(), message: finding.to_string() },
        // Right for a secret that was valid when the directory was read: its overlap has ended since.
        None => {
            let mistake = Mistake::SecretNotValid;
            Finding { code: mistake.code().to_owned(), message: mistake.to_string() }
        }
    }
}

fn skipped(code: &str, message: &str) -> Finding {
    Finding { code: code.to_owned(), message: message.to_owned() }
}

/// `now` as signatures have it.
pub(crate) fn now_signed(now: Moment) -> Timestamp {
    Timestamp::from_unix_seconds(u64::try_from(now.unix_millis() / 1_000).unwrap_or(0))
}

/// The headers that a finding is about; of a repeated one, two.
fn signature_headers(headers: &HeaderMap) -> HeaderMap {
    let mut found = HeaderMap::new();
    for name in [SIGNATURE_HEADER_LOWERCASE, TIMESTAMP_HEADER_LOWERCASE] {
        for value in headers.get_all(name).iter().take(2) {
            found.append(name, value.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Turn;

    /// Works for a millisecond at the least; answers how long it was.
    fn work() -> Duration {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        begun.elapsed()
    }

    /// Tokio's clock stands still while there is work, and leaps over the rests.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_work_takes_a_twentieth_of_the_time() {
        let (turn, begun) = (Turn::default(), tokio::time::Instant::now());
        let (mut worked, mut turns) = (Duration::ZERO, 0);
        for _ in 0..20 {
            turn.take(work, |took| (worked, turns) = (worked + took.unwrap_or_default(), turns + 1)).await;
        }
        assert_eq!(turns, 20);
        assert!(begun.elapsed() >= worked * 19, "{:?} of rest after {worked:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_rests_at_the_end() {
        let (turn, begun) = (Turn::default(), tokio::time::Instant::now());
        turn.hurry.cancel();
        turn.take(work, drop).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
