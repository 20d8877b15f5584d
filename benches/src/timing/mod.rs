//! Whether two classes of input take the same time, by the method of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my
//! code constant time?", DATE 2017): time both in random order, cut the tail of interruptions off at many places, and
//! compare the means by Welch's t at each.
//!
//! A large |t| says that there is a difference. A small one says that none was seen with so many samples; [`Findings`]
//! tells how large a difference would have been.

mod crops;
mod subject;
mod welch;

pub use crops::{Crops, Difference};
pub use subject::{BATCH, Expected, Subject, subjects};
pub use welch::Welch;

use crate::Random;

/// Runs of their own in one measurement; their median is what counts, so that one bad moment of the machine does not.
pub const SUB_RUNS: usize = 5;

/// What was found out about one subject.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The largest |t| of each sub-run, sorted.
    pub sub_runs: Vec<f64>,
    /// The largest |t| of all samples together.
    pub pooled: f64,
    /// How much slower the second class was, of the fastest nine tenths.
    pub difference: Difference,
}

impl Findings {
    /// The median of the sub-runs' largest |t|.
    pub fn median(&self) -> f64 {
        self.sub_runs[self.sub_runs.len() / 2]
    }
}

/// Measures every subject, `samples` each, in turns of a sub-run.
///
/// Both classes of a subject are as frequent, in a random order, and are prepared in the same way into the same memory
/// before the clock starts.
pub fn measure(subjects: &mut [Subject], samples: usize, random: &mut Random) -> Vec<Findings> {
    let of_sub_run = samples.div_ceil(SUB_RUNS);
    let pilots: Vec<Crops> = subjects.iter_mut().map(|subject| pilot(subject, of_sub_run, random)).collect();
    let mut pooled = pilots.clone();
    let mut largest = vec![Vec::with_capacity(SUB_RUNS); subjects.len()];
    for _ in 0..SUB_RUNS {
        for (at, subject) in subjects.iter_mut().enumerate() {
            let mut alone = pilots[at].clone();
            for _ in 0..of_sub_run {
                let class = random.below(2) as usize;
                let nanoseconds = subject.sample(class, random);
                alone.push(class, nanoseconds);
                pooled[at].push(class, nanoseconds);
            }
            largest[at].push(alone.largest_t());
        }
    }
    let findings = largest.into_iter().zip(pooled).map(|(mut sub_runs, pooled)| {
        sub_runs.sort_by(f64::total_cmp);
        Findings { sub_runs, pooled: pooled.largest_t(), difference: pooled.difference() }
    });
    findings.collect()
}

/// Warms up, and finds where to crop.
fn pilot(subject: &mut Subject, samples: usize, random: &mut Random) -> Crops {
    let samples = (samples / 4).clamp(1_000, 50_000);
    let timings = (0..2 * samples).map(|at| subject.sample(at % 2, random)).skip(samples).collect();
    Crops::at_percentiles_of(timings)
}
