//! Welch's t-test, one sample at a time.

/// Two classes of samples and how sure their means differ.
#[derive(Clone, Debug, Default)]
pub struct Welch([Moments; 2]);

/// Count, mean and sum of squared deviations, by Welford's updates.
#[derive(Clone, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welch {
    /// Counts a sample in. `class`: 0 or 1.
    pub fn push(&mut self, class: usize, sample: f64) {
        let moments = &mut self.0[class];
        moments.count += 1.0;
        let before = sample - moments.mean;
        moments.mean += before / moments.count;
        moments.squares += before * (sample - moments.mean);
    }

    /// The t statistic of the second class's mean less the first one's; 0 while it is not defined.
    pub fn t(&self) -> f64 {
        let t = self.difference() / self.standard_error();
        if t.is_finite() { t } else { 0.0 }
    }

    /// The second class's mean less the first one's.
    pub fn difference(&self) -> f64 {
        self.0[1].mean - self.0[0].mean
    }

    /// The standard error of that difference.
    pub fn standard_error(&self) -> f64 {
        let of = |moments: &Moments| moments.squares / (moments.count - 1.0) / moments.count;
        (of(&self.0[0]) + of(&self.0[1])).sqrt()
    }

    /// The samples of the class that has fewer.
    pub fn count(&self) -> f64 {
        self.0[0].count.min(self.0[1].count)
    }

    /// The mean of a class, 0 or 1.
    pub fn mean(&self, class: usize) -> f64 {
        self.0[class].mean
    }
}

#[cfg(test)]
mod tests {
    use super::Welch;

    fn welch(first: &[f64], second: &[f64]) -> Welch {
        let mut welch = Welch::default();
        first.iter().for_each(|sample| welch.push(0, *sample));
        second.iter().for_each(|sample| welch.push(1, *sample));
        welch
    }

    /// By hand: means 3 and 8, variances 2.5 and 10, five samples each; t = 5 / sqrt(0.5 + 2).
    #[test]
    fn is_what_the_textbook_says() {
        let welch = welch(&[1.0, 2.0, 3.0, 4.0, 5.0], &[4.0, 6.0, 8.0, 10.0, 12.0]);
        assert!((welch.difference() - 5.0).abs() < 1e-12);
        assert!((welch.standard_error() - 2.5_f64.sqrt()).abs() < 1e-12);
        assert!((welch.t() - 10.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_same_samples_differ_by_nothing() {
        assert_eq!(welch(&[1.0, 2.0, 4.0], &[4.0, 1.0, 2.0]).t(), 0.0);
    }

    #[test]
    fn says_nothing_before_there_are_two_samples_of_each() {
        assert_eq!(welch(&[], &[]).t(), 0.0);
        assert_eq!(welch(&[1.0, 2.0], &[5.0]).t(), 0.0);
        assert_eq!(welch(&[1.0, 1.0], &[1.0, 1.0]).t(), 0.0);
    }
}
