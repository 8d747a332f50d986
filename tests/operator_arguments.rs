//! Settings of the operator that its command line refuses: who reads the message knows where the value is from.

// clippy.toml allows it in test functions; the helpers beside them are tests just as much.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use rstest::rstest;

/// Exit code, and what is said.
fn refused(variable: (&str, &str), arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_simplepipe"))
        .env_clear()
        .env(variable.0, variable.1)
        .arg("operator")
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[rstest]
#[case("SIMPLEPIPE_CONCURRENCY", "x")]
#[case("SIMPLEPIPE_LEADER_ELECTION", "maybe")]
#[case("SIMPLEPIPE_LOG_FORMAT", "xml")]
fn a_wrong_value_from_a_variable_is_told_with_the_variable(
    #[case] name: &str,
    #[case] value: &str,
) {
    let (code, said) = refused((name, value), &[]);
    assert_eq!(code, Some(2));
    let end = format!("simplepipe: that value is from the variable {name}\n");
    assert!(said.ends_with(&end), "{said}");
}

#[rstest]
fn a_wrong_value_of_an_option_is_not_blamed_on_its_variable(
    #[values(&["--concurrency", "x"], &["--concurrency=x"])] arguments: &[&str],
) {
    let (code, said) = refused(("SIMPLEPIPE_CONCURRENCY", "8"), arguments);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("invalid value 'x' for '--concurrency"),
        "{said}"
    );
    assert!(!said.contains("SIMPLEPIPE_CONCURRENCY"), "{said}");
}
