//! `scripts/events`: what delivering costs by itself, and what a backlog costs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use agentflow_benches::stack::{Fault, Fleet, Latencies, ProcessUse, Site, Until, intake};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Measures delivering: events out over TLS, to one destination and to a hundred
#[derive(Parser)]
struct Arguments {
    /// Deliveries in each run
    #[arg(long, default_value_t = 20_000)]
    deliveries: u64,
    /// Deliveries that wait for a receiver that is down
    #[arg(long, default_value_t = 100_000)]
    pending: u64,
    /// Length of the paced runs
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The server's binary [default: the one beside this program]
    #[arg(long)]
    server: Option<PathBuf>,
}

const PACED_PER_SECOND: u32 = 100;
const STARTS: usize = 7;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("events: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Fault> {
    println!(
        "| destinations | events/s | server CPU us an event | lead sent to event received, p50 ms | p99 ms |\n| --- | --- | --- | --- | --- |"
    );
    for destinations in [1, 100] {
        out(arguments, destinations).await?;
    }
    pending(arguments).await
}

/// A quiet server; then events that were committed while their destinations were paused, so that nothing but delivering is
/// measured.
async fn out(arguments: &Arguments, destinations: usize) -> Result<(), Fault> {
    let fleet = Fleet::start(arguments.server.as_deref(), destinations, None).await?;
    let waits = fleet
        .paced(
            1,
            (PACED_PER_SECOND / destinations as u32).max(1),
            Duration::from_secs(arguments.seconds),
            destinations,
        )
        .await?;
    let before = fleet.count(destinations);
    fleet.pause(true).await?;
    let leads = (arguments.deliveries / destinations as u64).max(1);
    intake(&fleet.client, 2, 64, Until::Leads(leads)).await?;
    let pid = fleet.server.pid();
    let (used, begun) = (ProcessUse::of(pid)?, Instant::now());
    fleet.pause(false).await?;
    let events = leads as usize * destinations;
    fleet.came(destinations, before + events).await?;
    let took = begun.elapsed();
    let micros = (ProcessUse::of(pid)?.cpu_micros - used.cpu_micros) as f64;
    println!(
        "| {destinations} | {:.0} | {:.1} | {:.2} | {:.2} |",
        events as f64 / took.as_secs_f64(),
        micros / events as f64,
        waits.percentile_ms(50),
        waits.percentile_ms(99),
    );
    fleet.stop().await
}

/// Memory with a backlog, and how soon a server with one is ready.
async fn pending(arguments: &Arguments) -> Result<(), Fault> {
    let site = Site::found(arguments.server.as_deref())?;
    let client = site.client()?;
    let mut server = site.start()?;
    server.answers(&client, "/readyz").await?;
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    client.add_destination(&format!("https://127.0.0.1:{port}/")).await?;
    intake(&client, 0, 64, Until::Leads(arguments.pending)).await?;
    sleep(Duration::from_secs(2)).await;
    let grown = ProcessUse::of(server.pid())?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        server.stop().await?;
        server = site.start()?;
        starts.push(server.answers(&client, "/readyz").await?);
    }
    sleep(Duration::from_secs(2)).await;
    let started = ProcessUse::of(server.pid())?;
    let starts = Latencies::new(starts);
    println!(
        "\n{} deliveries pending, their receiver down: {:.0} MiB of memory after they came, at most {:.0}; {:.0} MiB after a start; start to ready: median {:.0} ms, largest {:.0} ms",
        arguments.pending,
        mib(grown.resident_kib),
        mib(grown.resident_max_kib),
        mib(started.resident_kib),
        starts.percentile_ms(50),
        starts.percentile_ms(100),
    );
    server.stop().await?;
    Ok(())
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
