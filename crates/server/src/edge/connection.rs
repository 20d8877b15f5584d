//! One connection, from accept to close: TLS handshake, HTTP/1.1 or HTTP/2 as agreed, deadlines, graceful end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Verdict};
use super::heads::{Heads, Watched};
use super::service::Requests;
use super::{ALPN_HTTP_2, RemoteAddr, millis};
use crate::config::Limits;
use crate::telemetry::Metrics;

/// What all connections share.
pub(super) struct Connections {
    pub(super) tls: TlsAcceptor,
    pub(super) requests: Arc<Requests>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) http: Http,
    pub(super) handshake_max: Duration,
    pub(super) idle_max: Duration,
    pub(super) request_max: Duration,
    /// No further requests; those in flight finish.
    pub(super) drain: CancellationToken,
    /// Close at once.
    pub(super) kill: CancellationToken,
}

/// How both protocols are spoken.
pub(super) struct Http {
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

impl Http {
    const HEAD_BYTES_MAX: usize = 32 * 1024;
    const HEADERS_MAX: usize = 64;
    const STREAMS_MAX: u32 = 64;
    /// Streams that the peer reset before they were taken up; past it the connection ends (CVE-2023-44487).
    const PENDING_RESETS_MAX: usize = 20;
    /// Streams that we had to reset for the peer's errors; past it the connection ends.
    const LOCAL_RESETS_MAX: usize = 64;
    const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
    const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
    const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;

    pub(super) fn new(limits: &Limits) -> Self {
        let ping_after = millis(limits.header_timeout_ms);
        let mut http1 = Builder::new(TokioExecutor::new()).http1_only();
        // No timer: the deadline for heads is the connection's own, the same for both protocols.
        http1.http1().max_buf_size(Self::HEAD_BYTES_MAX).max_headers(Self::HEADERS_MAX);
        let mut http2 = Builder::new(TokioExecutor::new()).http2_only();
        http2
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(Self::STREAMS_MAX)
            .max_header_list_size(Self::HEAD_BYTES_MAX as u32)
            .max_pending_accept_reset_streams(Self::PENDING_RESETS_MAX)
            .max_local_error_reset_streams(Self::LOCAL_RESETS_MAX)
            .initial_stream_window_size(Self::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(Self::CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(Self::SEND_BUFFER_BYTES_MAX)
            .keep_alive_interval(ping_after)
            .keep_alive_timeout(ping_after);
        Self { http1, http2 }
    }
}

impl Connections {
    /// How long a connection that is told to end has to say goodbye.
    const GOODBYE_MAX: Duration = Duration::from_secs(1);

    /// Serves one connection until it ends.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, remote: RemoteAddr) {
        let handshake = timeout(self.handshake_max, self.handshake(stream));
        let stream = tokio::select! {
            handshake = handshake => match handshake {
                Ok(Some(stream)) => stream,
                Ok(None) | Err(_) => return self.metrics.handshake_failed(),
            },
            () = self.drain.cancelled() => return,
        };
        self.converse(stream, remote).await;
    }

    /// Agrees on TLS; nothing where the peer does not speak it or refuses what we offer.
    async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        // A peer that speaks anything but TLS, plain HTTP above all, gets no byte of an answer, not even an alert.
        let mut first = [0];
        if stream.peek(&mut first).await.ok()? == 0 || first[0] != TLS_HANDSHAKE {
            return None;
        }
        // Replies are small and written whole; waiting to fill a segment would only delay them.
        stream.set_nodelay(true).ok()?;
        self.tls.accept(stream).await.ok()
    }

    async fn converse(&self, stream: TlsStream<TcpStream>, remote: RemoteAddr) {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP_2);
        let builder = if is_http2 { &self.http.http2 } else { &self.http.http1 };
        let activity = Activity::new(Instant::now());
        let heads = (!is_http2).then(Arc::<Heads>::default);
        let stream = Watched::new(stream, heads.clone());
        let service = service_fn(|request| {
            let sent = heads.as_ref().map(|heads| heads.next()).unwrap_or_default();
            Arc::clone(&self.requests).answer(Arc::clone(&activity), remote, sent, request)
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut timer = pin!(sleep_until(Instant::now() + self.idle_max));
        let (mut draining, mut told_to_end) = (false, false);
        loop {
            tokio::select! {
                biased;
                // An error is the peer's doing: it broke off or broke the protocol, and knows.
                _ended = connection.as_mut() => return,
                () = self.kill.cancelled() => return,
                () = self.drain.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().reset(Instant::now() + Self::GOODBYE_MAX);
                }
                () = timer.as_mut() => {
                    let now = Instant::now();
                    // Who has not begun a request by the time of a stop need not finish its head.
                    let idle_max = if draining { Self::GOODBYE_MAX } else { self.idle_max };
                    match activity.verdict(now, idle_max, self.request_max + Self::GOODBYE_MAX) {
                        Verdict::FineUntil(end) => timer.as_mut().reset(end),
                        Verdict::Idle if draining => return,
                        Verdict::Idle if !told_to_end => {
                            told_to_end = true;
                            connection.as_mut().graceful_shutdown();
                            timer.as_mut().reset(now + Self::GOODBYE_MAX.min(self.idle_max));
                        }
                        Verdict::Idle | Verdict::Overdue => return self.metrics.stalled(),
                    }
                }
            }
        }
    }
}

/// The first byte of a TLS connection: the record type of a handshake.
const TLS_HANDSHAKE: u8 = 22;
