//! Specs that are taken and specs that are not, as one table for the API server and for the rules offline.

use serde_json::{Value, json};

/// What becomes of a spec.
pub enum Expected {
    Taken,
    /// A rule says no, in these words.
    ByRule(&'static str),
    /// The schema says no, and names this field.
    BySchema(&'static str),
}

pub fn spec_cases() -> Vec<(&'static str, Value, Expected)> {
    use Expected::{ByRule, BySchema, Taken};
    let scrape = |scrape: Value| json!({"scrape": scrape});
    let labels = |name: &str, value: &str| json!({"scrape": {"labels": {name: value}}});
    let limits = |limits: Value| json!({"scrape": {"limits": limits}});
    let resources = |resources: Value| json!({"gateway": {"resources": resources}});
    let seldon = |seldon: Value| json!({"seldon": seldon});
    let folder = |folder: &str| json!({"dashboard": {"folder": folder}});
    let too_long = "x".repeat(64);
    vec![
        ("nothing", json!({}), Taken),
        (
            "interval 5s",
            scrape(json!({"interval": "5s", "timeout": "1s"})),
            Taken,
        ),
        ("interval 1h", scrape(json!({"interval": "1h"})), Taken),
        (
            "interval 1m30s",
            scrape(json!({"interval": "1m30s"})),
            Taken,
        ),
        (
            "interval 0s",
            scrape(json!({"interval": "0s"})),
            ByRule("expected a duration from 5s to 1h"),
        ),
        (
            "interval 2h",
            scrape(json!({"interval": "2h"})),
            ByRule("expected a duration from 5s to 1h"),
        ),
        (
            "interval 61m",
            scrape(json!({"interval": "61m"})),
            ByRule("expected a duration from 5s to 1h"),
        ),
        (
            "interval abc",
            scrape(json!({"interval": "abc"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval ten",
            scrape(json!({"interval": "ten"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval ten and a timeout",
            scrape(json!({"interval": "ten", "timeout": "5s"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval without end",
            scrape(json!({"interval": "9999999999999h"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval 500ms",
            scrape(json!({"interval": "500ms"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval 1d",
            scrape(json!({"interval": "1d"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval -30s",
            scrape(json!({"interval": "-30s"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval empty",
            scrape(json!({"interval": ""})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "interval as a number",
            scrape(json!({"interval": 30})),
            BySchema("spec.scrape.interval"),
        ),
        (
            "timeout is the interval",
            scrape(json!({"interval": "20s", "timeout": "20s"})),
            Taken,
        ),
        (
            "timeout > interval",
            scrape(json!({"interval": "10s", "timeout": "11s"})),
            ByRule("timeout must not be longer than interval"),
        ),
        (
            "timeout > default interval",
            scrape(json!({"timeout": "31s"})),
            ByRule(
                "timeout must not be longer than interval (which is 30s where it is not given): set timeout and interval",
            ),
        ),
        (
            "timeout 0s",
            scrape(json!({"timeout": "0s"})),
            ByRule("expected a duration from 1s to the interval, like 10s or 1m"),
        ),
        (
            "timeout 1.5s",
            scrape(json!({"timeout": "1.5s"})),
            ByRule("expected a duration from 1s to the interval, like 10s or 1m"),
        ),
        ("label release", labels("release", "monitoring"), Taken),
        ("label with prefix", labels("example.com/team", "ml"), Taken),
        ("label without value", labels("team", ""), Taken),
        (
            "label name with a space",
            labels("a b", "x"),
            ByRule("expected names of labels"),
        ),
        (
            "label name empty",
            labels("", "x"),
            ByRule("expected names of labels"),
        ),
        (
            "label name of two slashes",
            labels("a/b/c", "x"),
            ByRule("expected names of labels"),
        ),
        (
            "label name too long",
            labels(&too_long, "x"),
            ByRule("expected names of labels"),
        ),
        (
            "label prefix in capitals",
            labels("Example.com/a", "x"),
            ByRule("expected names of labels"),
        ),
        (
            "label value with a space",
            labels("a", "b c"),
            ByRule("expected values of labels, like `monitoring` or `team-1`"),
        ),
        (
            "label value too long",
            labels("a", &too_long),
            BySchema("spec.scrape.labels"),
        ),
        (
            "label managed-by",
            labels("app.kubernetes.io/managed-by", "me"),
            ByRule("the operator's own"),
        ),
        (
            "label of the operator",
            labels("simplepipe.dev/x", "y"),
            ByRule("the operator's own"),
        ),
        ("samples 100", limits(json!({"samples": 100})), Taken),
        (
            "samples 99",
            limits(json!({"samples": 99})),
            BySchema("spec.scrape.limits.samples"),
        ),
        (
            "samples 200001",
            limits(json!({"samples": 200_001})),
            BySchema("spec.scrape.limits.samples"),
        ),
        (
            "samples 0",
            limits(json!({"samples": 0})),
            BySchema("spec.scrape.limits.samples"),
        ),
        (
            "labels 9",
            limits(json!({"labels": 9})),
            BySchema("spec.scrape.limits.labels"),
        ),
        ("bodySize 64Mi", limits(json!({"bodySize": "64Mi"})), Taken),
        (
            "bodySize 65536Ki",
            limits(json!({"bodySize": "65536Ki"})),
            Taken,
        ),
        (
            "bodySize 65537Ki",
            limits(json!({"bodySize": "65537Ki"})),
            ByRule("expected a size from 1Ki to 64Mi with the unit Ki or Mi, like 512Ki or 16Mi"),
        ),
        (
            "bodySize 65Mi",
            limits(json!({"bodySize": "65Mi"})),
            ByRule("expected a size from 1Ki to 64Mi with the unit Ki or Mi, like 512Ki or 16Mi"),
        ),
        (
            "bodySize 0Mi",
            limits(json!({"bodySize": "0Mi"})),
            ByRule("expected a size from 1Ki to 64Mi with the unit Ki or Mi, like 512Ki or 16Mi"),
        ),
        (
            "bodySize 5GB",
            limits(json!({"bodySize": "5GB"})),
            ByRule("expected a size from 1Ki to 64Mi with the unit Ki or Mi, like 512Ki or 16Mi"),
        ),
        (
            "bodySize 16M",
            limits(json!({"bodySize": "16M"})),
            ByRule("expected a size from 1Ki to 64Mi with the unit Ki or Mi, like 512Ki or 16Mi"),
        ),
        (
            "cpu as a number",
            resources(json!({"requests": {"cpu": 1}})),
            Taken,
        ),
        (
            "amounts in several notations",
            resources(
                json!({"limits": {"cpu": "1.5", "memory": "1e9", "ephemeral-storage": "64Mi"}}),
            ),
            Taken,
        ),
        (
            "cpu -1",
            resources(json!({"requests": {"cpu": "-1"}})),
            ByRule(
                "expected an amount that is not negative, like 10m or 0.5 of cpu, 64Mi or 1Gi of memory",
            ),
        ),
        (
            "cpu -1 as a number",
            resources(json!({"requests": {"cpu": -1}})),
            ByRule(
                "expected an amount that is not negative, like 10m or 0.5 of cpu, 64Mi or 1Gi of memory",
            ),
        ),
        (
            "memory -64Mi",
            resources(json!({"limits": {"memory": "-64Mi"}})),
            ByRule(
                "expected an amount that is not negative, like 10m or 0.5 of cpu, 64Mi or 1Gi of memory",
            ),
        ),
        (
            "memory much",
            resources(json!({"limits": {"memory": "much"}})),
            ByRule(
                "expected an amount that is not negative, like 10m or 0.5 of cpu, 64Mi or 1Gi of memory",
            ),
        ),
        (
            "memory limit 16Mi",
            resources(json!({"requests": {"memory": "16Mi"}, "limits": {"memory": "16Mi"}})),
            Taken,
        ),
        (
            "memory limit 15Mi",
            resources(json!({"requests": {"memory": "1Mi"}, "limits": {"memory": "15Mi"}})),
            ByRule("limits.memory must be at least 16Mi"),
        ),
        (
            "memory request > limit",
            resources(json!({"requests": {"memory": "65Mi"}, "limits": {"memory": "64Mi"}})),
            ByRule("requests.memory must not be more than limits.memory"),
        ),
        (
            "memory request > default limit",
            resources(json!({"requests": {"memory": "1Gi"}})),
            ByRule("where `limits` is not given, limits.memory is 128Mi"),
        ),
        (
            "memory limit < default request",
            resources(json!({"limits": {"memory": "16Mi"}})),
            ByRule("where `requests` is not given, requests.memory is 32Mi"),
        ),
        (
            "cpu limit < default request",
            resources(json!({"limits": {"cpu": "5m"}})),
            ByRule("where `requests` is not given, requests.cpu is 10m"),
        ),
        (
            "cpu request > limit",
            resources(json!({"requests": {"cpu": "1500m"}, "limits": {"cpu": 1}})),
            ByRule("requests.cpu must not be more than limits.cpu"),
        ),
        ("folder", folder("Data science"), Taken),
        (
            "folder with a slash",
            folder("a/b"),
            ByRule("expected a name like `Data science`"),
        ),
        (
            "folder with a leading dot",
            folder(".."),
            ByRule("expected a name like `Data science`"),
        ),
        (
            "folder empty",
            folder(""),
            BySchema("spec.dashboard.folder"),
        ),
        (
            "model servers, with everything set",
            seldon(json!({
                "enabled": true, "kind": "KServe", "selector": {"example.com/team": "ml", "app": ""},
                "port": "aggr-metric", "path": "/a_b/v1.0~x-y", "interval": "5s",
                "limits": {"targets": 200, "samples": 20_000},
            })),
            Taken,
        ),
        (
            "kind of no model server",
            seldon(json!({"kind": "Triton"})),
            BySchema("spec.seldon.kind"),
        ),
        (
            "model servers by a label name with a space",
            seldon(json!({"selector": {"a b": "x"}})),
            ByRule("expected names of labels"),
        ),
        (
            "model servers by a label value that is a pattern",
            seldon(json!({"selector": {"app": "a.*"}})),
            ByRule("expected values of labels, like `monitoring` or `team-1`"),
        ),
        (
            "port of model servers that is a pattern",
            seldon(json!({"port": "metrics|http"})),
            ByRule("expected the name of a port, like `metrics`"),
        ),
        (
            "port of model servers as a number in quotes",
            seldon(json!({"port": "9000"})),
            ByRule("expected the name of a port, like `metrics`, and not its number"),
        ),
        (
            "port of model servers as kubernetes has none",
            seldon(json!({"port": "a--b"})),
            ByRule("single '-'"),
        ),
        (
            "port of model servers as a number",
            seldon(json!({"port": 6000})),
            BySchema("spec.seldon.port"),
        ),
        (
            "port of model servers too long",
            seldon(json!({"port": "a-name-of-16-chr"})),
            BySchema("spec.seldon.port"),
        ),
        (
            "path of model servers without a slash",
            seldon(json!({"path": "metrics"})),
            ByRule("expected a path that begins with '/', like /metrics"),
        ),
        (
            "path of model servers with a query",
            seldon(json!({"path": "/metrics?x=y"})),
            ByRule("expected a path that begins with '/', like /metrics"),
        ),
        (
            "interval of model servers 2s",
            seldon(json!({"interval": "2s"})),
            ByRule("expected a duration from 5s to 1h"),
        ),
        (
            "interval of model servers 1d",
            seldon(json!({"interval": "1d"})),
            ByRule("expected a duration from 5s to 1h, like 30s, 1m30s or 1h"),
        ),
        (
            "no model server at all",
            seldon(json!({"limits": {"targets": 0}})),
            BySchema("spec.seldon.limits.targets"),
        ),
        (
            "model servers without end",
            seldon(json!({"limits": {"targets": 201}})),
            BySchema("spec.seldon.limits.targets"),
        ),
        (
            "samples of model servers without end",
            seldon(json!({"limits": {"samples": 20_001}})),
            BySchema("spec.seldon.limits.samples"),
        ),
        (
            "log level loud",
            json!({"gateway": {"logLevel": "loud"}}),
            BySchema("spec.gateway.logLevel"),
        ),
        (
            "image with a space",
            json!({"gateway": {"image": "a b"}}),
            ByRule("expected an image, like quay.io/prometheus/pushgateway:v1.11.3"),
        ),
        (
            "priority class in capitals",
            json!({"gateway": {"priorityClassName": "High"}}),
            ByRule("expected the name of a PriorityClass"),
        ),
        (
            "node label name with a space",
            json!({"gateway": {"nodeSelector": {"a b": "c"}}}),
            ByRule("expected names of labels, like `release` or `example.com/team`"),
        ),
        (
            "memory request that is none, and more than the limit",
            resources(json!({"requests": {"memory": "1GB"}})),
            ByRule(
                "expected an amount that is not negative, like 10m or 0.5 of cpu, 64Mi or 1Gi of memory",
            ),
        ),
        (
            "node label value with a space",
            json!({"gateway": {"nodeSelector": {"a": "b c"}}}),
            ByRule("expected values of labels, like `monitoring` or `team-1`"),
        ),
        (
            "paused as text",
            json!({"paused": "yes"}),
            BySchema("spec.paused"),
        ),
    ]
}
