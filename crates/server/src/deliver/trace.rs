//! What is noted along an attempt, however it ends.

use std::fmt;
use std::net::IpAddr;

use tokio::time::Instant;

use crate::record::{SignedRequest, Timings};

/// What an attempt was doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Resolve,
    Connect,
    Tls,
    Response,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Resolve => "the host's name was looked up",
            Stage::Connect => "the connection was opened",
            Stage::Tls => "the TLS handshake was under way",
            Stage::Response => "the request was sent and its answer awaited",
        })
    }
}

/// How far an attempt got, and how long each part of it took.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(super) stage: Stage,
    since: Instant,
    /// The address that was dialled last, or that the kept connection leads to.
    pub(crate) remote: Option<IpAddr>,
    pub(crate) reused: bool,
    pub(crate) timings: Timings,
    pub(crate) signed: Option<SignedRequest>,
}

impl Trace {
    pub(super) fn start(now: Instant) -> Self {
        Self {
            stage: Stage::Resolve,
            since: now,
            remote: None,
            reused: false,
            timings: Timings::default(),
            signed: None,
        }
    }

    /// A kept connection is used.
    pub(super) fn reuse(&mut self, remote: IpAddr) {
        self.enter(Stage::Response);
        (self.remote, self.reused) = (Some(remote), true);
    }

    /// A new connection is opened.
    pub(super) fn dial(&mut self, remote: IpAddr) {
        if self.stage != Stage::Connect {
            self.enter(Stage::Connect);
        }
        // Where a kept connection failed, what it took is part of nothing that is told.
        self.timings = Timings { resolve_ms: self.timings.resolve_ms, ..Timings::default() };
        (self.remote, self.reused, self.signed) = (Some(remote), false, None);
    }

    /// Ends the present stage and begins another one.
    pub(super) fn enter(&mut self, stage: Stage) {
        self.end();
        self.stage = stage;
    }

    /// Ends the present stage.
    pub(super) fn end(&mut self) {
        let now = Instant::now();
        let took = u32::try_from(now.duration_since(self.since).as_millis()).unwrap_or(u32::MAX);
        *match self.stage {
            Stage::Resolve => &mut self.timings.resolve_ms,
            Stage::Connect => &mut self.timings.connect_ms,
            Stage::Tls => &mut self.timings.tls_ms,
            Stage::Response => &mut self.timings.first_byte_ms,
        } = Some(took);
        self.since = now;
    }
}
