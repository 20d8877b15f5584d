//! The edge: everything between the network and the router. TLS, connections, deadlines, framing, and the inbound route.
//!
//! What is bounded here, so that nothing behind it has to be:
//!
//! - connections, in all and by sender, and how long each may idle, with its handshake, between requests, within a head;
//! - requests by sender and second, streams by connection, bytes of a head and of a body, bytes of all bodies;
//! - the wait for the next piece of a body and for a whole request, reply included.
//!
//! Deliberately absent: plain HTTP, 0-RTT, upgrades, and the PROXY protocol.

mod activity;
mod body;
mod connection;
mod framing;
mod heads;
pub mod inbound;
mod media;
mod self_signed;
mod service;
mod slots;
mod tls;
mod unstoppable;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::body::{BodyBudget, BodyFault, ReadBody, Unread, read};
use self::connection::{Connections, Http};
pub(crate) use self::media::check_json;
use self::service::Requests;
pub(crate) use self::slots::Sender;
use self::slots::Slots;
pub use self::tls::{TlsError, TlsSource};
pub(crate) use self::unstoppable::finish_changes;
use crate::config::Limits;
use crate::telemetry::Metrics;

const ALPN_HTTP_2: &[u8] = b"h2";
const ALPN_HTTP_1: &[u8] = b"http/1.1";

/// The address that a request comes from; in every request's extensions. IPv4 in IPv6 is told as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAddr(pub IpAddr);

/// Serves a router over HTTPS.
pub struct Edge {
    /// What is taken before the answer is no.
    pub limits: Limits,
    /// Certificate and key.
    pub tls: TlsSource,
    /// Counts connections and what becomes of them.
    pub metrics: Arc<Metrics>,
}

impl Edge {
    /// How long to wait before accepting again where the process or the machine is out of descriptors or memory.
    const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

    /// Accepts connections and answers their requests until `shutdown`; then stops accepting, lets requests in flight
    /// finish for at most the drain time, and returns once every connection is closed. Dropped, it closes them at once.
    pub async fn serve(self, listener: TcpListener, router: Router, shutdown: CancellationToken) {
        let kill = CancellationToken::new();
        let _closes_all_when_dropped = kill.clone().drop_guard();
        let connections = Arc::new(self.connections(router, shutdown.clone(), kill.clone()));
        let watch = tokio::spawn(self.tls.clone().watch(kill.clone()));
        let tasks = TaskTracker::new();
        self.accept(listener, &connections, &tasks).await;

        tasks.close();
        let drain_max = millis(self.limits.drain_timeout_ms);
        if timeout(drain_max, tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "requests did not finish in time; closing their connections"
            );
        }
        kill.cancel();
        tasks.wait().await;
        // It ends with `kill`; whether it panicked no longer matters.
        watch.await.ok();
    }

    fn connections(&self, router: Router, drain: CancellationToken, kill: CancellationToken) -> Connections {
        Connections {
            tls: self.tls.acceptor(),
            requests: Arc::new(Requests::new(router, &self.limits)),
            metrics: Arc::clone(&self.metrics),
            http: Http::new(&self.limits),
            handshake_max: millis(self.limits.handshake_timeout_ms),
            idle_max: millis(self.limits.header_timeout_ms),
            request_max: millis(self.limits.request_timeout_ms),
            drain,
            kill,
        }
    }

    /// Accepts until the drain begins. The listener is closed on return.
    async fn accept(&self, listener: TcpListener, connections: &Arc<Connections>, tasks: &TaskTracker) {
        let slots =
            Arc::new(Slots::new(self.limits.connections_max, self.limits.connections_per_address_max));
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = connections.drain.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.admit(stream, RemoteAddr(peer.ip().to_canonical()), &slots, connections, tasks);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if !failing {
                        tracing::error!(%error, "connections cannot be accepted; trying on");
                    }
                    failing = true;
                    sleep(Self::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        remote: RemoteAddr,
        slots: &Arc<Slots>,
        connections: &Arc<Connections>,
        tasks: &TaskTracker,
    ) {
        let Some(slot) = slots.take(Sender::from(remote.0)) else { return self.metrics.connection_refused() };
        let connections = Arc::clone(connections);
        tasks.spawn(async move {
            let _slot = slot;
            let _open = Open::new(&connections.metrics);
            Arc::clone(&connections).serve(stream, remote).await;
        });
    }
}

/// Counts a connection as open, whichever way its task ends.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connection_opened();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}

/// Whether only the connection that was about to be accepted has failed, so that the next may be accepted at once.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::PermissionDenied
    )
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::concerns_one_connection;

    #[test]
    fn a_peer_that_leaves_early_does_not_hold_up_the_next_but_a_full_table_does() {
        const ECONNABORTED: i32 = 103;
        const EMFILE: i32 = 24;
        assert!(concerns_one_connection(&io::Error::from_raw_os_error(ECONNABORTED)));
        assert!(!concerns_one_connection(&io::Error::from_raw_os_error(EMFILE)));
    }
}
