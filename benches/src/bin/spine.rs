//! `scripts/spine`: what a lead costs between the network and the disk: verified, scored, decided and committed in this process,
//! with so many waiting at a time, and what of it is the store's.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use agentflow_benches::stack::{Fault, Rush, Site};
use clap::Parser;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the pipeline without a network
#[derive(Parser)]
struct Arguments {
    /// How many leads are measured
    #[arg(long, default_value_t = 60_000)]
    leads: u64,
    /// How many come before them
    #[arg(long, default_value_t = 60_000)]
    before: u64,
    /// How many wait at a time
    #[arg(long, default_value_t = 64)]
    together: u64,
    /// Delivers every event as well, without a network either
    #[arg(long)]
    deliver: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("spine: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Fault> {
    let Arguments { leads, before, together, deliver } = arguments;
    let site = Site::found(None)?;
    let rush = Rush::begin(&site, deliver).await?;
    rush.run(0..before, together).await?;
    let (used, begun) = (threads()?, Instant::now());
    rush.run(before..before + leads, together).await?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.0} leads/s", leads as f64 / seconds);
    let mut all = 0.0;
    for (name, nanos) in threads()? {
        let micros = (nanos - used.get(&name).copied().unwrap_or(0)) as f64 / 1e3 / leads as f64;
        all += micros;
        println!("{micros:8.1} us of CPU a lead: {name}");
    }
    println!("{all:8.1} us of CPU a lead");
    rush.end().await;
    Ok(())
}

/// CPU time so far, in nanoseconds, by the threads' names.
fn threads() -> Result<BTreeMap<String, u64>, Fault> {
    let mut used = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?.trim_end().to_owned();
        let nanos = fs::read_to_string(task.join("schedstat"))?;
        let nanos: u64 = nanos.split_whitespace().next().ok_or("no time")?.parse()?;
        *used.entry(name).or_default() += nanos;
    }
    Ok(used)
}
