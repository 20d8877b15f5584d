//! Destinations that are not well, each in its own way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Fault, tls};

/// What is wrong with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Badness {
    /// Takes connections and says nothing.
    Hangs,
    /// Resets each connection once the request is there.
    Resets,
    /// Answers a byte every 100 ms, and never gets to the end of the head.
    TricklesHead,
    /// Answers 200 at once, and then a body without end, a byte every 100 ms.
    TricklesBody,
    /// Answers 500 at once.
    Fails,
}

impl Badness {
    /// Every kind.
    pub const ALL: [Badness; 5] =
        [Self::Hangs, Self::Resets, Self::TricklesHead, Self::TricklesBody, Self::Fails];
}

/// A bad destination on a free port of this machine; it stays there until the process ends.
pub struct Bad {
    url: String,
    authority_pem: String,
}

impl Bad {
    /// Begins to be bad.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(badness: Badness) -> Result<Self, Fault> {
        let (acceptor, authority_pem) = tls::acceptor()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}/agentflow", listener.local_addr()?.port());
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                if badness == Badness::Hangs {
                    silent.push(socket);
                } else {
                    // However it ends: its sender is what is measured.
                    tokio::spawn(serve(badness, acceptor.clone(), socket));
                }
            }
        });
        Ok(Self { url, authority_pem })
    }

    /// Where events are to be sent.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that its senders must trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }
}

async fn serve(badness: Badness, acceptor: TlsAcceptor, socket: TcpStream) -> Result<(), Fault> {
    socket.set_nodelay(true)?;
    let mut stream = acceptor.accept(socket).await?;
    while read_request(&mut stream).await? {
        match badness {
            Badness::Hangs => {}
            // Closed with bytes unread or on their way, a socket resets; this one closes without TLS's goodbye.
            Badness::Resets => return Ok(()),
            Badness::TricklesHead => trickle(&mut stream, b"HTTP/1.1 200 OK\r\n", b"x").await?,
            Badness::TricklesBody => {
                trickle(&mut stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n")
                    .await?;
            }
            Badness::Fails => {
                stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n").await?;
                stream.flush().await?;
            }
        }
    }
    Ok(())
}

/// Reads a request to its end; false where the connection ended before one.
async fn read_request(stream: &mut TlsStream<TcpStream>) -> Result<bool, Fault> {
    let (mut read, mut piece) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let bytes = stream.read(&mut piece).await?;
        if bytes == 0 {
            return Ok(false);
        }
        read.extend_from_slice(&piece[..bytes]);
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if read.len() >= end + 4 + length.unwrap_or(0_usize) {
            return Ok(true);
        }
    }
}

async fn trickle(stream: &mut TlsStream<TcpStream>, head: &[u8], again: &[u8]) -> Result<(), Fault> {
    stream.write_all(head).await?;
    loop {
        stream.flush().await?;
        sleep(Duration::from_millis(100)).await;
        stream.write_all(again).await?;
    }
}
