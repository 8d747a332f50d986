//! The alerts that docs/operator.md recommends, as Prometheus evaluates them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::control_plane::tools;

/// One expression for each line of the block.
fn expressions() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operator.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("Worth an alert").unwrap();
    let (_, rest) = rest.split_once("```promql\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let expression = |line: &str| line.split(" #").next().unwrap().trim().to_owned();
    block.lines().map(expression).collect()
}

/// What is said of it, a series and its values each, and the metrics whose alerts then fire.
type Case = (&'static str, Vec<(String, String)>, &'static [&'static str]);

#[test]
fn the_alerts_of_the_docs_fire_when_they_should_and_not_before() {
    let leads = |instance: &str, value: &str| {
        (
            format!("simplepipe_leading{{instance=\"{instance}\"}}"),
            value.to_owned(),
        )
    };
    let works = || vec![leads("a", "1x20"), leads("b", "0x20")];
    let and = |series: &str, values: &str| {
        let mut all = works();
        all.push((series.to_owned(), values.to_owned()));
        all
    };
    let cases: [Case; 10] = [
        (
            "all is well",
            and("simplepipe_watch_failing{watch=\"services\"}", "0x20"),
            &[],
        ),
        ("the operator is gone", vec![], &["simplepipe_leading"]),
        (
            "nobody leads",
            vec![leads("a", "0x20")],
            &["simplepipe_leading"],
        ),
        (
            "two lead",
            vec![leads("a", "1x20"), leads("b", "1x20")],
            &["simplepipe_leading"],
        ),
        (
            "a watch fails",
            and("simplepipe_watch_failing{watch=\"services\"}", "1x20"),
            &["simplepipe_watch_failing"],
        ),
        (
            "a tenant is not ready",
            and(
                "simplepipe_tenants{condition=\"Ready\",status=\"False\"}",
                "1x20",
            ),
            &["simplepipe_tenants"],
        ),
        (
            "nothing is known of a tenant",
            and(
                "simplepipe_tenants{condition=\"Ready\",status=\"Unknown\"}",
                "1x20",
            ),
            &["simplepipe_tenants"],
        ),
        (
            "a namespace can't be enrolled",
            and("simplepipe_enrolment_failing", "1x20"),
            &["simplepipe_enrolment_failing"],
        ),
        (
            "an object can't be read",
            and("simplepipe_unreadable_objects", "1x20"),
            &["simplepipe_unreadable_objects"],
        ),
        (
            "statuses can't be written",
            and(
                "simplepipe_reconcile_errors_total{reason=\"status_not_written\"}",
                "1+7x20",
            ),
            &["simplepipe_reconcile_errors_total"],
        ),
    ];
    let expressions = expressions();
    assert!(!expressions.is_empty());
    let tests: Vec<Value> = cases
        .iter()
        .map(|(name, series, firing)| {
            let input: Vec<Value> = series
                .iter()
                .map(|(series, values)| json!({"series": series, "values": values}))
                .collect();
            let alerts: Vec<Value> = expressions
                .iter()
                .map(|expression| {
                    let fires = firing.iter().any(|name| expression.contains(name));
                    json!({
                        "expr": format!("count({expression}) or vector(0)"),
                        "eval_time": "15m",
                        "exp_samples": [{"labels": "{}", "value": i32::from(fires)}],
                    })
                })
                .collect();
            json!({"name": name, "interval": "1m", "input_series": input, "promql_expr_test": alerts})
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.yaml");
    // JSON is YAML.
    fs::write(&file, json!({"tests": tests}).to_string()).unwrap();
    let promtool = Path::new(&tools(&["promtool"])).join("promtool");
    let said = Command::new(promtool)
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
}
