//! `scripts/load`: what one server does on this machine, with sender and receiver on the same cores, over TLS on both sides.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use agentflow_benches::stack::{
    Bare, BareRows, Client, Fault, Latencies, Process, ProcessUse, Receiver, Site, Until, bare_rows, intake,
    leads, new_lead, serve_bare,
};
use clap::Parser;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Measures a server: leads in over TLS, events out over TLS
#[derive(Parser)]
struct Arguments {
    /// How long each rate is measured
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many leads go in and out
    #[arg(long, default_value_t = 20_000)]
    drain: u64,
    /// The server's binary [default: the one beside this program]
    #[arg(long)]
    server: Option<PathBuf>,
    /// Serves the transport alone, and writes what to trust into this file; for the run itself
    #[arg(long, hide = true)]
    bare: Option<PathBuf>,
}

const CONCURRENCY: [u64; 4] = [1, 16, 64, 256];
const TRANSPORT_CONNECTIONS: u64 = 64;
const BARE_LEADS: u64 = 60_000;
const DRAIN_CONCURRENCY: u64 = 64;
const DRAIN_MAX: Duration = Duration::from_secs(120);
const PACED_PER_SECOND: u64 = 50;
const STARTS: usize = 7;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("load: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Fault> {
    if let Some(certificate) = &arguments.bare {
        match serve_bare(certificate).await? {}
    }
    let duration = Duration::from_secs(arguments.seconds);
    let site = Site::found(arguments.server.as_deref())?;
    let ceiling = commits(&site.database().with_file_name("ceiling.db"), duration)?;
    let rows = bare_rows(&site.database().with_file_name("rows.db"), BARE_LEADS, DRAIN_CONCURRENCY).await?;
    let transport = transport(&site, duration).await?;
    let floor = Floor { transport, rows };
    let receiver = Receiver::start(&site.credentials().outbound_secret).await?;
    site.configure(receiver.authority_pem(), "")?;
    let client = site.client()?;
    let mut server = site.start()?;
    server.answers(&client, "/readyz").await?;
    let pid = server.pid();
    println!("memory idle: {:.1} MiB", mib(ProcessUse::of(pid)?.resident_kib));

    println!("\n| connections | durable leads/s | p50 ms | p99 ms | server CPU us a lead | of the ceiling |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let per_second = ceiling.count() as f64 / duration.as_secs_f64();
    for (run, connections) in (1..).zip(CONCURRENCY) {
        let before = ProcessUse::of(pid)?;
        let begun = Instant::now();
        let latencies = intake(&client, run, connections, Until::Moment(begun + duration)).await?;
        let rate = latencies.count() as f64 / begun.elapsed().as_secs_f64();
        println!(
            "| {connections} | {rate:.0} | {:.2} | {:.2} | {:.1} | {:.2} |",
            latencies.percentile_ms(50),
            latencies.percentile_ms(99),
            micros_each(before, ProcessUse::of(pid)?, latencies.count()),
            rate / per_second,
        );
    }
    println!(
        "ceiling: {per_second:.0} rows/s, one producer, one row a commit, synchronous = FULL: p50 {:.2}, p99 {:.2} ms",
        ceiling.percentile_ms(50),
        ceiling.percentile_ms(99)
    );
    println!("the transport alone, {TRANSPORT_CONNECTIONS} connections: {transport:.1} us of CPU a request");
    println!(
        "three rows and two indexes alone, {DRAIN_CONCURRENCY} waiting: {:.0}/s at {:.1} us of CPU",
        rows.per_second, rows.cpu_micros
    );
    println!("memory after that: {:.1} MiB", mib(ProcessUse::of(pid)?.resident_kib));

    let server = starts(&site, &client, server).await?;
    client.add_destination(receiver.url()).await?;
    drain(&client, &receiver, server.pid(), arguments.drain, floor).await?;
    paced(&client, &receiver, duration).await?;
    let used = ProcessUse::of(server.pid())?;
    println!(
        "memory loaded: {:.1} MiB, at most {:.1} MiB",
        mib(used.resident_kib),
        mib(used.resident_max_kib)
    );
    for refused in receiver.refused().iter().take(5) {
        println!("the receiver was sent: {refused}");
    }
    let status = server.stop().await?;
    if status.success() && receiver.refused().is_empty() {
        Ok(())
    } else {
        Err(format!("ended with {status}").into())
    }
}

/// The disk without a server: one row a commit, synced, from one producer.
fn commits(path: &Path, duration: Duration) -> Result<Latencies, Fault> {
    let database = rusqlite::Connection::open(path)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (seq INTEGER PRIMARY KEY, body BLOB);",
    )?;
    let mut insert = database.prepare("INSERT INTO rows (body) VALUES (?)")?;
    let begun = Instant::now();
    let mut latencies = Vec::new();
    while begun.elapsed() < duration {
        let body = leads::body(0, latencies.len() as u64);
        let at = Instant::now();
        insert.execute([body.as_ref()])?;
        latencies.push(at.elapsed());
    }
    Ok(Latencies::new(latencies))
}

