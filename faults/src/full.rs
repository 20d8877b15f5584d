//! The server's binary on a small file system that runs full: it refuses, goes on when there is room, and loses nothing
//! that it acknowledged, killed while it was full or not.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agentflow_benches::stack::{Client, Connection, Fault, LeadReply, Receiver, Site, leads};
use serde::Deserialize;

/// Refusals after which the disk counts as full.
const REFUSALS: u32 = 200;
/// What is kept for later, to be given back.
const BALLAST_BYTES: usize = 2 << 20;
/// How long a server may take to see that there is room again.
const GOES_ON_WITHIN: Duration = Duration::from_secs(20);
/// Lines of the log that three starts and two full disks may cost, beside those that come back every ten seconds.
const LINES_MAX: u64 = 12;
/// Of those, at most so many in ten seconds: leads, attempts, claims.
const LINES_IN_TEN_SECONDS: u64 = 3;

/// A file system of its own; unmounted when dropped.
pub struct SmallDisk {
    point: PathBuf,
}

impl SmallDisk {
    /// Mounts one in memory with so many MiB.
    ///
    /// # Errors
    /// Why not: mounting wants root.
    pub fn mount(point: &Path, mebibytes: u32) -> Result<Self, Fault> {
        fs::create_dir_all(point)?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0755"), "tmpfs"])
            .arg(point)
            .output()?;
        if output.status.success() {
            Ok(Self { point: point.to_owned() })
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into())
        }
    }

    fn ballast(&self, name: &str) -> PathBuf {
        self.point.join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.point).status().ok();
    }
}

/// What was tried and what came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Leads acknowledged.
    pub acknowledged: u64,
    /// Leads answered 503.
    pub refused: u64,
    /// Lines of the log that tell of it.
    pub lines: usize,
    /// How a server starts on a full disk.
    pub start_when_full: String,
    /// Broken promises.
    pub violations: Vec<String>,
}

struct Sender {
    next: u64,
    accepted: Vec<String>,
    refused: u64,
    report: Report,
}

impl Sender {
    async fn send(&mut self, connection: &mut Connection) -> Result<bool, Fault> {
        let number = self.next;
        self.next += 1;
        match connection.send_lead(leads::body(7, number)).await? {
            LeadReply::Accepted(accepted) => {
                self.accepted.push(accepted.lead_id);
                Ok(true)
            }
            LeadReply::Refused(line) => {
                self.refused += 1;
                if !line.starts_with("503") || !line.contains("store_unavailable") {
                    self.report.violations.push(format!("a lead was answered {line}"));
                }
                Ok(false)
            }
        }
    }

    async fn until_full(&mut self, client: &Client) -> Result<(), Fault> {
        let mut connection = client.connect().await?;
        let full_at = self.refused + u64::from(REFUSALS);
        while self.refused < full_at {
            self.send(&mut connection).await?;
        }
        Ok(())
    }

    async fn until_accepted(&mut self, client: &Client) -> Result<(), Fault> {
        let mut connection = client.connect().await?;
        let begun = Instant::now();
        while begun.elapsed() < GOES_ON_WITHIN {
            if self.send(&mut connection).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.report.violations.push("there is room again, and it does not go on".to_owned());
        Ok(())
    }

    async fn audit(&mut self, client: &Client, when: &str) -> Result<(), Fault> {
        #[derive(Deserialize)]
        struct Row {
            id: String,
        }
        let rows: Vec<Row> = client.list("/api/v1/leads").await?;
        let stored: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let lost = self.accepted.iter().filter(|id| !stored.contains(id.as_str())).count();
        if lost > 0 {
            self.report.violations.push(format!("{when}: {lost} acknowledged leads are lost"));
        }
        if stored.len() != self.accepted.len() {
            let (stored, accepted) = (stored.len(), self.accepted.len());
            self.report
                .violations
                .push(format!("{when}: {stored} leads are stored, {accepted} acknowledged"));
        }
        Ok(())
    }
}

/// Runs it full twice, on a disk of so many MiB. `server`: the binary; absent: the one beside this program.
///
/// # Errors
/// The server cannot be run, or does not answer.
pub async fn campaign(disk: &SmallDisk, server: Option<&Path>) -> Result<Report, Fault> {
    let begun = Instant::now();
    let site = Site::found_at(server, Some(disk.point.join("data")))?;
    let receiver = Receiver::start(&site.credentials().outbound_secret).await?;
    site.configure(receiver.authority_pem(), "")?;
    let client = site.client()?;
    for name in ["first", "second"] {
        fs::write(disk.ballast(name), vec![0; BALLAST_BYTES])?;
    }
    let mut sender = Sender { next: 0, accepted: Vec::new(), refused: 0, report: Report::default() };

    let mut process = site.start()?;
    process.answers(&client, "/readyz").await?;
    client.add_destination(receiver.url()).await?;
    sender.until_full(&client).await?;
    sender.audit(&client, "full").await?;
    fs::remove_file(disk.ballast("first"))?;
    sender.until_accepted(&client).await?;

    sender.until_full(&client).await?;
    process.kill()?;
    let said = site.log().len();
    process = site.start()?;
    match process.answers_or_ends(&client, "/healthz").await? {
        None => {
            sender.report.start_when_full = "it serves reads".to_owned();
            sender.audit(&client, "started while full").await?;
            process.kill()?;
        }
        Some(status) => {
            let log = site.log();
            let line = log[said..].lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>();
            if line.len() != 1 || status.success() {
                sender.report.violations.push(format!("it ended with {status} and said {line:?}"));
            }
            sender.report.start_when_full = format!("{status}: {}", line.join(" | "));
        }
    }
    fs::remove_file(disk.ballast("second"))?;
    let mut process = site.start()?;
    process.answers(&client, "/readyz").await?;
    sender.audit(&client, "started with room").await?;
    sender.until_accepted(&client).await?;
    let status = process.stop().await?;
    if !status.success() {
        sender.report.violations.push(format!("after SIGTERM: {status}"));
    }
    let database = rusqlite::Connection::open(site.database())?;
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if verdict != "ok" {
        sender.report.violations.push(format!("integrity_check: {verdict}"));
    }

    let mut report = sender.report;
    let log = site.log();
    let tells = |line: &&str| line.contains("is full") || line.contains("could not be");
    report.lines = log.lines().filter(tells).count();
    let lines_max = LINES_MAX + LINES_IN_TEN_SECONDS * (begun.elapsed().as_secs() / 10);
    if report.lines == 0 || report.lines as u64 > lines_max {
        report.violations.push(format!("{} lines of the log tell of a full disk", report.lines));
    }
    (report.acknowledged, report.refused) = (sender.accepted.len() as u64, sender.refused);
    if !report.violations.is_empty() {
        println!("settings and server.log are kept in {}", site.keep().display());
    }
    Ok(report)
}
