//! What is deliberately absent from this crate.

use std::fs;
use std::path::Path;

/// Calls `visit` with every line of code under `folder`, comments left out.
fn each_line(folder: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("the crate's own sources can be read") {
        let path = entry.expect("the crate's own sources can be read").path();
        if path.is_dir() {
            each_line(&path, visit);
            continue;
        }
        let source = fs::read_to_string(&path).expect("the crate's own sources are UTF-8");
        source
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .for_each(|line| visit(&path, line));
    }
}

#[test]
fn reads_no_clock_draws_no_randomness_and_knows_no_runtime_and_no_http() {
    let mut lines = 0;
    each_line(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |path, line| {
        lines += 1;
        for absent in ["::now()", "getrandom", "rand::", "tokio", "http", "status", "static ", "sleep"] {
            let found = line.replace("'static ", "").contains(absent);
            assert!(!found, "{absent} in {}: {line}", path.display());
        }
    });
    assert!(lines > 1000, "only {lines} lines were looked at");
}
