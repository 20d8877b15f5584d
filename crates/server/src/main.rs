//! Arguments and environment to a [`Config`], then the server or `init`; ends with an exit code.
//!
//! 0: done, or stopped by a signal and drained. 1: could not start, or the store failed. 2: a wrong argument or setting, or
//! `init` on a folder that exists.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use agentflow_server::clock::Clock;
use agentflow_server::config::{self, Config, Flags};
use agentflow_server::server::Server;
use agentflow_server::setup::{self, FirstStart, SetupError};
use agentflow_server::telemetry::log_to_stderr;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A lead's memory is taken on one thread and given back on another, the store's, which the system's allocator pays for with
/// locks: this one takes a tenth to a quarter less CPU a lead (`scripts/load`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the end at a second signal waits for decisions that are being taken.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// Receives signed leads, qualifies them, and delivers signed events.
///
/// Every setting is also an AGENTFLOW_… environment variable and a key of the TOML file; a flag wins over a variable, a
/// variable over the file.
#[derive(Parser)]
#[command(name = "agentflow-server", version)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the data folder without serving, and prints its addresses and credentials once
    Init {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Copies the database into a new file while the server runs; the master key is not in it
    Backup {
        /// The copy, which must not exist
        file: PathBuf,
    },
    /// Prints a link with which somebody who is locked out chooses a password anew; no server may run meanwhile
    Invite {
        /// What the person signs in with
        email: String,
        /// Ask for no code of an authenticator any more
        #[arg(long)]
        reset_second_factor: bool,
    },
    /// Encrypts the stored secrets anew under another master key; no server may run meanwhile
    Rekey {
        /// File of the new key, made where there is none [default: a fresh key in the data folder]
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
}

/// One line for the user, and the exit code.
struct Failure(String, u8);

impl Failure {
    fn usage(line: impl ToString) -> Self {
        Self(line.to_string(), 2)
    }

    fn start(line: impl ToString) -> Self {
        Self(line.to_string(), 1)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(line, code)) => {
            // The reader may be gone; the code tells the rest.
            writeln!(std::io::stderr(), "agentflow-server: {line}").ok();
            ExitCode::from(code)
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => return Err(Failure::usage(one_line(&error))),
        Err(help) => {
            help.print().ok();
            return Ok(());
        }
    };
    let config = load(&arguments.flags)?;
    log_to_stderr(&config.log.filter, config.log.format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::start)?;
    runtime.block_on(async {
        match arguments.command {
            Some(Command::Init { json }) => init(config, json).await,
            Some(Command::Backup { file }) => back_up(&config, &file),
            Some(Command::Invite { email, reset_second_factor }) => {
                invite(config, &email, reset_second_factor).await
            }
            Some(Command::Rekey { new_key_file }) => rekey(config, new_key_file.as_deref()).await,
            None => serve(config).await,
        }
    })
}

/// Every connection is an open file, and systems allow a thousand unless they are asked for more.
fn raise_file_limit(config: &Config) {
    const OTHER_FILES: u64 = 256;
    let connections = config.limits.connections_max + 2 * config.delivery.concurrency;
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    match rlimit::increase_nofile_limit(needed) {
        Ok(allowed) if allowed >= needed => {}
        Ok(allowed) => tracing::warn!(
            allowed,
            needed,
            "too few open files are allowed for limits.connections_max; raise the limit (ulimit -n, LimitNOFILE) or lower that setting"
        ),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    format!("{}; see --help", first.strip_prefix("error: ").unwrap_or(first))
}

fn load(flags: &Flags) -> Result<Config, Failure> {
    // A variable that is not text is not one of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment: Vec<(String, String)> = environment.collect();
    let from_environment =
        || environment.iter().find(|(name, value)| name == Flags::CONFIG_VARIABLE && !value.is_empty());
    let path = flags.config.clone().or_else(|| from_environment().map(|(_, path)| path.into()));
    let file = match &path {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|fault| {
                Failure::usage(format!("--config: cannot read {}: {fault}", path.display()))
            })?;
            Some((path.to_string_lossy(), text))
        }
        None => None,
    };
    let file = file.as_ref().map(|(name, text)| (name.as_ref(), text.as_str()));
    let loaded = config::load(flags, environment.iter().cloned(), file).map_err(Failure::usage)?;
    for name in loaded.passed_over {
        writeln!(std::io::stderr(), "agentflow-server: {name} is no setting of the server; passed over").ok();
    }
    Ok(loaded.config)
}

