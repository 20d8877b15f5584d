//! Metrics and logs. Labels carry codes and ids, never names, emails or tokens.
//!
//! Every series is there from the start, at zero, so that a rate over it is right from the first event on; counting one is
//! an atomic addition.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentflow_events::{EventType, Moment};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

use crate::reason::Reason;
use crate::record::InboundStatus;

/// Keeps a line of the log that every request would repeat to one in ten seconds.
#[derive(Default)]
pub struct Seldom(Mutex<Told>);

#[derive(Default)]
struct Told {
    last: Option<Moment>,
    passed_over: u64,
}

impl Seldom {
    const EVERY: Duration = Duration::from_secs(10);

    /// Whether to write the line now, and how many were passed over since the last one.
    pub fn due(&self, now: Moment) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back says nothing of how long ago the last line was.
        let is_due = told.last.is_none_or(|last| now < last || now.since(last) >= Self::EVERY);
        if !is_due {
            told.passed_over += 1;
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.passed_over))
    }
}

type Labels = [(&'static str, &'static str); 1];
type RequestLabels = [(&'static str, &'static str); 2];

/// What the process counts. One for the whole server, shared by every stage.
pub struct Metrics {
    registry: Registry,
    received: Counter,
    duplicate: Counter,
    /// In the order of [`Reason::ALL`].
    rejected: Vec<Counter>,
    unknown_endpoint: Counter,
    /// In the order of [`EventType::ALL`].
    events: Vec<Counter>,
    attempts_succeeded: Counter,
    attempts_failed: Counter,
    attempt_seconds: Histogram,
    deliveries_pending: Gauge,
    connections: Gauge,
    connections_refused: Counter,
    connections_stalled: Counter,
    handshakes_failed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Upper ends of the attempt histogram's buckets, seconds; an attempt ends after 10 s.
    const ATTEMPT_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

    /// All series at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("agentflow");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", version);

        let inbound = Family::<RequestLabels, Counter>::default();
        registry.register(
            "inbound_requests",
            "Requests to known endpoints, by what became of them",
            inbound.clone(),
        );
        let inbound = |status: &'static str, reason: &'static str| {
            inbound.get_or_create_owned(&[("status", status), ("reason", reason)])
        };
        let rejected = |reason: &Reason| inbound("rejected", reason.code());

        let events = Family::<Labels, Counter>::default();
        registry.register("events", "Events made, by type", events.clone());
        let events = |event_type: &EventType| events.get_or_create_owned(&[("type", event_type.as_str())]);

        let attempts = Family::<Labels, Counter>::default();
        registry.register("delivery_attempts", "Finished delivery attempts, by outcome", attempts.clone());
        let attempts = |outcome: &'static str| attempts.get_or_create_owned(&[("outcome", outcome)]);
        let attempt_seconds = Histogram::new(Self::ATTEMPT_BUCKETS);
        let help = "How long delivery attempts took, in seconds";
        registry.register("delivery_attempt_duration_seconds", help, attempt_seconds.clone());

