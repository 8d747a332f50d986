//! The CRD in `crds/` is the one that the program prints.

use std::process::Command;

#[test]
fn the_crd_in_the_repository_is_fresh() {
    let file = "crds/metricsnamespaces.simplepipe.dev.yaml";
    let kept = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let printed = Command::new(env!("CARGO_BIN_EXE_simplepipe"))
        .arg("crd")
        .output()
        .unwrap();
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
    assert!(
        kept == String::from_utf8_lossy(&printed.stdout),
        "{file} is stale; write it anew: simplepipe crd > {file}"
    );
}
