//! Open connections that wait for a next request, each kept under the very address that was checked when it was opened.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
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

struct Idle<C> {
    connection: C,
    since: Instant,
    /// Its place in [`Shelves::by_age`].
    number: u64,
}

struct Shelves<C> {
    /// Those of each peer, the one that was used last at the back.
    peers: HashMap<Arc<Peer>, VecDeque<Idle<C>>>,
    /// All of them, the one that has waited longest first.
    by_age: BTreeMap<u64, Arc<Peer>>,
    numbered: u64,
}

/// The idle connections of the whole server. Where there are too many, those that have waited longest are closed: one that
/// was just used is the likeliest to be used again.
pub(super) struct Pool<C = Connection> {
    shelves: Mutex<Shelves<C>>,
    per_peer_max: usize,
    idle_max: usize,
}

/// What may be kept.
pub(super) trait Keep {
    /// Whether it cannot be used any more.
    fn is_closed(&self) -> bool;
}

impl Keep for Connection {
    fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

impl<C: Keep> Pool<C> {
    /// How long a connection waits for its next request.
    pub(super) const IDLE_FOR: Duration = Duration::from_secs(30);

    pub(super) fn new(per_peer_max: usize, idle_max: usize) -> Self {
        let shelves = Shelves { peers: HashMap::default(), by_age: BTreeMap::new(), numbered: 0 };
        Self { shelves: Mutex::new(shelves), per_peer_max, idle_max }
    }

    /// The connection to this peer that was used last, if one is still open.
    pub(super) fn take(&self, peer: &Peer) -> Option<C> {
        let mut shelves = self.lock();
        let Shelves { peers, by_age, .. } = &mut *shelves;
        let idle = peers.get_mut(peer)?;
        let mut found = None;
        while found.is_none()
            && let Some(last) = idle.pop_back()
        {
            by_age.remove(&last.number);
            found = is_usable(&last).then_some(last.connection);
        }
        if idle.is_empty() {
            peers.remove(peer);
        }
        found
    }

    /// Keeps a connection whose response was read to its end.
    pub(super) fn put(&self, peer: &Arc<Peer>, connection: C) {
        let mut shelves = self.lock();
        let kept = shelves.peers.get(peer).map_or(0, VecDeque::len);
        if connection.is_closed() || kept >= self.per_peer_max {
            return;
        }
        let number = shelves.numbered;
        shelves.numbered += 1;
        shelves.by_age.insert(number, Arc::clone(peer));
        let idle = Idle { connection, since: Instant::now(), number };
        shelves.peers.entry(Arc::clone(peer)).or_default().push_back(idle);
        if shelves.by_age.len() > self.idle_max {
            shelves.close_oldest();
        }
    }

    /// Closes what has waited too long.
    pub(super) fn reap(&self) {
        let mut shelves = self.lock();
        let Shelves { peers, by_age, .. } = &mut *shelves;
        peers.retain(|_, idle| {
            idle.retain(|idle| {
                let usable = is_usable(idle);
                if !usable {
                    by_age.remove(&idle.number);
                }
                usable
            });
            !idle.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Shelves<C>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Shelves<C> {
    fn close_oldest(&mut self) {
        let Some((_, peer)) = self.by_age.pop_first() else { return };
        if let Some(idle) = self.peers.get_mut(&peer) {
            // The oldest of all is the oldest of its peer.
            idle.pop_front();
            if idle.is_empty() {
                self.peers.remove(&peer);
            }
        }
    }
}

fn is_usable<C: Keep>(idle: &Idle<C>) -> bool {
    !idle.connection.is_closed() && idle.since.elapsed() < Pool::<C>::IDLE_FOR
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::{Keep, Peer, Pool};

    /// A connection with a name, and whether it was closed.
    struct Fake(u32, Rc<Cell<bool>>);

    impl Keep for Fake {
        fn is_closed(&self) -> bool {
            self.1.get()
        }
    }

    fn open(number: u32) -> Fake {
        Fake(number, Rc::default())
    }

    fn peer(port: u16) -> Arc<Peer> {
        let name = ServerName::try_from("hooks.example.com").unwrap();
        Arc::new(Peer { name, address: ([203, 0, 113, 1], port).into() })
    }

    fn taken(pool: &Pool<Fake>, peer: &Peer) -> Option<u32> {
        pool.take(peer).map(|connection| connection.0)
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_waited_longest_makes_room_for_what_was_just_used() {
        let (pool, one, other) = (Pool::new(2, 3), peer(1), peer(2));
        pool.put(&one, open(1));
        pool.put(&other, open(2));
        pool.put(&one, open(3));
        pool.put(&other, open(4));
        assert_eq!([taken(&pool, &one), taken(&pool, &one)], [Some(3), None]);
        assert_eq!([taken(&pool, &other), taken(&pool, &other)], [Some(4), Some(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_keeps_no_more_than_its_bound() {
        let (pool, one) = (Pool::new(2, 9), peer(1));
        (1..=3).for_each(|number| pool.put(&one, open(number)));
        assert_eq!([taken(&pool, &one), taken(&pool, &one), taken(&pool, &one)], [Some(2), Some(1), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_closed_or_old_is_not_handed_out() {
        let (pool, one) = (Pool::new(9, 2), peer(1));
        let closes = Rc::new(Cell::new(false));
        pool.put(&one, open(1));
        pool.put(&one, Fake(2, Rc::clone(&closes)));
        closes.set(true);
        assert_eq!(taken(&pool, &one), Some(1));

        pool.put(&one, open(3));
        tokio::time::advance(Duration::from_secs(31)).await;
        pool.reap();
        pool.put(&one, open(4));
        pool.put(&one, open(5));
        assert_eq!([taken(&pool, &one), taken(&pool, &one), taken(&pool, &one)], [Some(5), Some(4), None]);
    }
}
