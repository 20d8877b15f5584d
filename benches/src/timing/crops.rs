//! One Welch test for each place where the tail of slow samples can be cut off.

use super::Welch;

/// How many cuts dudect makes; the p-th keeps the fastest `1 - 0.5^(10p/100)` of the samples, 7 to 99.9 %.
const CUTS: i32 = 100;

/// The cut that keeps nine tenths, for the size of the difference.
const NINE_TENTHS: usize = 32;

/// A test of fewer samples a class says nothing yet.
const SAMPLES_MIN: f64 = 1_000.0;

/// The tests of one subject: of all samples, of those below each cut, and of the squared deviations.
#[derive(Clone, Debug)]
pub struct Crops {
    limits: Vec<f64>,
    cut: Vec<Welch>,
    whole: Welch,
    /// Of the squared deviations from each class's mean: finds classes that differ in their spread alone.
    spread: Welch,
}

/// How much slower the second class was, in the unit of the samples.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The first class's mean.
    pub mean: f64,
    /// The second class's mean less the first one's.
    pub slower: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Crops {
    /// Cuts at the percentiles of these samples, of both classes together.
    ///
    /// # Panics
    /// There are none.
    pub fn at_percentiles_of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let limit = |cut: i32| {
            let kept = 1.0 - 0.5_f64.powf(10.0 * f64::from(cut) / f64::from(CUTS));
            samples[(kept * samples.len() as f64) as usize]
        };
        let limits: Vec<f64> = (1..=CUTS).map(limit).collect();
        Self {
            cut: vec![Welch::default(); limits.len()],
            limits,
            whole: Welch::default(),
            spread: Welch::default(),
        }
    }

    /// Counts a sample in. `class`: 0 or 1.
    pub fn push(&mut self, class: usize, sample: f64) {
        self.whole.push(class, sample);
        // The limits ascend: those that are above it begin at one place.
        let from = self.limits.partition_point(|limit| *limit <= sample);
        self.cut[from..].iter_mut().for_each(|welch| welch.push(class, sample));
        if self.whole.count() > SAMPLES_MIN {
            self.spread.push(class, (sample - self.whole.mean(class)).powi(2));
        }
    }

    /// The largest |t| of all the tests.
    pub fn largest_t(&self) -> f64 {
        let tests = self.cut.iter().chain([&self.whole, &self.spread]);
        tests.filter(|welch| welch.count() >= SAMPLES_MIN).map(|welch| welch.t().abs()).fold(0.0, f64::max)
    }

    /// The difference among the fastest nine tenths.
    pub fn difference(&self) -> Difference {
        let welch = &self.cut[NINE_TENTHS];
        Difference { mean: welch.mean(0), slower: welch.difference(), standard_error: welch.standard_error() }
    }
}

#[cfg(test)]
mod tests {
    use super::Crops;
    use crate::Random;

    /// Samples of about 1,000, the second class slower by `slower`, one in fifty of either interrupted for long.
    fn largest_t(slower: f64, seed: u64) -> f64 {
        let mut random = Random::new(seed);
        let mut sample = |class: usize| {
            let noise = (0..4).map(|_| random.below(100) as f64).sum::<f64>();
            let interrupted = if random.below(50) == 0 { random.below(1_000_000) as f64 } else { 0.0 };
            1_000.0 + noise + interrupted + slower * class as f64
        };
        let mut crops = Crops::at_percentiles_of((0..2_000).map(|at| sample(at % 2)).collect());
        for at in 0..40_000 {
            crops.push(at % 2, sample(at % 2));
        }
        crops.largest_t()
    }

    #[test]
    fn sees_a_small_difference_below_the_interruptions() {
        assert!(largest_t(10.0, 1) > 10.0);
        assert!(largest_t(-10.0, 2) > 10.0);
    }

    #[test]
    fn sees_none_where_there_is_none() {
        for seed in 0..10 {
            assert!(largest_t(0.0, seed) < 4.5, "seed {seed}");
        }
    }
}