async fn init(config: Config, json: bool) -> Result<(), Failure> {
    setup::check_is_new(&config).map_err(Failure::usage)?;
    let base_url = setup::base_url(&config, config.listen.port());
    let home = setup::open(&config, &base_url, &Clock::system()).await.map_err(Failure::start)?;
    home.store.close().await;
    let Some(first_start) = home.untold else {
        return Err(Failure::usage("the store has workspaces already; start the server with it"));
    };
    let self_signed = setup::is_self_signed(&config);
    let text = if json { first_start.to_json(self_signed) + "\n" } else { first_start.to_text(self_signed) };
    print(&text).map_err(Failure::start)?;
    FirstStart::told(&config.data_dir).map_err(Failure::start)
}

fn back_up(config: &Config, file: &Path) -> Result<(), Failure> {
    let done = setup::back_up(config, file).map_err(|fault| match fault {
        SetupError::BackupExists(_) => Failure::usage(fault),
        fault => Failure::start(fault),
    })?;
    let (bytes, file) = (done.bytes, file.display());
    print(&format!(
        "{bytes} bytes are in {file}\nits secrets open with the master key of {} alone: keep a copy of that, too, and elsewhere\n",
        done.key_place
    ))
    .map_err(Failure::start)
}

async fn invite(config: Config, email: &str, resets_factor: bool) -> Result<(), Failure> {
    let invited = setup::invite(&config, email, resets_factor, &Clock::system()).await;
    let invited = invited.map_err(|fault| match fault {
        SetupError::NobodyNamed(_) => Failure::usage(fault),
        fault => Failure::start(fault),
    })?;
    let (link, until) = (invited.link.as_str(), invited.expires_at.to_rfc3339());
    print(&format!(
        "{link}\nwhoever has this link chooses the password of {email}; it works once, until {until}; start the server first\n"
    ))
    .map_err(Failure::start)
}

async fn rekey(config: Config, new_key_file: Option<&Path>) -> Result<(), Failure> {
    let done = setup::rekey(&config, new_key_file).await.map_err(|fault| match fault {
        SetupError::NewKeyUnnamed | SetupError::SameKey(_) => Failure::usage(fault),
        fault => Failure::start(fault),
    })?;
    let (count, from, to, path) = (done.count, done.from, done.to, done.key_path.display());
    let mut text = format!(
        "{count} values were encrypted under {from}, and are under {to} now; that key is in {path}\n"
    );
    if done.must_be_named {
        text.push_str("name it with secrets.key_file before the next start\n");
    }
    print(&text).map_err(Failure::start)
}

async fn serve(config: Config) -> Result<(), Failure> {
    raise_file_limit(&config);
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::start)?;
    let (data_dir, self_signed) = (config.data_dir.clone(), setup::is_self_signed(&config));
    let server = Server::start(config, Clock::system()).await.map_err(Failure::start)?;
    if let Some(first_start) = server.untold() {
        if std::io::stdout().is_terminal() {
            print(&first_start.to_text(self_signed)).map_err(Failure::start)?;
            FirstStart::told(&data_dir).map_err(Failure::start)?;
        } else {
            let path = first_start.tell_in_a_file(&data_dir, self_signed).map_err(Failure::start)?;
            print(&format!("first start: addresses and credentials are in {}\n", path.display()))
                .map_err(Failure::start)?;
        }
    }
    tracing::info!(address = %server.local_addr(), data_dir = %data_dir.display(), "listening");
    print(&format!("listening on {}\n", server.base_url())).ok();

    let shutdown = CancellationToken::new();
    let (stop, dashboard) = (shutdown.clone(), server.dashboard());
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
        tracing::info!(
            "stopping: requests and attempts in flight finish; a second signal ends within a second"
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // An operator has been told that a held decision stands.
        dashboard.close();
        timeout(SETTLE_MAX, dashboard.settle()).await.ok();
        std::process::exit(1);
    });
    server.run(shutdown).await.map_err(Failure::start)
}

fn print(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
