//! Figures: percentiles, and what a process has used.

use std::fs;
use std::time::Duration;

use super::Fault;

/// Durations, and what may be said of them.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// These durations.
    pub fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The duration that `percent` of them do not exceed, in milliseconds; 0 where there are none.
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1).min(last);
        self.0.get(place).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
    }
}

/// What a process has used so far, as Linux counts it.
#[derive(Clone, Copy, Debug)]
pub struct ProcessUse {
    /// CPU time, user and system, in microseconds; counted in steps of ten milliseconds.
    pub cpu_micros: u64,
    /// Resident memory in KiB.
    pub resident_kib: u64,
    /// The most resident memory there ever was, in KiB.
    pub resident_max_kib: u64,
}

impl ProcessUse {
    /// `USER_HZ`, which is 100 on every Linux there is.
    const MICROS_PER_TICK: u64 = 10_000;

    /// Lets the most resident memory there ever was count from now on.
    ///
    /// # Errors
    /// There is no such process.
    pub fn forget_most(pid: u32) -> Result<(), Fault> {
        // What 5 means here: proc_pid_clear_refs(5).
        Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
    }

    /// Asks now.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> Result<Self, Fault> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in parentheses, may hold anything.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Ok(Self {
            cpu_micros: ticks * Self::MICROS_PER_TICK,
            resident_kib: kib("VmRSS:"),
            resident_max_kib: kib("VmHWM:"),
        })
    }
}
