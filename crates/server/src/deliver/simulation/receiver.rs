//! Receivers, and the network before them: what comes of a request, and when.

use std::time::Duration;

use crate::random::Random;

/// The deadline of an attempt.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receiver {
    /// How long it takes, at least.
    pub(super) takes: Duration,
    /// At most so much longer.
    pub(super) spread: Duration,
    /// So many of a hundred requests fail with 500.
    pub(super) fails: u64,
    /// So many of a hundred answers are lost, or come after the deadline.
    pub(super) lost: u64,
    /// So many of a hundred answers come twice.
    pub(super) repeats: u64,
    /// So many of a hundred failures ask for a wait.
    pub(super) asks: u64,
    /// Whether it is gone for good.
    pub(super) gone: bool,
}

/// What comes of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Absent: the deadline passed.
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
    pub(super) after: Duration,
    /// When the same answer comes again.
    pub(super) again_after: Option<Duration>,
}

pub(super) const QUICK: Receiver = Receiver {
    takes: Duration::from_millis(2),
    spread: Duration::ZERO,
    fails: 0,
    lost: 0,
    repeats: 0,
    asks: 0,
    gone: false,
};

/// Connections are taken and nothing is said.
pub(super) const HANGS: Receiver = Receiver { lost: 100, ..QUICK };

/// Answers 500 at once.
pub(super) const FAILS: Receiver = Receiver { fails: 100, ..QUICK };

impl Receiver {
    pub(super) fn any(random: &mut Random) -> Self {
        Self {
            takes: Duration::from_millis(random.below(200)),
            spread: Duration::from_millis(random.one_of(&[0, 50, 3_000, 12_000])),
            fails: random.one_of(&[0, 0, 10, 50, 100]),
            lost: random.one_of(&[0, 0, 5, 100]),
            repeats: random.one_of(&[0, 10]),
            asks: random.one_of(&[0, 30]),
            gone: random.percent(3),
        }
    }

    pub(super) fn answer(&self, random: &mut Random) -> Answer {
        let after = self.takes + Duration::from_millis(random.below(self.spread.as_millis() as u64 + 1));
        let again = random.percent(self.repeats);
        let again_after = again.then(|| after + Duration::from_millis(random.below(15_000)));
        if random.percent(self.lost) || after >= DEADLINE {
            // What comes after the deadline finds nobody.
            return Answer { status: None, retry_after: None, after: DEADLINE, again_after };
        }
        if self.gone {
            return Answer { status: Some(410), retry_after: None, after, again_after };
        }
        if random.percent(self.fails) {
            let asks = random.percent(self.asks);
            let retry_after = asks.then(|| Duration::from_secs(random.below(20)));
            return Answer { status: Some(if asks { 503 } else { 500 }), retry_after, after, again_after };
        }
        Answer { status: Some(204), retry_after: None, after, again_after }
    }
}
