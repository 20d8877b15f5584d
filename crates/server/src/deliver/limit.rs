//! How many attempts of one lane may be in flight: slow start, falling back, and when a destination counts as down.

/// Attempts in flight that a lane begins with.
const FIRST: usize = 8;

/// So many failures in a row, and a destination is down.
const DOWN_AFTER: u32 = 5;

/// The limit of one lane. Each success allows one attempt more, so that a round of successes doubles it; failures that
/// follow each other halve it; a destination that is down gets one attempt at a time, a probe.
pub(super) struct Limit {
    allowed: usize,
    max: usize,
    failures_in_a_row: u32,
}

impl Limit {
    pub(super) fn new(max: usize) -> Self {
        Self { allowed: FIRST.min(max), max, failures_in_a_row: 0 }
    }

    /// Attempts that may be in flight at present.
    pub(super) fn allowed(&self) -> usize {
        self.allowed
    }

    /// Changes how many there may be at most.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
        self.allowed = self.allowed.min(max);
    }

    /// Whether the destination answers nothing but failures.
    pub(super) fn is_down(&self) -> bool {
        self.failures_in_a_row >= DOWN_AFTER
    }

    /// Takes in how an attempt went. True: less is allowed than before.
    pub(super) fn attempted(&mut self, success: bool) -> bool {
        if success {
            self.failures_in_a_row = 0;
            self.allowed = (self.allowed + 1).min(self.max);
            return false;
        }
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let before = self.allowed;
        if self.is_down() {
            self.allowed = 1;
        } else if self.failures_in_a_row > 1 {
            self.allowed = (before / 2).max(1);
        }
        self.allowed < before
    }
}

#[cfg(test)]
mod tests {
    use super::{DOWN_AFTER, Limit};

    fn fail(limit: &mut Limit) {
        limit.attempted(false);
    }

    #[test]
    fn one_failure_changes_nothing_and_a_row_of_them_leaves_a_probe() {
        let mut limit = Limit::new(64);
        let allowed: Vec<usize> = (0..6)
            .map(|_| {
                limit.attempted(false);
                limit.allowed()
            })
            .collect();
        assert_eq!(allowed, [8, 4, 2, 1, 1, 1]);
        assert!(limit.is_down());
    }

    #[test]
    fn a_fast_lane_that_fails_falls_to_a_probe_as_well() {
        let mut limit = Limit::new(64);
        (0..100).for_each(|_| assert!(!limit.attempted(true)));
        assert_eq!(limit.allowed(), 64);
        (0..DOWN_AFTER).for_each(|_| fail(&mut limit));
        assert_eq!((limit.allowed(), limit.is_down()), (1, true));
    }

    #[test]
    fn after_an_outage_each_round_of_successes_doubles_it_up_to_its_bound() {
        let mut limit = Limit::new(20);
        (0..10).for_each(|_| fail(&mut limit));
        let mut rounds = Vec::new();
        for _ in 0..6 {
            rounds.push(limit.allowed());
            for _ in 0..limit.allowed() {
                limit.attempted(true);
            }
        }
        assert_eq!(rounds, [1, 2, 4, 8, 16, 20]);
    }

    #[test]
    fn a_lower_bound_holds_at_once() {
        let mut limit = Limit::new(64);
        limit.set_max(3);
        assert_eq!(limit.allowed(), 3);
        limit.attempted(true);
        assert_eq!(limit.allowed(), 3);
    }
}
