//! Real servers, each in a temporary folder, reached by a socket in it: no port, no configuration of this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "each test program uses one of the two")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A PostgreSQL server with a fresh cluster.
pub(crate) struct Postgres {
    process: Child,
    folder: TempDir,
}

impl Postgres {
    /// # Panics
    ///
    /// When PostgreSQL is not installed (`scripts/install` does that), or does not start.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        // It refuses to run as root, so root hands over to the package's user.
        let as_root =
            fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        if as_root {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        }
        let program = |name: &str| {
            let path = postgres_program(name);
            if !as_root {
                return Command::new(path);
            }
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=TERM"])
                .arg(path);
            command
        };
        let data = folder.path().join("data");
        let made = program("initdb")
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let mut process = program("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "logging_collector=off", "-k"])
            .arg(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for(process.stderr.take().unwrap(), "ready to accept connections");
        Self { process, folder }
    }

    /// How to reach it, as `tokio_postgres::Config` reads it.
    pub(crate) fn config(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.folder.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT: at once, with all of its children.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// Debian keeps the programs of each version in a folder of their own.
fn postgres_program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name))).collect())
        .unwrap_or_default();
    versions.retain(|path| path.exists());
    versions.sort();
    versions.pop().unwrap_or_else(|| Path::new(name).to_owned())
}

/// A Redis server that keeps nothing.
pub(crate) struct Redis {
    process: Child,
    folder: TempDir,
}

impl Redis {
    /// # Panics
    ///
    /// When Redis is not installed (`scripts/install` does that), or does not start.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("socket");
        let arguments = ["--port", "0", "--save", "", "--appendonly", "no", "--dir"].map(OsStr::new);
        let mut process = Command::new("redis-server")
            .args(arguments)
            .arg(folder.path())
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed");
        wait_for(process.stdout.take().unwrap(), "ready to accept connections");
        Self { process, folder }
    }

    /// How to reach it, as `redis::Client` reads it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("socket").display())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads a server's log until it says so, and then on, lest its pipe fill up.
fn wait_for(log: impl std::io::Read + Send + 'static, words: &str) {
    let mut lines = BufReader::new(log).lines();
    let mut seen = String::new();
    loop {
        match lines.next() {
            Some(Ok(line)) if line.contains(words) => break,
            Some(Ok(line)) => seen.extend([&line, "\n"]),
            _ => panic!("the server did not start:\n{seen}"),
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
}
