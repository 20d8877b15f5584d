//! A receiver that does what no receiver should: bytes over TCP or TLS, as they are written down.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a connection begins with.
#[derive(Clone)]
pub(crate) enum Opening {
    /// Plain TCP; what the client says first is read and forgotten.
    Tcp,
    /// Plain TCP that is never read.
    Deaf,
    /// TLS, and a whole request read.
    Tls(TlsAcceptor),
}

/// What follows when everything is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Says the same to the next request.
    Answer,
    /// Says goodbye and closes.
    Close,
    /// Closes without a goodbye.
    Cut,
    /// Resets the connection.
    Reset,
    /// Says nothing more and waits for the client to go.
    Hang,
    /// The same again and again, as fast as the client takes it.
    Flood(&'static str),
    /// The same again and again, one byte after the other.
    Trickle(&'static str),
}

/// What happened at a receiver.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    /// Connections that are over.
    pub(crate) ended: AtomicUsize,
    /// Bytes that the client's side took, its buffers included.
    pub(crate) bytes: AtomicUsize,
    /// Whole requests, byte for byte.
    pub(crate) requests: Mutex<Vec<Vec<u8>>>,
}

/// Starts one on a free port.
pub(crate) async fn start(opening: Opening, says: Vec<u8>, ending: Ending) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, says) = (Arc::new(Seen::default()), Arc::new(says));
    let watched = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (opening, says, seen) = (opening.clone(), Arc::clone(&says), Arc::clone(&seen));
            seen.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                if ending == Ending::Reset {
                    tcp.set_zero_linger().unwrap();
                }
                connection(opening, tcp, &says, ending, &seen).await;
                seen.ended.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (address, watched)
}

async fn connection(opening: Opening, mut tcp: TcpStream, says: &[u8], ending: Ending, seen: &Seen) {
    match opening {
        Opening::Deaf => std::future::pending().await,
        Opening::Tcp => {
            let _ = tcp.read(&mut [0; 4_096]).await;
            talk(&mut tcp, says, ending, seen).await;
        }
        Opening::Tls(acceptor) => {
            let Ok(mut tls) = acceptor.accept(tcp).await else { return };
            while let Some(request) = request(&mut tls).await {
                seen.requests.lock().unwrap().push(request);
                if ending != Ending::Answer {
                    return talk(&mut tls, says, ending, seen).await;
                }
                if tls.write_all(says).await.is_err() || tls.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn talk(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), says: &[u8], ending: Ending, seen: &Seen) {
    if stream.write_all(says).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    seen.bytes.fetch_add(says.len(), Ordering::SeqCst);
    match ending {
        Ending::Close => drop(stream.shutdown().await),
        Ending::Answer | Ending::Cut | Ending::Reset => (),
        // Whatever else the client says; then it has gone.
        Ending::Hang => while stream.read(&mut [0; 4_096]).await.is_ok_and(|read| read > 0) {},
        Ending::Flood(piece) => {
            let pieces = piece.repeat(16_384 / piece.len() + 1);
            while stream.write_all(pieces.as_bytes()).await.is_ok() && stream.flush().await.is_ok() {
                seen.bytes.fetch_add(pieces.len(), Ordering::SeqCst);
            }
        }
        Ending::Trickle(piece) => {
            for byte in piece.bytes().cycle() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A whole request: its head, and so many bytes of body as it says.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if bytes.len() == end + 4 + length.parse::<usize>().unwrap() {
            return Some(bytes);
        }
    }
}
