//! A server with many destinations, and how its events reach those that are well.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Bad, Badness, Client, Fault, Latencies, Process, Receiver, Site, Until, intake, new_lead};

/// A running server, its destinations added.
pub struct Fleet {
    /// The server's folder.
    pub site: Site,
    /// Sends to it.
    pub client: Client,
    /// The server.
    pub server: Process,
    good: Vec<Receiver>,
}

impl Fleet {
    const EVENTS_MAX: Duration = Duration::from_secs(300);

    /// A server with destinations that are well, and others that are bad in one way.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(
        binary: Option<&Path>,
        good: usize,
        bad: Option<(Badness, usize)>,
    ) -> Result<Self, Fault> {
        let site = Site::found(binary)?;
        let mut receivers = Vec::new();
        for _ in 0..good {
            receivers.push(Receiver::start(&site.credentials().outbound_secret).await?);
        }
        let mut ill = Vec::new();
        if let Some((badness, count)) = bad {
            for _ in 0..count {
                ill.push(Bad::start(badness).await?);
            }
        }
        let authorities =
            receivers.iter().map(Receiver::authority_pem).chain(ill.iter().map(Bad::authority_pem));
        site.configure(&authorities.collect::<String>(), "")?;
        let client = site.client()?;
        let mut server = site.start()?;
        server.answers(&client, "/readyz").await?;
        for url in receivers.iter().map(Receiver::url).chain(ill.iter().map(Bad::url)) {
            client.add_destination(url).await?;
        }
        Ok(Self { site, client, server, good: receivers })
    }

    /// Pauses every destination, or resumes it.
    ///
    /// # Errors
    /// The server does not do it.
    pub async fn pause(&self, paused: bool) -> Result<(), Fault> {
        #[derive(Deserialize)]
        struct Row {
            id: String,
        }
        let destinations: Vec<Row> = self.client.list("/api/v1/destinations").await?;
        let action = if paused { "pause" } else { "resume" };
        let mut connection = self.client.connect().await?;
        for Row { id } in destinations {
            let path = format!("/api/v1/destinations/{id}/{action}");
            let (status, body) = connection.api(Method::POST, &path, Bytes::new()).await?;
            if !status.is_success() {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
            }
        }
        Ok(())
    }

    /// Events that came to the first `measured` of those that are well.
    pub fn count(&self, measured: usize) -> usize {
        self.good.iter().take(measured).map(Receiver::count).sum()
    }

    /// Waits until the first `measured` of those that are well have so many events together.
    ///
    /// # Errors
    /// They do not come.
    pub async fn came(&self, measured: usize, events: usize) -> Result<(), Fault> {
        let begun = Instant::now();
        while self.count(measured) < events {
            if begun.elapsed() > Self::EVENTS_MAX {
                return Err(format!("{} events of {events} came", self.count(measured)).into());
            }
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Leads as fast as they go; events a second at the first `measured` of those that are well, from the first lead to the
    /// last event.
    ///
    /// # Errors
    /// A lead is not accepted, or an event does not come.
    pub async fn rate(&self, run: u64, leads: u64, measured: usize) -> Result<f64, Fault> {
        let before = self.count(measured);
        let begun = Instant::now();
        intake(&self.client, run, 16, Until::Leads(leads)).await?;
        let events = leads as usize * measured;
        self.came(measured, before + events).await?;
        Ok(events as f64 / begun.elapsed().as_secs_f64())
    }

    /// Leads at an even pace; how long after its lead was sent each event was there, at the first `measured`.
    ///
    /// # Errors
    /// A lead is not accepted, or an event does not come.
    pub async fn paced(
        &self,
        run: u64,
        per_second: u32,
        duration: Duration,
        measured: usize,
    ) -> Result<Latencies, Fault> {
        let mut connection = self.client.connect().await?;
        let mut ticks = interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let before = self.count(measured);
        let mut sent = HashMap::new();
        let leads = duration.as_secs() * u64::from(per_second);
        for number in 0..leads {
            ticks.tick().await;
            let at = Instant::now();
            sent.insert(new_lead(&mut connection, run, number).await?, at);
        }
        self.came(measured, before + leads as usize * measured).await?;
        let mut waits = Vec::new();
        for receiver in self.good.iter().take(measured) {
            for received in receiver.received().into_values() {
                if let Some(at) = sent.get(&received.lead_id) {
                    waits.push(received.at.saturating_duration_since(*at));
                }
            }
        }
        Ok(Latencies::new(waits))
    }

    /// Ends the server.
    ///
    /// # Errors
    /// It does not end well.
    pub async fn stop(self) -> Result<(), Fault> {
        let status = self.server.stop().await?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }
}
