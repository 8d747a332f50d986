//! The program in a volume, for containers that may run as anybody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::simplepipe::PROGRAM;

#[test]
fn anybody_may_run_what_was_installed_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", r#"umask 077; "$0" install "$1""#, PROGRAM])
        .arg(folder.path())
        .status();
    assert!(status.unwrap().success());
    let installed = folder.path().join("simplepipe");
    let mode = fs::metadata(installed).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755, "{mode:o}");
}
