//! `scripts/pages`: how long the dashboard's lists take with a month behind them, and what an export of all of it costs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use agentflow_benches::stack::{Fault, Latencies, Operator, Past, ProcessUse, Site, live_through};
use clap::Parser;
use http_body_util::BodyExt;
use tokio::time::sleep;

/// Measures the dashboard's lists over a month of leads, and their export as CSV to a fast and a slow reader
#[derive(Parser)]
struct Arguments {
    /// How many leads the month had
    #[arg(long, default_value_t = 100_000)]
    leads: u64,
    /// How often each page is asked for
    #[arg(long, default_value_t = 50)]
    requests: usize,
    /// The server's binary [default: the one beside this program]
    #[arg(long)]
    server: Option<PathBuf>,
}

/// What an export may add to the server's memory.
const EXPORT_KIB_MAX: u64 = 10 * 1024;
/// A slow reader takes so much at a time, and waits so long after it.
const SLOWLY: (usize, Duration) = (64 * 1024, Duration::from_millis(4));

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("pages: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Fault> {
    let site = Site::found(arguments.server.as_deref())?;
    let (begun, port) = (Instant::now(), site.hold_port()?);
    let past = live_through(&site, arguments.leads).await?;
    let mib = std::fs::metadata(site.database())?.len() / (1024 * 1024);
    println!("a month of {} leads in {:.0} s, {mib} MiB", arguments.leads, begun.elapsed().as_secs_f64());

    let client = site.client()?;
    drop(port);
    let mut server = site.start()?;
    server.answers(&client, "/readyz").await?;
    let mut operator = Operator::sign_in(&client, site.credentials()).await?;
    println!("\n| page | KiB | p50 ms | p99 ms |\n| --- | --- | --- | --- |");
    for (name, path) in pages(&mut operator, &past, arguments.leads).await? {
        let mut latencies = Vec::new();
        let mut bytes = 0;
        for _ in 0..arguments.requests {
            let asked = Instant::now();
            bytes = operator.page(&path).await?.len();
            latencies.push(asked.elapsed());
        }
        let latencies = Latencies::new(latencies);
        println!(
            "| {name} | {} | {:.1} | {:.1} |",
            bytes.div_ceil(1024),
            latencies.percentile_ms(50),
            latencies.percentile_ms(99)
        );
    }
    println!(
        "\n| export | rows | MiB | s | memory before, MiB | more at most, MiB |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (name, pace) in [("fast", None), ("slow", Some(SLOWLY))] {
        let export = export(&mut operator, server.pid(), pace).await?;
        println!(
            "| {name} | {} | {} | {:.1} | {:.1} | {:.1} |",
            export.rows,
            export.bytes / (1024 * 1024),
            export.duration.as_secs_f64(),
            export.before_kib as f64 / 1024.0,
            export.more_kib as f64 / 1024.0
        );
        if export.rows != arguments.leads {
            return Err(format!("{} leads were exported, not {}", export.rows, arguments.leads).into());
        }
        if export.more_kib > EXPORT_KIB_MAX {
            return Err(format!("the export took {} KiB of memory", export.more_kib).into());
        }
    }
    let status = server.stop().await?;
    if status.success() { Ok(()) } else { Err(format!("ended with {status}").into()) }
}

/// Every list under every filter, with names; searches for what is in every lead, in one, and in none.
async fn pages(operator: &mut Operator, past: &Past, leads: u64) -> Result<Vec<(String, String)>, Fault> {
    let mut pages = Vec::new();
    let mut add = |name: &str, path: &str| pages.push((name.to_owned(), format!("/dashboard/{path}")));
    add("overview", "overview");
    add("overview, 30 days", "overview?span=month");
    add("review", "review");
    add("review, `q` in one", &format!("review?q=ellis.0.{}%40", leads / 20 * 10 + 6));
    add("review, `q` in none", "review?q=nowhere");
    add("leads", "leads");
    for state in ["received", "in_review", "qualified", "rejected"] {
        add(&format!("leads, {state}"), &format!("leads?state={state}"));
    }
    add("leads, source", "leads?source=newsletter");
    add("leads, source of none", "leads?source=nowhere");
    add("leads, `q` in all", "leads?q=stacklane");
    add("leads, `q` in one, a half back", &format!("leads?q=ellis.0.{}%40", leads / 2));
    add("leads, `q` in none", "leads?q=nowhere");
    add("leads, `q` in none, rejected", "leads?q=nowhere&state=rejected");
    add("inbound", "inbound");
    for status in ["received", "duplicate", "rejected"] {
        add(&format!("inbound, {status}"), &format!("inbound?status={status}"));
    }
    add("inbound, reason", "inbound?reason=invalid_signature");
    add("inbound, reason of none", "inbound?reason=rate_limited");
    add("outbound", "outbound");
    for state in ["pending", "delivered", "dead", "cancelled", "superseded"] {
        add(&format!("outbound, {state}"), &format!("outbound?state={state}"));
    }
    add("outbound, type", "outbound?event_type=lead.review_requested");
    add("outbound, destination", &format!("outbound?destination={}", past.busy));
    add("outbound, destination, cancelled", &format!("outbound?destination={}&state=cancelled", past.paused));
    add("destinations", "destinations");
    add("one destination", &format!("destinations/{}", past.busy));
    add("audit", "audit");
    for list in ["leads", "inbound", "outbound", "audit"] {
        let (path, behind) = deep(operator, &format!("/dashboard/{list}"), leads / 2).await?;
        pages.push((format!("{list}, {behind} rows back"), path));
    }
    Ok(pages)
}

/// The page so many rows back, or the last one, by the links from one to the next; and how many are before it.
async fn deep(operator: &mut Operator, list: &str, rows: u64) -> Result<(String, u64), Fault> {
    const PAGE_ROWS: u64 = 50;
    let (mut path, mut behind) = (list.to_owned(), 0);
    while behind < rows {
        let page = operator.page(&path).await?;
        let page = std::str::from_utf8(&page)?;
        let Some((_, link)) = page.split_once("rel=\"next\" href=\"") else { break };
        path = link.split('"').next().unwrap_or_default().replace("&amp;", "&");
        behind += PAGE_ROWS;
    }
    Ok((path, behind))
}

struct Export {
    rows: u64,
    bytes: usize,
    duration: Duration,
    before_kib: u64,
    more_kib: u64,
}

/// Reads all leads as CSV. No field of them has a line's end in it.
async fn export(operator: &mut Operator, pid: u32, pace: Option<(usize, Duration)>) -> Result<Export, Fault> {
    ProcessUse::forget_most(pid)?;
    let before_kib = ProcessUse::of(pid)?.resident_kib;
    let begun = Instant::now();
    let mut body = operator.open("/dashboard/leads.csv").await?;
    let (mut lines, mut bytes, mut since_pause) = (0, 0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes += piece.len();
        since_pause += piece.len();
        if let Some((at_a_time, pause)) = pace
            && since_pause >= at_a_time
        {
            since_pause = 0;
            sleep(pause).await;
        }
    }
    let more_kib = ProcessUse::of(pid)?.resident_max_kib.saturating_sub(before_kib);
    // The first line names the columns.
    Ok(Export { rows: lines.saturating_sub(1), bytes, duration: begun.elapsed(), before_kib, more_kib })
}
