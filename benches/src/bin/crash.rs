//! `scripts/crash [ROUNDS]`: a server under load is killed (SIGKILL) at a random moment and started again, many times.
//!
//! Whatever it had acknowledged must be there at the end, once, and its event must have reached the receiver; it must be
//! ready again within two seconds. Ends with exit code 1 on any violation.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agentflow_benches::Random;
use agentflow_benches::stack::{
    Accepted, Client, Connection, Fault, Latencies, LeadReply, Process, Received, Receiver, Site, leads,
};
use clap::Parser;
use serde::Deserialize;

/// Kills a server under load again and again, and checks that nothing acknowledged is lost
#[derive(Parser)]
struct Arguments {
    /// How often the server is killed
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Repeats the choices of a run
    #[arg(long)]
    seed: Option<u64>,
    /// Connections that send
    #[arg(long, default_value_t = 16)]
    senders: u32,
    /// The server's binary [default: the one beside this program]
    #[arg(long)]
    server: Option<PathBuf>,
}

const READY_MAX: Duration = Duration::from_secs(2);
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// What was sent, and what came of it.
struct Ledger {
    seed: u64,
    next: AtomicU64,
    duplicates: AtomicU64,
    stored_unanswered: AtomicU64,
    /// Number and id of each lead that was acknowledged.
    accepted: Mutex<Vec<(u64, String)>>,
    unanswered: Mutex<Vec<u64>>,
    violations: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("crash: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool, Fault> {
    let seed = arguments.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_millis() as u64 & 0xffff_ffff
    });
    println!("seed {seed}");
    let site = Site::found(arguments.server.as_deref())?;
    let ledger = Arc::new(Ledger {
        seed,
        next: AtomicU64::new(0),
        duplicates: AtomicU64::new(0),
        stored_unanswered: AtomicU64::new(0),
        accepted: Mutex::default(),
        unanswered: Mutex::default(),
        violations: Mutex::default(),
    });
    let outcome = rounds(&arguments, &site, &ledger).await;
    let violations = locked(&ledger.violations).clone();
    for violation in violations.iter().take(20) {
        println!("violation: {violation}");
    }
    println!("violations: {}", violations.len());
    if outcome.is_err() || !violations.is_empty() {
        println!("data folder and server.log are kept in {}", site.keep().display());
    }
    outcome.map(|()| violations.is_empty())
}

async fn rounds(arguments: &Arguments, site: &Site, ledger: &Arc<Ledger>) -> Result<(), Fault> {
    let receiver = Receiver::start(&site.credentials().outbound_secret).await?;
    site.configure(receiver.authority_pem(), "")?;
    let client = site.client()?;
    let mut random = Random::new(ledger.seed);
    let mut server = site.start()?;
    server.answers(&client, "/readyz").await?;
    client.add_destination(receiver.url()).await?;

    let (mut ready, mut resent) = (Vec::new(), 0);
    for _ in 0..arguments.rounds {
        let senders: Vec<_> = (0..arguments.senders)
            .map(|_| tokio::spawn(send_until_cut_off(client.clone(), Arc::clone(ledger), random.split())))
            .collect();
        tokio::time::sleep(Duration::from_millis(50 + random.below(550))).await;
        server.kill()?;
        for sender in senders {
            sender.await?;
        }
        server = site.start()?;
        ready.push(server.answers(&client, "/readyz").await?);
        resent += resend(&client, ledger).await?;
    }
    let received = drained(&client, &receiver, ledger).await?;
    audit(&client, ledger, &received).await?;
    stopped_well(server, site, ledger).await?;
    if let Some(slowest) = ready.iter().max().filter(|slowest| **slowest > READY_MAX) {
        ledger.violate(format!("ready only after {slowest:?}"));
    }
    for refused in receiver.refused() {
        ledger.violate(format!("the receiver was sent: {refused}"));
    }
    print_table(arguments, ledger, resent, &received, &Latencies::new(ready));
    Ok(())
}

/// New leads, and one in ten times one that was acknowledged before, until the server is gone.
async fn send_until_cut_off(client: Client, ledger: Arc<Ledger>, mut random: Random) {
    let Ok(mut connection) = client.connect().await else { return };
    loop {
        let known = if random.below(10) == 0 { ledger.any_accepted(&mut random) } else { None };
        let number =
            known.as_ref().map_or_else(|| ledger.next.fetch_add(1, Ordering::Relaxed), |known| known.0);
        match connection.send_lead(leads::body(ledger.seed, number)).await {
            Ok(LeadReply::Accepted(accepted)) => ledger.note(number, known, accepted),
            Ok(LeadReply::Refused(line)) => {
                return ledger.violate(format!("lead {number} was refused: {line}"));
            }
            Err(_) if known.is_some() => return,
            Err(_) => return locked(&ledger.unanswered).push(number),
        }
    }
}

/// Sends once more what got no answer, as a sender does.
async fn resend(client: &Client, ledger: &Ledger) -> Result<usize, Fault> {
    let numbers = std::mem::take(&mut *locked(&ledger.unanswered));
    let mut connection: Connection = client.connect().await?;
    for number in &numbers {
        match connection.send_lead(leads::body(ledger.seed, *number)).await? {
            LeadReply::Accepted(accepted) => {
                ledger.stored_unanswered.fetch_add(accepted.duplicate.into(), Ordering::Relaxed);
                locked(&ledger.accepted).push((*number, accepted.lead_id));
            }
            LeadReply::Refused(line) => {
                ledger.violate(format!("lead {number}, sent again, was refused: {line}"))
            }
        }
    }
    Ok(numbers.len())
}

impl Ledger {
    fn violate(&self, line: String) {
        locked(&self.violations).push(line);
    }