/// HTTPS without a server behind it: what hyper, rustls and the kernel take for one request on this machine.
async fn transport(site: &Site, duration: Duration) -> Result<f64, Fault> {
    let bare = Bare::start("--bare", site.credentials())?;
    let before = ProcessUse::of(bare.pid())?;
    let until = Until::Moment(Instant::now() + duration);
    let latencies = intake(bare.client(), 0, TRANSPORT_CONNECTIONS, until).await?;
    Ok(micros_each(before, ProcessUse::of(bare.pid())?, latencies.count()))
}

/// Stops the server and starts it again on its data, a few times.
async fn starts(site: &Site, client: &Client, mut server: Process) -> Result<Process, Fault> {
    let mut durations = Vec::new();
    for _ in 0..STARTS {
        let status = server.stop().await?;
        if !status.success() {
            return Err(format!("after SIGTERM: {status}").into());
        }
        server = site.start()?;
        durations.push(server.answers(client, "/healthz").await?);
    }
    let durations = Latencies::new(durations);
    println!(
        "\nstart to the first answer of /healthz, existing data: median {:.0} ms, largest {:.0} ms",
        durations.percentile_ms(50),
        durations.percentile_ms(100)
    );
    Ok(server)
}

/// What nobody can do without on this machine at this hour: a request in, a request out, and a lead's rows.
#[derive(Clone, Copy)]
struct Floor {
    /// CPU of a request with nothing behind it, in microseconds.
    transport: f64,
    rows: BareRows,
}

impl Floor {
    fn micros(self) -> f64 {
        2.0 * self.transport + self.rows.cpu_micros
    }
}

/// In and out: from the first lead to the last event.
async fn drain(
    client: &Client,
    receiver: &Receiver,
    pid: u32,
    leads: u64,
    floor: Floor,
) -> Result<(), Fault> {
    let expected = receiver.count() + leads as usize;
    let before = ProcessUse::of(pid)?;
    let begun = Instant::now();
    intake(client, 100, DRAIN_CONCURRENCY, Until::Leads(leads)).await?;
    let all_in = begun.elapsed();
    while receiver.count() < expected {
        if begun.elapsed() > DRAIN_MAX {
            return Err(format!("{} events of {expected} came in {DRAIN_MAX:?}", receiver.count()).into());
        }
        sleep(Duration::from_millis(2)).await;
    }
    let all_out = begun.elapsed();
    let cpu = micros_each(before, ProcessUse::of(pid)?, leads as usize);
    println!(
        "\n{leads} leads on {DRAIN_CONCURRENCY} connections, in: {:.0}/s, in and out to the last delivery: {:.0}/s; server CPU {cpu:.1} us a lead, {:.2} times two bare requests and the bare rows ({:.1} us)",
        leads as f64 / all_in.as_secs_f64(),
        leads as f64 / all_out.as_secs_f64(),
        cpu / floor.micros(),
        floor.micros(),
    );
    Ok(())
}

/// A quiet server: how long after its answer, or after it was sent, a lead's event is there.
async fn paced(client: &Client, receiver: &Receiver, duration: Duration) -> Result<(), Fault> {
    let mut connection = client.connect().await?;
    let mut ticks = interval(Duration::from_secs(1) / PACED_PER_SECOND as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let before = receiver.count();
    let mut accepted = HashMap::new();
    for number in 0..duration.as_secs() * PACED_PER_SECOND {
        ticks.tick().await;
        let sent = Instant::now();
        let lead_id = new_lead(&mut connection, 200, number).await?;
        accepted.insert(lead_id, (sent, Instant::now()));
    }
    let begun = Instant::now();
    while receiver.count() < before + accepted.len() && begun.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(2)).await;
    }
    let (mut from_answer, mut from_sending, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for received in receiver.received().into_values() {
        if let Some((sent, answered)) = accepted.remove(&received.lead_id) {
            from_answer.push(received.at.saturating_duration_since(answered));
            from_sending.push(received.at.saturating_duration_since(sent));
            answers.push(answered - sent);
        }
    }
    println!("\n| {PACED_PER_SECOND} leads/s | p50 ms | p99 ms |\n| --- | --- | --- |");
    for (name, durations) in [
        ("sent to accepted", answers),
        ("accepted to received", from_answer),
        ("sent to received", from_sending),
    ] {
        let durations = Latencies::new(durations);
        println!("| {name} | {:.2} | {:.2} |", durations.percentile_ms(50), durations.percentile_ms(99));
    }
    if accepted.is_empty() { Ok(()) } else { Err(format!("{} events did not come", accepted.len()).into()) }
}

fn micros_each(before: ProcessUse, after: ProcessUse, leads: usize) -> f64 {
    (after.cpu_micros - before.cpu_micros) as f64 / leads.max(1) as f64
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
