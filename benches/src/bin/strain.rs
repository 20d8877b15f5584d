//! `scripts/strain`: what trouble costs. Stalled senders, a destination that hangs among others, a receiver that is down.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use agentflow_benches::stack::{Client, Fault, Process, ProcessUse, Receiver, Site, Until, intake, new_lead};
use clap::Parser;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Measures a server in trouble
#[derive(Parser)]
struct Arguments {
    /// Senders that begin a request and fall silent
    #[arg(long, default_value_t = 10_000)]
    stalled: usize,
    /// Deliveries that wait for a receiver that is down
    #[arg(long, default_value_t = 100_000)]
    pending: u64,
    /// Leads a second while one of ten destinations hangs
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// How long each rate is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Turns of good and bad in the comparison
    #[arg(long, default_value_t = 3)]
    turns: u64,
    /// The server's binary [default: the one beside this program]
    #[arg(long)]
    server: Option<PathBuf>,
}

const DESTINATIONS: usize = 10;
const SENDERS: u64 = 16;
const EVENTS_MAX: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("strain: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Fault> {
    stalled(arguments).await?;
    pending(arguments).await?;
    one_among_ten(arguments).await
}

async fn started(site: &Site) -> Result<(Client, Process), Fault> {
    let client = site.client()?;
    let mut server = site.start()?;
    server.answers(&client, "/readyz").await?;
    Ok((client, server))
}

/// Memory with stalled senders, and what they cost the others.
async fn stalled(arguments: &Arguments) -> Result<(), Fault> {
    let site = Site::found(arguments.server.as_deref())?;
    // Long enough that all of them are there at once.
    site.configure("", "[limits]\nheader_timeout_ms = 600000\nconnections_per_address_max = 16384\n")?;
    let (client, server) = started(&site).await?;
    let duration = Duration::from_secs(arguments.seconds);
    let without = intake(&client, 0, SENDERS, Until::Moment(Instant::now() + duration)).await?;
    let before = ProcessUse::of(server.pid())?;
    let mut held = Vec::new();
    while held.len() < arguments.stalled {
        let mut opening = JoinSet::new();
        for _ in 0..(arguments.stalled - held.len()).min(64) {
            let client = client.clone();
            opening.spawn(async move { client.stall().await });
        }
        while let Some(opened) = opening.join_next().await {
            held.push(opened??);
        }
    }
    let after = ProcessUse::of(server.pid())?;
    let with = intake(&client, 1, SENDERS, Until::Moment(Instant::now() + duration)).await?;
    println!(
        "{} stalled senders: {:.0} MiB of memory, {:.0} without; leads on {SENDERS} connections: p50 {:.2}, p99 {:.2} ms, without p50 {:.2}, p99 {:.2} ms",
        held.len(),
        mib(after.resident_kib),
        mib(before.resident_kib),
        with.percentile_ms(50),
        with.percentile_ms(99),
        without.percentile_ms(50),
        without.percentile_ms(99),
    );
    drop(held);
    ended(server).await
}

/// Memory with deliveries that wait for a receiver that is down.
async fn pending(arguments: &Arguments) -> Result<(), Fault> {
    let site = Site::found(arguments.server.as_deref())?;
    let (client, server) = started(&site).await?;
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    client.add_destination(&format!("https://127.0.0.1:{port}/")).await?;
    let idle = ProcessUse::of(server.pid())?;
    let begun = Instant::now();
    intake(&client, 0, 64, Until::Leads(arguments.pending)).await?;
    let took = begun.elapsed();
    sleep(Duration::from_secs(2)).await;
    let loaded = ProcessUse::of(server.pid())?;
    println!(
        "{} deliveries pending, their receiver down: {:.0} MiB of memory, at most {:.0}, idle {:.0}; accepted at {:.0}/s meanwhile",
        arguments.pending,
        mib(loaded.resident_kib),
        mib(loaded.resident_max_kib),
        mib(idle.resident_kib),
        arguments.pending as f64 / took.as_secs_f64(),
    );
    ended(server).await
}

/// A server with destinations of which one may hang.
struct Ten {
    client: Client,
    server: Process,
    good: Vec<Receiver>,
    _site: Site,
}

impl Ten {
    async fn start(arguments: &Arguments, hanging: Option<&str>) -> Result<Self, Fault> {
        let site = Site::found(arguments.server.as_deref())?;
        let mut good = Vec::new();
        for _ in usize::from(hanging.is_some())..DESTINATIONS {
            good.push(Receiver::start(&site.credentials().outbound_secret).await?);
        }
        let authorities: String = good.iter().map(Receiver::authority_pem).collect();
        site.configure(&authorities, "")?;
        let (client, server) = started(&site).await?;
        for url in good.iter().map(Receiver::url).chain(hanging) {
            client.add_destination(url).await?;
        }
        Ok(Self { client, server, good, _site: site })
    }

    /// Sends leads at the rate; how long after its answer each event was at each good destination, p50 and p99.
    async fn measure(&self, arguments: &Arguments, run: u64) -> Result<(f64, f64), Fault> {
        let mut connection = self.client.connect().await?;
        let mut ticks = interval(Duration::from_secs(1) / arguments.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = Vec::new();
        for number in 0..arguments.seconds * u64::from(arguments.rate) {
            ticks.tick().await;
            let at = Instant::now();
            sent.push((new_lead(&mut connection, run, number).await?, at));
        }
        let begun = Instant::now();
        let mut durations = Vec::new();
        for receiver in self.good.iter().take(DESTINATIONS - 1) {
            let mut came = received(receiver);
            while !sent.iter().all(|(lead, _)| came.contains_key(lead)) {
                if begun.elapsed() > EVENTS_MAX {
                    return Err("events did not come to a destination that is well".into());
                }
                sleep(Duration::from_millis(5)).await;
                came = received(receiver);
            }
            durations.extend(sent.iter().map(|(lead, at)| came[lead].saturating_duration_since(*at)));
        }
        let latencies = agentflow_benches::stack::Latencies::new(durations);
        Ok((latencies.percentile_ms(50), latencies.percentile_ms(99)))
    }
}

fn received(receiver: &Receiver) -> std::collections::HashMap<String, Instant> {
    receiver.received().into_values().map(|received| (received.lead_id, received.at)).collect()
}

/// What one destination that hangs costs the nine others.
async fn one_among_ten(arguments: &Arguments) -> Result<(), Fault> {
    let hanging = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://127.0.0.1:{}/", hanging.local_addr()?.port());
    // Connections are taken and nothing is ever said on them.
    tokio::spawn(async move {
        let mut silent: Vec<TcpStream> = Vec::new();
        while let Ok((socket, _)) = hanging.accept().await {
            silent.push(socket);
        }
    });
    let well = Ten::start(arguments, None).await?;
    let ill = Ten::start(arguments, Some(&url)).await?;
    println!(
        "\nsent to received at nine destinations, {} leads/s, {} s a turn\n| turn | the tenth well: p50, p99 ms | the tenth hangs: p50, p99 ms |\n| --- | --- | --- |",
        arguments.rate, arguments.seconds
    );
    for turn in 0..arguments.turns {
        let (well_p50, well_p99) = well.measure(arguments, turn).await?;
        let (ill_p50, ill_p99) = ill.measure(arguments, turn).await?;
        println!("| {turn} | {well_p50:.2}, {well_p99:.2} | {ill_p50:.2}, {ill_p99:.2} |");
    }
    ended(well.server).await?;
    ended(ill.server).await
}

async fn ended(server: Process) -> Result<(), Fault> {
    let status = server.stop().await?;
    if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
