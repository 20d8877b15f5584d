//! A server that reads a lead over HTTPS and answers, and does nothing with it: what the transport alone costs here.

use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Client, Credentials, Fault, tls};

const ANSWER: &str =
    r#"{"status":"received","lead_id":"lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f","duplicate":false}"#;

/// The bare server as a process of its own; killed when dropped.
pub struct Bare {
    child: Child,
    client: Client,
    _folder: TempDir,
}

impl Bare {
    /// Runs this program again with `argument` and a path, which is to call [`serve_bare`].
    ///
    /// # Errors
    /// It does not start.
    pub fn start(argument: &str, credentials: &Credentials) -> Result<Self, Fault> {
        let folder = TempDir::new()?;
        let certificate_path = folder.path().join("ca.pem");
        let mut child = Command::new(std::env::current_exe()?)
            .arg(argument)
            .arg(&certificate_path)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let port: u16 = line.trim().parse()?;
        let inbound_url = format!("https://127.0.0.1:{port}/v1/inbound/token");
        let client =
            Client::new(&Credentials { inbound_url, certificate_path, ..credentials.clone() }, port)?;
        Ok(Self { child, client, _folder: folder })
    }

    /// A client for it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Serves until the process is killed: writes the authority to trust into the file, then the port to stdout.
///
/// # Errors
/// There is no port, or the file cannot be written.
pub async fn serve_bare(certificate: &std::path::Path) -> Result<Infallible, Fault> {
    let (acceptor, authority_pem) = tls::acceptor()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    fs::write(certificate, authority_pem)?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (socket, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            socket.set_nodelay(true).ok();
            let Ok(stream) = acceptor.accept(socket).await else { return };
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
