//! `cargo run --release -p agentflow-benches --bin verify-table [--features peers]`: medians and ratios.
//!
//! The rows take turns, a few thousand nanoseconds each, so that whatever else the machine does falls on all of
//! them alike. `--check` ends with exit code 1 if a ratio misses its target.

use std::process::ExitCode;
use std::time::Instant;

use agentflow_benches::verify::{BODY_BYTES, LIMIT, OURS, Row, rows};

/// Turns that each row gets at each body length.
const ROUNDS: usize = 3000;

/// How long one turn is to take: long against the clock's own cost, short against the scheduler's slices.
const TURN_NANOSECONDS: u128 = 20_000;

/// The largest accepted ratio of ours to the limit, by body length.
const TARGETS: [(usize, f64); 3] = [(256, 1.25), (1024, 1.10), (4096, 1.03)];

fn main() -> ExitCode {
    let mut missed = Vec::new();
    for (place, body_bytes) in BODY_BYTES.into_iter().enumerate() {
        let rows = rows(body_bytes);
        let medians = medians(&rows);
        if place == 0 {
            print_head(&rows);
        }
        print_line(body_bytes, &medians);
        missed.extend(misses(body_bytes, &rows, &medians));
    }
    for miss in &missed {
        println!("missed: {miss}");
    }
    let checked = std::env::args().any(|argument| argument == "--check");
    if checked && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Nanoseconds of one verification, by row.
fn medians(rows: &[Row]) -> Vec<f64> {
    let repeats: Vec<u32> = rows.iter().map(repeats).collect();
    let mut samples = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for round in 0..ROUNDS {
        for place in 0..rows.len() {
            // Another first row in each round: none always follows the same neighbour's cache.
            let at = (round + place) % rows.len();
            samples[at].push(turn(&rows[at], repeats[at]));
        }
    }
    samples
        .into_iter()
        .map(|mut of_row| {
            of_row.sort_by(f64::total_cmp);
            of_row[of_row.len() / 2]
        })
        .collect()
}

fn turn(row: &Row, repeats: u32) -> f64 {
    let begun = Instant::now();
    for _ in 0..repeats {
        assert!((row.verify)());
    }
    begun.elapsed().as_nanos() as f64 / f64::from(repeats)
}

fn repeats(row: &Row) -> u32 {
    let nanoseconds = (0..50).map(|_| turn(row, 20)).fold(f64::INFINITY, f64::min);
    ((TURN_NANOSECONDS as f64 / nanoseconds) as u32).max(1)
}

fn print_head(rows: &[Row]) {
    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    println!("nanoseconds of one verification, medians of {ROUNDS} turns; in brackets: ratio to the limit");
    println!("| body bytes | {} | ours / best peer |", names.join(" | "));
    println!("|{}", " --- |".repeat(names.len() + 2));
}

fn print_line(body_bytes: usize, medians: &[f64]) {
    let limit = medians[0];
    let cells: Vec<String> =
        medians.iter().map(|median| format!("{median:.0} ({:.2})", median / limit)).collect();
    let ratio = best_peer(medians).map_or("-".to_owned(), |best| format!("{:.3}", medians[1] / best));
    println!("| {body_bytes} | {} | {ratio} |", cells.join(" | "));
}

fn best_peer(medians: &[f64]) -> Option<f64> {
    medians[2..].iter().copied().min_by(f64::total_cmp)
}

fn misses(body_bytes: usize, rows: &[Row], medians: &[f64]) -> Vec<String> {
    assert_eq!((rows[0].name, rows[1].name), (LIMIT, OURS));
    let mut missed = Vec::new();
    let to_limit = medians[1] / medians[0];
    for (_, target) in TARGETS.iter().filter(|(bytes, target)| *bytes == body_bytes && to_limit > *target) {
        missed.push(format!("{body_bytes} bytes: {to_limit:.3} of the limit, target {target}"));
    }
    // Above 4 KiB all are within the noise of the same compression function.
    let level = if body_bytes <= 4096 { 1.0 } else { 1.02 };
    if let Some(to_best) = best_peer(medians).map(|best| medians[1] / best).filter(|ratio| *ratio > level) {
        missed.push(format!("{body_bytes} bytes: {to_best:.3} of the best peer, target {level}"));
    }
    missed
}