        Self {
            received: inbound("received", ""),
            duplicate: inbound("duplicate", ""),
            rejected: Reason::ALL.iter().map(rejected).collect(),
            unknown_endpoint: counter(
                &mut registry,
                "inbound_unknown_endpoint",
                "Requests for unknown endpoints",
            ),
            events: EventType::ALL.iter().map(events).collect(),
            attempts_succeeded: attempts("success"),
            attempts_failed: attempts("failure"),
            attempt_seconds,
            deliveries_pending: gauge(
                &mut registry,
                "deliveries_pending",
                "Deliveries that wait for an attempt",
            ),
            connections: gauge(&mut registry, "connections", "Open connections"),
            connections_refused: counter(
                &mut registry,
                "connections_refused",
                "Connections closed over the limit",
            ),
            connections_stalled: counter(
                &mut registry,
                "connections_stalled",
                "Connections closed for their slowness",
            ),
            handshakes_failed: counter(&mut registry, "tls_handshakes_failed", "TLS handshakes that failed"),
            registry,
        }
    }

    /// A request that reached a known endpoint was answered.
    pub fn inbound(&self, status: InboundStatus) {
        let counter = match status {
            InboundStatus::Received => Some(&self.received),
            InboundStatus::Duplicate => Some(&self.duplicate),
            InboundStatus::Rejected(reason) => self.rejected.get(reason as usize),
        };
        if let Some(counter) = counter {
            counter.inc();
        }
    }

    /// A request named no known endpoint.
    pub fn unknown_endpoint(&self) {
        self.unknown_endpoint.inc();
    }

    /// An event was made.
    pub fn event(&self, event_type: EventType) {
        if let Some(counter) = self.events.get(event_type as usize) {
            counter.inc();
        }
    }

    /// A delivery attempt has finished; `ok` where it delivered.
    pub fn attempt(&self, ok: bool, duration_ms: u32) {
        if ok {
            self.attempts_succeeded.inc()
        } else {
            self.attempts_failed.inc()
        };
        self.attempt_seconds.observe(f64::from(duration_ms) / 1_000.0);
    }

    /// A connection was accepted.
    pub fn connection_opened(&self) {
        self.connections.inc();
    }

    /// A connection has ended.
    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// A connection over the limit was closed at once.
    pub fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// A TLS handshake failed or took too long.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// A connection was closed because its peer was too slow.
    pub fn stalled(&self) {
        self.connections_stalled.inc();
    }

    /// Everything as OpenMetrics text, which Prometheus reads. `pending_deliveries` is known to the store alone.
    pub fn render(&self, pending_deliveries: u64) -> String {
        self.deliveries_pending.set(i64::try_from(pending_deliveries).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes all that is written to it");
        text
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(word: &str) -> Result<Self, UnknownLogFormat> {
        match word {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}

/// Neither `text` nor `json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `text` or `json`")]
pub struct UnknownLogFormat;

/// Checks a log filter such as `info` or `agentflow_server=debug,warn`.
///
/// # Errors
/// It is not one; says what is wrong with it.
pub fn check_log_filter(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| error.to_string())
}

/// Sends the process's log lines to standard error from here on. The first call counts; `filter` was
/// [checked](check_log_filter).
pub fn log_to_stderr(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // A line that cannot be written is lost. Told of on standard error, which is where it failed, it would be a panic.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let set = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // A library user's own subscriber stays.
    set.ok();
}

#[cfg(test)]
mod tests {
    use agentflow_events::EventType;

    use super::{Metrics, check_log_filter};
    use crate::reason::Reason;
    use crate::record::InboundStatus;

    #[track_caller]
    fn check(metrics: &Metrics, line: &str) {
        let text = metrics.render(7);
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }

    #[test]
    fn counts_under_the_labels_of_the_contract() {
        let metrics = Metrics::new();
        check(&metrics, r#"agentflow_inbound_requests_total{status="received",reason=""} 0"#);
        metrics.inbound(InboundStatus::Received);
        check(&metrics, r#"agentflow_inbound_requests_total{status="received",reason=""} 1"#);
        for reason in Reason::ALL {
            metrics.inbound(InboundStatus::Rejected(*reason));
            let line = r#"agentflow_inbound_requests_total{status="rejected",reason="REASON"} 1"#;
            check(&metrics, &line.replace("REASON", reason.code()));
        }
        for event_type in EventType::ALL {
            metrics.event(*event_type);
            check(&metrics, &format!(r#"agentflow_events_total{{type="{event_type}"}} 1"#));
        }
        metrics.attempt(false, 40);
        check(&metrics, r#"agentflow_delivery_attempts_total{outcome="failure"} 1"#);
        check(&metrics, r#"agentflow_delivery_attempt_duration_seconds_bucket{le="0.05"} 1"#);
        check(&metrics, "agentflow_deliveries_pending 7");
        metrics.connection_opened();
        check(&metrics, "agentflow_connections 1");
    }

    #[test]
    fn a_log_filter_is_checked_before_it_is_used() {
        assert!(check_log_filter("agentflow_server=debug,warn").is_ok());
        assert!(check_log_filter("agentflow_server=chatty").is_err());
    }
}
