//! `cargo bench -p agentflow-benches --bench verify [--features peers]`: one verification at each body length.

use std::time::Duration;

use agentflow_benches::verify::{BODY_BYTES, rows};
use criterion::{BenchmarkId, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1000))
        .configure_from_args();
    for body_bytes in BODY_BYTES {
        let mut group = criterion.benchmark_group("verify");
        group.throughput(Throughput::Bytes(body_bytes as u64));
        for row in rows(body_bytes) {
            group.bench_function(BenchmarkId::new(row.name, body_bytes), |bencher| {
                bencher.iter(|| (row.verify)());
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
