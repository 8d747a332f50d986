//! What is made from the Rust types is as the program prints it.

#![allow(clippy::unwrap_used)] // The lint knows tests by their attribute; the rest here serves nothing but tests.

use std::process::Command;

#[track_caller]
fn assert_fresh(file: &str, arguments: &[&str]) {
    let kept = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_default();
    let printed = Command::new(env!("CARGO_BIN_EXE_simplepipe"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
    assert!(
        kept == String::from_utf8_lossy(&printed.stdout),
        "{file} is stale; write it anew: simplepipe {} > {file}",
        arguments.join(" ")
    );
}

#[test]
fn the_crd_in_the_repository_is_fresh() {
    assert_fresh("crds/metricsnamespaces.simplepipe.dev.yaml", &["crd"]);
}

#[test]
fn the_api_reference_is_fresh() {
    assert_fresh("docs/api.md", &["crd", "--markdown"]);
}
