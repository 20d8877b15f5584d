//! Runs the campaigns of faults at length and prints their figures.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use agentflow_benches::stack::Fault;
use agentflow_faults::full::{self, SmallDisk};
use agentflow_faults::power::{self, Plant};
use agentflow_faults::sweep::{self, Bench};
use clap::{Parser, Subcommand};

/// Tries what the store bears
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    campaign: Campaign,
    /// Repeats the choices of a run
    #[arg(long, default_value_t = 1, global = true)]
    seed: u64,
    /// Threads
    #[arg(long, default_value_t = 2, global = true)]
    threads: u64,
}

#[derive(Subcommand)]
enum Campaign {
    /// Lets each write and sync fail in turn, in four ways
    Sweep {
        /// The first so many calls
        #[arg(long, default_value_t = 5_000)]
        calls: u64,
        /// Every so many
        #[arg(long, default_value_t = 1)]
        step: u64,
    },
    /// Cuts the power and opens what is left
    Power {
        /// So many times
        #[arg(long, default_value_t = 10_000)]
        images: u64,
    },
    /// Runs the server on a small file system until it is full; wants root
    Full {
        /// MiB of the file system
        #[arg(long, default_value_t = 12)]
        mebibytes: u32,
        /// The server's binary [default: the one beside this program]
        #[arg(long)]
        server: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let violations = match &arguments.campaign {
        Campaign::Sweep { calls, step } => sweep_all(&arguments, *calls, *step),
        Campaign::Power { images } => power_all(&arguments, *images),
        Campaign::Full { mebibytes, server } => full_disk(*mebibytes, server.as_deref()),
    };
    match violations {
        Ok(violations) => {
            for violation in violations.iter().take(20) {
                println!("violation: {violation}");
            }
            println!("violations: {}", violations.len());
            if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(fault) => {
            eprintln!("faults: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Shares work among threads, each with a bench of its own.
fn shared<T: Send>(
    threads: u64,
    work: impl Fn(&Bench, u64) -> Result<T, Fault> + Sync,
) -> Result<Vec<T>, Fault> {
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || work(&Bench::new()?, thread))).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    })
}

fn sweep_all(arguments: &Arguments, calls: u64, step: u64) -> Result<Vec<String>, Fault> {
    let scenes = sweep::scenes(&Bench::new()?, calls, arguments.seed)?;
    let mut report = sweep::Report::default();
    for part in shared(arguments.threads, |bench, thread| {
        let mine = |call: u64| call.is_multiple_of(step) && call / step % arguments.threads == thread;
        Ok(sweep::sweep(bench, &scenes, calls, mine))
    })? {
        report.add(part);
    }
    println!("| writes, truncations and syncs made to fail, each in four ways | {} |", calls.div_ceil(step));
    println!("| --- | --- |");
    println!("| starts of the store that they are of | {} |", scenes.len());
    println!("| runs in which a call failed | {} |", report.injected);
    println!("| of them, the store stopped or did not start | {} |", report.stopped);
    println!("| calls of the store in these runs | {} |", report.acknowledged);
    Ok(report.violations)
}

fn power_all(arguments: &Arguments, images: u64) -> Result<Vec<String>, Fault> {
    let mut report = power::Report::default();
    let share = images.div_ceil(arguments.threads);
    for part in shared(arguments.threads, |bench, thread| {
        power::campaign(bench, share, arguments.seed * 1_000 + thread, Plant::None)
    })? {
        report.add(part);
    }
    println!("| images opened after a power cut | {} |", report.images);
    println!("| --- | --- |");
    println!(
        "| workloads recorded, changes of the disk in them | {}, {} |",
        report.recordings, report.changes
    );
    println!("| calls acknowledged before the cut, over all images | {} |", report.acknowledged);
    Ok(report.violations)
}

fn full_disk(mebibytes: u32, server: Option<&std::path::Path>) -> Result<Vec<String>, Fault> {
    let point = tempfile::Builder::new().prefix("agentflow-full-").tempdir()?;
    let disk = match SmallDisk::mount(point.path(), mebibytes) {
        Ok(disk) => disk,
        Err(why) => {
            println!("passed over: no file system can be mounted here ({why})");
            return Ok(Vec::new());
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(full::campaign(&disk, server))?;
    println!("| leads acknowledged on a disk of {mebibytes} MiB | {} |", report.acknowledged);
    println!("| --- | --- |");
    println!("| answered 503 | {} |", report.refused);
    println!("| lines of the log that tell of it | {} |", report.lines);
    println!("| started while full | {} |", report.start_when_full);
    Ok(report.violations)
}
