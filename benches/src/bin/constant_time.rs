//! `scripts/constant-time [SAMPLES]`: whether the time of a refusal tells where a signature is wrong.
//!
//! For each verifier two classes of wrong signatures, [`SUB_RUNS`] sub-runs and all of them pooled. Ours must stay below
//! [`THRESHOLD`] in the median of the sub-runs and below [`POOLED_MAX`] in all; the control, which compares byte by byte
//! after the same HMAC, must be found out in the same run by a wide margin, or the run has shown nothing. A short run that
//! fails is tried again, and says so: what leaks fails each time, what a busy machine spoiled does not.

use std::process::ExitCode;

use agentflow_benches::Random;
use agentflow_benches::timing::{Expected, Findings, SUB_RUNS, Subject, measure, subjects};
use clap::Parser;

/// Times refused signatures, and tests whether two classes of them differ
#[derive(Parser)]
struct Arguments {
    /// Samples of each verifier and pair of classes
    #[arg(default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    samples: u32,
    /// Chooses order and inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The usual level of leakage tests: by chance alone about once in 100,000 tests.
const THRESHOLD: f64 = 4.5;

/// What dudect calls proven. All samples together see more, of what the machine does, too.
const POOLED_MAX: f64 = 10.0;

/// Where the control must come out.
const CONTROL_MIN: f64 = 10.0 * THRESHOLD;

/// Up to so many samples, a run that fails is tried again.
const SHORT_SAMPLES_MAX: u32 = 1_000_000;

const TRIES: u64 = 4;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let tries = if arguments.samples <= SHORT_SAMPLES_MAX { TRIES } else { 1 };
    for attempt in 1..=tries {
        let faults = run(arguments.samples, arguments.seed + attempt - 1);
        if faults.is_empty() {
            println!("constant time: nothing seen in ours, the control found out");
            return ExitCode::SUCCESS;
        }
        for fault in &faults {
            println!("try {attempt} of {tries}: {fault}");
        }
    }
    ExitCode::FAILURE
}

/// Measures, prints the table and answers what is wrong.
fn run(samples: u32, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let mut subjects = subjects(&mut random);
    println!(
        "{samples} samples each, {SUB_RUNS} sub-runs; ns: one verification, fastest nine tenths, +- 4.5 standard errors"
    );
    println!(
        "| verifier | wrong signatures | median of max abs t | all samples | ns | second class slower by ns |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let findings = measure(&mut subjects, samples as usize, &mut random);
    let mut faults = Vec::new();
    for (subject, findings) in subjects.iter().zip(&findings) {
        let Findings { pooled, difference, .. } = findings;
        println!(
            "| {} | {} | {:.1} | {pooled:.1} | {:.1} | {:+.3} +- {:.3} |",
            subject.verifier,
            subject.classes,
            findings.median(),
            difference.mean,
            difference.slower,
            THRESHOLD * difference.standard_error,
        );
        faults.extend(fault(subject, findings));
    }
    faults
}

fn fault(subject: &Subject, findings: &Findings) -> Option<String> {
    let (median, pooled) = (findings.median(), findings.pooled);
    let what = format!("{}, {}", subject.verifier, subject.classes);
    match subject.expected {
        Expected::Nothing if median >= THRESHOLD => {
            Some(format!("{what}: |t| {median:.1}, to be below {THRESHOLD}"))
        }
        Expected::Nothing if pooled >= POOLED_MAX => {
            Some(format!("{what}: |t| {pooled:.1} in all samples, to be below {POOLED_MAX}"))
        }
        Expected::Difference if median < CONTROL_MIN => {
            Some(format!("{what}: |t| {median:.1}, to be above {CONTROL_MIN}; this run cannot see"))
        }
        _ => None,
    }
}
