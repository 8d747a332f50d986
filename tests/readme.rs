//! The README's section on every way to push: what can be typed is typed here, from its own text, against a real
//! Pushgateway; what goes into a workflow is what docs/argo.md has, which is run on a node. `tests/node/readme.rs` has the
//! rest, `python/tests/test_readme.py` Python.

// clippy.toml allows it in test functions; the helpers beside them are tests just as much.
#![allow(clippy::unwrap_used)]

// What else a gateway can do is for other tests.
#[allow(dead_code)]
#[path = "push/pushgateway.rs"]
mod pushgateway;

use std::fs;
use std::path::Path;
use std::process::Command;

use pushgateway::Pushgateway;

/// The blocks of this language in the section.
fn blocks(language: &str) -> Vec<String> {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Every way to push\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let fence = format!("```{language}\n");
    section
        .split(&fence)
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0.to_owned())
        .collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn what_is_typed_in_a_shell_arrives() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_simplepipe"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let typed: Vec<String> = blocks("sh")
        .into_iter()
        .filter(|block| !block.starts_with("kubectl"))
        .collect();
    assert_eq!(typed.len(), 3, "{typed:?}");
    let script = typed
        .concat()
        .replace("pushgateway:9091", gateway.address());
    // The last one twice: it adds up.
    let script = script + &typed[2];
    let output = Command::new("sh")
        .args(["-euc", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}");

    for (series, value) in [
        (r#"model_accuracy{instance="",job="train"}"#, "0.93"),
        (r#"run_succeeded{instance="",job="nightly"}"#, "1"),
        (r#"run_exit_code{instance="",job="nightly"}"#, "0"),
        (r#"rows_read_total{instance="",job="import"}"#, "2400"),
    ] {
        assert_eq!(
            gateway.value(series).as_deref(),
            Some(value),
            "{series} in\n{}",
            gateway.pushed()
        );
    }
}

#[test]
fn what_goes_into_a_workflow_is_what_its_page_says() {
    let page = read("docs/argo.md");
    let workflow = blocks("yaml");
    assert_eq!(workflow.len(), 2, "{workflow:?}");
    for block in workflow {
        assert!(page.contains(&block), "{block}");
    }
}