    fn any_accepted(&self, random: &mut Random) -> Option<(u64, String)> {
        let accepted = locked(&self.accepted);
        let place = random.below(accepted.len() as u64) as usize;
        accepted.get(place).cloned()
    }

    fn note(&self, number: u64, known: Option<(u64, String)>, reply: Accepted) {
        match known {
            None if !reply.duplicate => locked(&self.accepted).push((number, reply.lead_id)),
            None => {
                self.violate(format!("lead {number} is new and was called a duplicate of {}", reply.lead_id))
            }
            Some((_, lead_id)) if reply.duplicate && reply.lead_id == lead_id => {
                self.duplicates.fetch_add(1, Ordering::Relaxed);
            }
            Some((_, lead_id)) => self.violate(format!("lead {number}, {lead_id} before, is now {reply:?}")),
        }
    }
}

#[derive(Deserialize)]
struct EventHead {
    id: String,
    r#type: String,
}

#[derive(Deserialize)]
struct EventRow {
    id: String,
    r#type: String,
    lead_id: String,
}

#[derive(Deserialize)]
struct LeadRow {
    id: String,
    state: String,
    email: String,
    events: Vec<EventHead>,
}

/// Waits until every event in the store has been received, a minute at most; answers what was received.
async fn drained(
    client: &Client,
    receiver: &Receiver,
    ledger: &Ledger,
) -> Result<HashMap<String, Received>, Fault> {
    let events: Vec<EventRow> = client.list("/api/v1/events").await?;
    let begun = Instant::now();
    while receiver.count() < events.len() && begun.elapsed() < DRAIN_MAX {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let received = receiver.received();
    let mut pairs = HashSet::new();
    for event in &events {
        match received.get(&event.id) {
            None => ledger.violate(format!("{} {} was never received", event.id, event.r#type)),
            Some(it) if it.lead_id != event.lead_id || it.event_type != event.r#type => {
                ledger.violate(format!(
                    "{} is {} in the store and {it:?} at the receiver",
                    event.id, event.r#type
                ));
            }
            Some(_) => {}
        }
        if !pairs.insert((&event.lead_id, &event.r#type)) {
            ledger.violate(format!("{} has {} twice", event.lead_id, event.r#type));
        }
    }
    let stored: HashSet<&String> = events.iter().map(|event| &event.id).collect();
    for id in received.keys().filter(|id| !stored.contains(id)) {
        ledger.violate(format!("{id} was received and is not in the store"));
    }
    Ok(received)
}

/// Every acknowledged lead is there, with the one event of its state; nobody is there twice.
async fn audit(client: &Client, ledger: &Ledger, received: &HashMap<String, Received>) -> Result<(), Fault> {
    let rows: Vec<LeadRow> = client.list("/api/v1/leads").await?;
    let mut emails = HashSet::new();
    for lead in &rows {
        let expected = match lead.state.as_str() {
            "qualified" => "lead.qualified",
            "rejected" => "lead.rejected",
            "in_review" => "lead.review_requested",
            state => state,
        };
        let is_sound = matches!(lead.events.as_slice(), [event] if event.r#type == expected && received.contains_key(&event.id));
        if !is_sound {
            let events: Vec<&str> = lead.events.iter().map(|event| event.r#type.as_str()).collect();
            ledger.violate(format!("{} is {} and has the events {events:?}", lead.id, lead.state));
        }
        if !emails.insert(&lead.email) {
            ledger.violate(format!("{} has two leads", lead.email));
        }
    }
    let stored: HashSet<&str> = rows.iter().map(|lead| lead.id.as_str()).collect();
    let accepted = locked(&ledger.accepted);
    let lost = accepted.iter().filter(|(_, id)| !stored.contains(id.as_str()));
    let lost: Vec<String> = lost.map(|(number, id)| format!("lead {number}, {id}, is lost")).collect();
    let (rows, acknowledged) = (rows.len(), accepted.len());
    drop(accepted);
    lost.into_iter().for_each(|line| ledger.violate(line));
    if rows != acknowledged {
        ledger.violate(format!("{acknowledged} leads were acknowledged and {rows} are stored"));
    }
    Ok(())
}

/// A graceful stop ends with 0 and leaves a sound database.
async fn stopped_well(server: Process, site: &Site, ledger: &Ledger) -> Result<(), Fault> {
    let status = server.stop().await?;
    if !status.success() {
        ledger.violate(format!("after SIGTERM: {status}"));
    }
    let database = rusqlite::Connection::open(site.database())?;
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if verdict != "ok" {
        ledger.violate(format!("integrity_check: {verdict}"));
    }
    Ok(())
}

fn print_table(
    arguments: &Arguments,
    ledger: &Ledger,
    resent: usize,
    received: &HashMap<String, Received>,
    ready: &Latencies,
) {
    let of_type = |name| received.values().filter(|event| event.event_type == name).count();
    let again: u64 = received.values().map(|event| u64::from(event.times) - 1).sum();
    let most = received.values().map(|event| event.times).max().unwrap_or(0);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!("| kills at a random moment | {} |", arguments.rounds);
    println!("| --- | --- |");
    println!("| leads acknowledged | {} |", locked(&ledger.accepted).len());
    println!("| answered as duplicates, same lead | {} |", count(&ledger.duplicates));
    println!(
        "| cut off without an answer and sent again | {resent}, of them stored before {} |",
        count(&ledger.stored_unanswered)
    );
    println!(
        "| events received: qualified, rejected, review | {}, {}, {} |",
        of_type("lead.qualified"),
        of_type("lead.rejected"),
        of_type("lead.review_requested")
    );
    println!("| received once more than needed | {again}, one event at most {most} times |");
    println!(
        "| ready after a kill, ms: median, largest | {:.0}, {:.0} |",
        ready.percentile_ms(50),
        ready.percentile_ms(100)
    );
}
