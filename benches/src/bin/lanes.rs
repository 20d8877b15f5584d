//! `scripts/lanes`: what bad destinations cost those that are well, one among ten and ninety among a hundred.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agentflow_benches::stack::{Badness, Fault, Fleet};
use clap::Parser;

/// Measures a server some of whose destinations are bad, against the same run with all of them well
#[derive(Parser)]
struct Arguments {
    /// The kinds of badness
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Badness::ALL)]
    kinds: Vec<Badness>,
    /// How many are bad, of how many
    #[arg(long, value_parser = mix, value_delimiter = ',', default_values = ["1/10", "90/100"])]
    bad: Vec<Mix>,
    /// Deliveries of all destinations together, in the run that goes as fast as it can
    #[arg(long, default_value_t = 20_000)]
    deliveries: u64,
    /// Deliveries a second of all destinations together, in the paced run
    #[arg(long, default_value_t = 500)]
    paced: u32,
    /// Length of the paced run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Turns of good and bad
    #[arg(long, default_value_t = 3)]
    turns: u64,
    /// The server's binary [default: the one beside this program]
    #[arg(long)]
    server: Option<PathBuf>,
}

#[derive(Clone, Copy)]
struct Mix {
    bad: usize,
    all: usize,
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bad, self.all)
    }
}

fn mix(text: &str) -> Result<Mix, String> {
    let (bad, all) = text.split_once('/').ok_or("as in 1/10")?;
    let number = |text: &str| text.parse::<usize>().map_err(|fault| fault.to_string());
    let mix = Mix { bad: number(bad)?, all: number(all)? };
    if mix.bad < mix.all { Ok(mix) } else { Err("one has to be well".to_owned()) }
}

/// One run at the destinations that are well.
#[derive(Clone, Copy)]
struct Figures {
    events_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("lanes: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Fault> {
    for mix in &arguments.bad {
        println!(
            "\n{} of {} bad, at the {} others; medians of {} turns, and the ratio to all well in the same turn",
            mix.bad,
            mix.all,
            mix.all - mix.bad,
            arguments.turns
        );
        println!(
            "| the bad | events/s | ratio | p50 ms | ratio | p99 ms | ratio |\n| --- | --- | --- | --- | --- | --- | --- |"
        );
        let mut well = Vec::new();
        let mut ill: Vec<Vec<Figures>> = vec![Vec::new(); arguments.kinds.len()];
        for _ in 0..arguments.turns {
            well.push(measure(arguments, *mix, None).await?);
            for (kind, figures) in arguments.kinds.iter().zip(&mut ill) {
                figures.push(measure(arguments, *mix, Some(*kind)).await?);
            }
        }
        line("none", &well, &well);
        for (kind, figures) in arguments.kinds.iter().zip(&ill) {
            line(&format!("{kind:?}"), figures, &well);
        }
    }
    Ok(())
}

async fn measure(arguments: &Arguments, mix: Mix, bad: Option<Badness>) -> Result<Figures, Fault> {
    let measured = mix.all - mix.bad;
    let good = if bad.is_some() { measured } else { mix.all };
    let fleet = Fleet::start(arguments.server.as_deref(), good, bad.map(|kind| (kind, mix.bad))).await?;
    let all = mix.all as u64;
    // Connections are opened, and it turns out who is bad.
    fleet.rate(1, 100.min(arguments.deliveries / all), measured).await?;
    let per_second = (arguments.paced / mix.all as u32).max(1);
    let waits = fleet.paced(2, per_second, Duration::from_secs(arguments.seconds), measured).await?;
    let events_per_second = fleet.rate(3, (arguments.deliveries / all).max(1), measured).await?;
    fleet.stop().await?;
    Ok(Figures { events_per_second, p50_ms: waits.percentile_ms(50), p99_ms: waits.percentile_ms(99) })
}

fn line(name: &str, figures: &[Figures], well: &[Figures]) {
    let of = |value: fn(&Figures) -> f64| {
        let ratios = figures.iter().zip(well).map(|(figures, well)| value(figures) / value(well));
        (median(figures.iter().map(value).collect()), median(ratios.collect()))
    };
    let (rate, rate_ratio) = of(|figures| figures.events_per_second);
    let (p50, p50_ratio) = of(|figures| figures.p50_ms);
    let (p99, p99_ratio) = of(|figures| figures.p99_ms);
    println!(
        "| {name} | {rate:.0} | {rate_ratio:.2} | {p50:.2} | {p50_ratio:.2} | {p99:.2} | {p99_ratio:.2} |"
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
