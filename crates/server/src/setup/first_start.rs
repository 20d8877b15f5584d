//! What a new folder's owner is told once: addresses and credentials.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use agentflow_events::WorkspaceId;
use serde::{Deserialize, Serialize};

use super::{SetupError, curl, files};

/// Everything in the clear that was minted for a new folder. No `Debug`: nearly all of it is secret.
///
/// Serialises to what is kept until it was told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstStart {
    /// The first workspace.
    pub workspace_id: WorkspaceId,
    /// Where leads are sent.
    pub inbound_url: String,
    /// Senders sign leads with it.
    pub inbound_secret: String,
    /// The server signs events with it.
    pub outbound_secret: String,
    /// The management API.
    pub api_url: String,
    /// A bearer token for it, with every right.
    pub api_token: String,
    /// The dashboard.
    pub dashboard_url: String,
    /// Its first admin.
    pub admin_email: String,
    /// The admin's password.
    pub admin_password: String,
    /// The certificate that the server shows.
    pub certificate_path: PathBuf,
}

impl FirstStart {
    const PENDING: &str = "first-start.json";
    const TEXT: &str = "first-start.txt";

    /// Marks a new folder, so that a founding that is broken off can be told from a folder in use.
    pub(super) fn begin(folder: &Path) -> Result<(), SetupError> {
        files::write(&folder.join(Self::PENDING), b"")
    }

    /// Whether the folder's founding was broken off, or has not been told yet.
    pub(super) fn is_pending(folder: &Path) -> bool {
        folder.join(Self::PENDING).exists()
    }

    /// What was kept and not told yet.
    pub(super) fn pending(folder: &Path) -> Result<Option<Self>, SetupError> {
        let path = folder.join(Self::PENDING);
        match fs::read(&path) {
            Ok(json) if json.is_empty() => Ok(None),
            Ok(json) => {
                let read =
                    serde_json::from_slice(&json).map_err(|fault| files::file_fault(&path, fault.into()))?;
                Ok(Some(read))
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(files::file_fault(&path, fault)),
        }
    }

    /// The same, with its addresses at `base_url`.
    pub(super) fn reached_at(mut self, base_url: &str) -> Self {
        let token = self.inbound_url.rsplit('/').next().unwrap_or_default();
        self.inbound_url = super::inbound_url(base_url, token);
        self.api_url = super::founding::api_url(base_url);
        self.dashboard_url = super::founding::dashboard_url(base_url);
        self
    }

    /// Keeps it (0600) until it was told.
    pub(super) fn keep(&self, folder: &Path) -> Result<(), SetupError> {
        let json = serde_json::to_vec(self).expect("texts always serialise");
        files::write(&folder.join(Self::PENDING), &json)
    }

    /// Forgets it, once it was told.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn told(folder: &Path) -> Result<(), SetupError> {
        files::remove(&folder.join(Self::PENDING))
    }

    /// Writes the text into `first-start.txt` (0600) of the folder and forgets the rest; answers the file's path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tell_in_a_file(&self, folder: &Path, self_signed: bool) -> Result<PathBuf, SetupError> {
        let path = folder.join(Self::TEXT);
        files::write(&path, self.to_text(self_signed).as_bytes())?;
        Self::told(folder)?;
        Ok(super::absolute(&path))
    }

    /// The object that `init --json` prints: all of this, and as `curl` the command that sends a first lead.
    pub fn to_json(&self, self_signed: bool) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            first_start: &'a FirstStart,
            curl: String,
        }
        let told = Told { first_start: self, curl: self.curl_line(self_signed) };
        serde_json::to_string_pretty(&told).expect("texts always serialise")
    }

    /// For people, with a command that sends a first lead. `self_signed`: the command must be told to trust the certificate.
    pub fn to_text(&self, self_signed: bool) -> String {
        let mut text = String::from(
            "AgentFlow is set up. Keep this in a safe place: password and API token are never shown again.\n\
             The inbound URL and both secrets are, to admins, in the dashboard's settings.\n\n",
        );
        for (name, value) in [
            ("Inbound URL", self.inbound_url.as_str()),
            ("Inbound secret", &self.inbound_secret),
            ("Outbound secret", &self.outbound_secret),
            ("API", &self.api_url),
            ("API token", &self.api_token),
            ("Dashboard", &self.dashboard_url),
            ("Admin", &self.admin_email),
            ("Admin password", &self.admin_password),
            ("Certificate", &self.certificate_path.to_string_lossy()),
            ("Workspace", &self.workspace_id.to_string()),
        ] {
            writeln!(text, "  {name:<16} {value}").expect("a String takes all that is written to it");
        }
        text.push_str("\nSend a first signed lead, in a shell on this machine:\n\n");
        text.push_str(&self.curl_line(self_signed));
        text.push('\n');
        text
    }

    /// The line that sends a first lead.
    fn curl_line(&self, self_signed: bool) -> String {
        let to = curl::Endpoint {
            url: Some(&self.inbound_url),
            secret: Some(&self.inbound_secret),
            certificate: self_signed.then_some(&*self.certificate_path),
        };
        curl::curl_line(to, curl::FIRST_LEAD)
    }
}
