//! The server's data folder, and the server as a process that can be killed.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use tempfile::TempDir;

use super::{Client, Fault};

/// What `init` tells, as far as it is needed.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    /// Where leads are sent.
    pub inbound_url: String,
    /// Signs leads.
    pub inbound_secret: String,
    /// Signs events.
    pub outbound_secret: String,
    /// Opens the API.
    pub api_token: String,
    /// Signs in to the dashboard.
    pub admin_email: String,
    /// With this password.
    pub admin_password: String,
    /// What clients must trust.
    pub certificate_path: PathBuf,
}

/// A data folder of its own at a port of its own; removed when dropped, unless it was [kept](Site::keep).
pub struct Site {
    folder: TempDir,
    data: PathBuf,
    binary: PathBuf,
    port: u16,
    credentials: Credentials,
}

/// A running server; killed when dropped.
pub struct Process {
    child: Child,
    begun: Instant,
}

impl Site {
    /// Makes the folder with the server's own `init`. `binary`: the server; absent: the one beside this program.
    ///
    /// # Errors
    /// There is no such server, or it cannot make the folder.
    pub fn found(binary: Option<&Path>) -> Result<Self, Fault> {
        Self::found_at(binary, None)
    }

    /// As [`found`](Self::found), with the data folder elsewhere; settings and `server.log` stay in the site's own.
    ///
    /// # Errors
    /// See [`found`](Self::found).
    pub fn found_at(binary: Option<&Path>, data: Option<PathBuf>) -> Result<Self, Fault> {
        let binary = match binary {
            Some(binary) => binary.to_owned(),
            None => std::env::current_exe()?.with_file_name("agentflow-server"),
        };
        let folder = tempfile::Builder::new().prefix("agentflow-").tempdir()?;
        let data = data.unwrap_or_else(|| folder.path().join("data"));
        // Free now, and asked for again at each start.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let output = Command::new(&binary)
            .args(["init", "--json", "--listen", &address(port), "--data-dir"])
            .arg(&data)
            .output()
            .map_err(|fault| format!("{}: {fault}", binary.display()))?;
        if !output.status.success() {
            return Err(format!("init: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let credentials = serde_json::from_slice(&output.stdout)?;
        let site = Self { folder, data, binary, port, credentials };
        site.configure("", "")?;
        Ok(site)
    }

    /// Lets the server deliver to this machine, to whom the authorities (PEM) vouch for. `more`: further settings, TOML.
    ///
    /// # Errors
    /// The settings cannot be written.
    pub fn configure(&self, authority_pem: &str, more: &str) -> Result<(), Fault> {
        let authority = self.folder.path().join("ca.pem");
        fs::write(&authority, authority_pem)?;
        let mut settings = String::from("[delivery]\nallow_networks = [\"127.0.0.0/8\"]\n");
        if !authority_pem.is_empty() {
            settings.push_str(&format!("extra_ca = '{}'\n", authority.display()));
        }
        settings.push_str(more);
        Ok(fs::write(self.settings(), settings)?)
    }

    /// Keeps the port from others while no server runs there.
    ///
    /// # Errors
    /// Somebody else has taken it.
    pub fn hold_port(&self) -> Result<TcpListener, Fault> {
        Ok(TcpListener::bind(("127.0.0.1", self.port))?)
    }

    /// What `init` told.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.data.join("agentflow.db")
    }

    /// What the server has said, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A client for this server.
    ///
    /// # Errors
    /// See [`Client::new`].
    pub fn client(&self) -> Result<Client, Fault> {
        Client::new(&self.credentials, self.port)
    }

    /// Starts the server; what it says goes to `server.log` of the folder.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start(&self) -> Result<Process, Fault> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let begun = Instant::now();
        let child = Command::new(&self.binary)
            .args(["--listen", &address(self.port), "--data-dir"])
            .arg(&self.data)
            .arg("--config")
            .arg(self.settings())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Process { child, begun })
    }

    /// Leaves the folder where it is, for a look at it.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("agentflow.toml")
    }
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

impl Process {
    const START_MAX: Duration = Duration::from_secs(30);
    const STOP_MAX: Duration = Duration::from_secs(30);

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first 200 at `path`; answers how long that took from the start of the process.
    ///
    /// # Errors
    /// The process ended, or half a minute has passed.
    pub async fn answers(&mut self, client: &Client, path: &str) -> Result<Duration, Fault> {
        while self.begun.elapsed() < Self::START_MAX {
            if let Ok(mut connection) = client.connect().await
                && let Ok((StatusCode::OK, _)) = connection.api(Method::GET, path, Bytes::new()).await
            {
                return Ok(self.begun.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended at its start: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(format!("no 200 at {path} for {:?}", Self::START_MAX).into())
    }

    /// Waits for the first 200 at `path`, or for its end by itself; answers how it ended, then.
    ///
    /// # Errors
    /// Neither within half a minute.
    pub async fn answers_or_ends(
        &mut self,
        client: &Client,
        path: &str,
    ) -> Result<Option<ExitStatus>, Fault> {
        match self.answers(client, path).await {
            Ok(_) => Ok(None),
            Err(fault) => self.child.try_wait()?.map(Some).ok_or(fault),
        }
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It had ended before.
    pub fn kill(mut self) -> Result<(), Fault> {
        if let Some(status) = self.child.try_wait()? {
            return Err(format!("the server ended by itself: {status}").into());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; answers how it ended.
    ///
    /// # Errors
    /// It did not end in half a minute.
    pub async fn stop(mut self) -> Result<ExitStatus, Fault> {
        let begun = Instant::now();
        Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &self.pid().to_string()]).status()?;
        while begun.elapsed() < Self::STOP_MAX {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(format!("the server was told to stop and did not for {:?}", Self::STOP_MAX).into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
