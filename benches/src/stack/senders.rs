//! Senders that wait for each answer before they send the next lead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Client, Connection, Fault, Latencies, LeadReply, leads};

/// When senders are done.
#[derive(Clone, Copy)]
pub enum Until {
    /// No lead is begun after it.
    Moment(Instant),
    /// So many were sent.
    Leads(u64),
}

/// Leads of a run as fast as the server acknowledges them, one at a time on each connection; how long each took.
///
/// # Errors
/// A lead was not accepted as a new one.
pub async fn intake(client: &Client, run: u64, connections: u64, until: Until) -> Result<Latencies, Fault> {
    let next = Arc::new(AtomicU64::new(0));
    let mut senders = Vec::new();
    for _ in 0..connections {
        let (mut connection, next) = (client.connect().await?, Arc::clone(&next));
        senders.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let is_over = match until {
                    Until::Moment(end) => Instant::now() >= end,
                    Until::Leads(leads) => number >= leads,
                };
                if is_over {
                    return Ok::<_, Fault>(latencies);
                }
                let begun = Instant::now();
                new_lead(&mut connection, run, number).await?;
                latencies.push(begun.elapsed());
            }
        }));
    }
    let mut latencies = Vec::new();
    for sender in senders {
        latencies.extend(sender.await??);
    }
    Ok(Latencies::new(latencies))
}

/// Sends one lead of a run; answers its id.
///
/// # Errors
/// It was not accepted as a new one.
pub async fn new_lead(connection: &mut Connection, run: u64, number: u64) -> Result<String, Fault> {
    match connection.send_lead(leads::body(run, number)).await? {
        LeadReply::Accepted(accepted) if !accepted.duplicate => Ok(accepted.lead_id),
        reply => Err(format!("a new lead was answered: {reply:?}").into()),
    }
}
