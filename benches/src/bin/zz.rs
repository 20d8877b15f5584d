//! scratch
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let r = agentflow_benches::verify::rows(n);
    let r = &r[1];
    for _ in 0..20_000_000u64 {
        assert!((r.verify)());
    }
}
