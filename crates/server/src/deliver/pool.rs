//! Open connections that wait for a next request, each kept under the very address that was checked when it was opened.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::budget::Budget;

/// A connection to a checked address, authenticated for a name.
pub(super) struct Connection {
    pub(super) requests: SendRequest<Full<Bytes>>,
    /// Of the response that is under way.
    pub(super) budget: Budget,
}

/// What a connection may be used for: this name at this address, nothing else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    pub(super) name: ServerName<'static>,
    pub(super) address: SocketAddr,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

#[derive(Default)]
struct Shelves {
    peers: HashMap<Arc<Peer>, Vec<Idle>>,
    count: usize,
}

/// The idle connections of the whole server.
pub(super) struct Pool {
    shelves: Mutex<Shelves>,
    per_peer_max: usize,
    idle_max: usize,
}

impl Pool {
    /// How long a connection waits for its next request.
    pub(super) const IDLE_FOR: Duration = Duration::from_secs(30);

    pub(super) fn new(per_peer_max: usize, idle_max: usize) -> Self {
        Self { shelves: Mutex::default(), per_peer_max, idle_max }
    }

    /// The connection to this peer that was used last, if one is still open.
    pub(super) fn take(&self, peer: &Peer) -> Option<Connection> {
        let mut shelves = self.lock();
        let idle = shelves.peers.get_mut(peer)?;
        let before = idle.len();
        let mut found = None;
        while let Some(Idle { connection, since }) = idle.pop() {
            if !connection.requests.is_closed() && since.elapsed() < Self::IDLE_FOR {
                found = Some(connection);
                break;
            }
        }
        let taken = before - idle.len();
        if idle.is_empty() {
            shelves.peers.remove(peer);
        }
        shelves.count -= taken;
        found
    }

    /// Keeps a connection whose response was read to its end.
    pub(super) fn put(&self, peer: &Arc<Peer>, connection: Connection) {
        let mut shelves = self.lock();
        if connection.requests.is_closed() || shelves.count >= self.idle_max {
            return;
        }
        let idle = shelves.peers.entry(Arc::clone(peer)).or_default();
        if idle.len() < self.per_peer_max {
            idle.push(Idle { connection, since: Instant::now() });
            shelves.count += 1;
        }
    }

    /// Closes what has waited too long.
    pub(super) fn reap(&self) {
        let mut shelves = self.lock();
        shelves.peers.retain(|_, idle| {
            idle.retain(|idle| {
                !idle.connection.requests.is_closed() && idle.since.elapsed() < Self::IDLE_FOR
            });
            !idle.is_empty()
        });
        shelves.count = shelves.peers.values().map(Vec::len).sum();
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
