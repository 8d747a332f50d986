//! Argo Workflows and S3, the real ones, beside the demo: what is shipped for them, and what the first Simplepipe's
//! users have. `tests/node/argo/up` first.

use std::process::Command;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::cluster::{Tenant, ask, client, eventually, root, scraped};
use super::dashboard_expressions::dashboard_expressions;

const BUSYBOX: &str = "docker.io/library/busybox:1.35";

#[tokio::test]
async fn the_first_simplepipes_workflow_pushes_for_alice_and_bob() {
    let client = client().await;
    tokio::join!(
        runs_as_in_2022(&client, "alice"),
        runs_as_in_2022(&client, "bob")
    );

    let text = std::fs::read_to_string(root().join("dashboards/admin.json")).unwrap();
    let expressions: Vec<_> = dashboard_expressions(&serde_json::from_str(&text).unwrap())
        .into_iter()
        .filter(|(_, expression)| expression.contains("run_time("))
        .collect();
    assert!(expressions.len() > 2, "{expressions:?}");
    let mut by_job = 0;
    for (title, expression) in expressions {
        let what = format!("{title:?} of the administrator shows alice's and bob's run time");
        let series = eventually(&what, async || {
            let series = ask(&client, &expression).await?;
            let shown = |tenant| {
                series
                    .iter()
                    .any(|(labels, _)| labels["namespace"] == tenant)
            };
            so(shown("alice") && shown("bob"), &series).map(|()| series)
        })
        .await;
        let simple = series
            .iter()
            .filter(|(labels, _)| labels["job"] == "simple");
        by_job += usize::from(simple.count() >= 2);
    }
    assert!(by_job > 0, "no panel tells the workflow's job from others");
}

async fn runs_as_in_2022(client: &Client, namespace: &str) {
    argo_tenant(namespace);
    let gateway = manifest("2022-gateway.yaml");
    let configmaps = objects(
        client,
        namespace,
        &GroupVersionKind::gvk("", "v1", "ConfigMap"),
    );
    let apply = PatchParams::apply("test");
    configmaps
        .patch("push-gateway", &apply, &Patch::Apply(gateway))
        .await
        .unwrap();
    let before = (
        transfers(client, namespace, "PUT").await,
        transfers(client, namespace, "GET").await,
    );

    let mut workflow = manifest("2022-workflow.yaml");
    workflow["spec"]["hooks"] = documented("## How a workflow ended")["hooks"].clone();
    let status = Run::start(client, namespace, workflow)
        .await
        .ends("Succeeded")
        .await;

    let artifact = &step(&status, "train")["outputs"]["artifacts"][0];
    assert_eq!(artifact["s3"]["key"], "metric-json", "{artifact}");
    assert!(
        transfers(client, namespace, "PUT").await > before.0,
        "not put into S3"
    );
    assert!(
        transfers(client, namespace, "GET").await > before.1,
        "not taken from S3"
    );
    let job = format!("namespace={namespace:?},job=\"simple\"");
    let pushed = scraped(client, &format!("run_time{{{job}}}")).await;
    assert_eq!(pushed[0].1, 6.0, "{pushed:?}");
    // Without a change to its steps.
    let reported = scraped(client, &format!("run_succeeded{{{job}}}")).await;
    assert_eq!(reported[0].1, 1.0, "{reported:?}");
}

/// How often the S3 server has taken or given `metric-json` in a namespace's bucket, by its log.
async fn transfers(client: &Client, bucket: &str, method: &str) -> usize {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "s3");
    let only = ListParams::default().labels("app=versitygw");
    let pod = pods.list(&only).await.unwrap().items.remove(0);
    let name = pod.metadata.name.unwrap();
    let log = pods.logs(&name, &LogParams::default()).await.unwrap();
    let request = format!("| {method} | /{bucket}/metric-json |");
    log.lines()
        .filter(|line| line.contains("| 200 |") && line.contains(&request))
        .count()
}

#[tokio::test]
async fn a_failed_run_is_reported_and_the_last_success_stays() {
    let tenant = tenant_with_gateway("e2e-argo-runs").await;
    let value = async |metric: &str| {
        let query = format!("{metric}{{namespace=\"e2e-argo-runs\",job=\"train\"}}");
        scraped(&tenant.client, &query).await[0].1
    };
    let file = r#"[{"name": "model_accuracy", "value": 0.93, "metric_type": "gauge"}]"#;
    let writes_metrics = train_and_push("train-", &format!("echo '{file}' > /tmp/metrics.json"));
    tenant.run(writes_metrics).await.ends("Succeeded").await;

    // Prometheus may still show what an earlier run of this test left.
    scraped(
        &tenant.client,
        "run_succeeded{namespace=\"e2e-argo-runs\",job=\"train\"} == 1",
    )
    .await;
    assert_eq!(value("model_accuracy").await, 0.93);
    let took = value("run_time_seconds").await;
    assert!((1.0..120.0).contains(&took), "{took}");
    let first = value("run_start_timestamp_seconds").await;
    let success = value("run_last_success_timestamp_seconds").await;
    assert_eq!(value("run_end_timestamp_seconds").await, success);
    assert!(
        (success - first - took).abs() < 2.0,
        "{first} + {took} is not {success}"
    );

    let fails = train_and_push("train-", "exit 3");
    let status = tenant.run(fails).await.ends("Failed").await;

    assert_eq!(
        find(&status, "push", false),
        None,
        "it was pushed all the same"
    );
    assert_eq!(report(&status)["phase"], "Succeeded");
    let failed = "run_succeeded{namespace=\"e2e-argo-runs\",job=\"train\"} == 0";
    scraped(&tenant.client, failed).await;
    assert!(value("run_start_timestamp_seconds").await > first);
    assert!(value("run_end_timestamp_seconds").await > success);
    assert_eq!(value("run_last_success_timestamp_seconds").await, success);
    assert_eq!(
        value("model_accuracy").await,
        0.93,
        "what the step pushed is gone"
    );
    tenant.gone().await;
}

#[tokio::test]
async fn parameters_reach_the_program_as_they_are() {
    let tenant = tenant_with_gateway("e2e-argo-values").await;
    let file = r#"[{"name": "rows", "value": 6, "metric_type": "gauge"}]"#;
    let mut workflow = train_and_push("train-", &format!("echo '{file}' > /tmp/metrics.json"));
    workflow["spec"]["templates"][0]["steps"][1][0]["arguments"]["parameters"] = json!([
        {"name": "job", "value": r#"say "hi", {now}"#},
        {"name": "grouping-labels", "value": r#"{"shard": 3, "region": "eu \"1\""}"#},
    ]);
    tenant.run(workflow).await.ends("Succeeded").await;
    let series = &scraped(
        &tenant.client,
        "rows{namespace=\"e2e-argo-values\",shard=\"3\"}",
    )
    .await[0];
    assert_eq!(series.0["job"], r#"say "hi", {now}"#);
    assert_eq!(series.0["region"], r#"eu "1""#);
    tenant.gone().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_artifact_stands_in_the_steps_message() {
    let tenant = tenant_with_gateway("e2e-argo-artifacts").await;
    let mut not_in_s3 = train_and_push("not-in-s3-", "echo '[]' > /tmp/metrics.json");
    not_in_s3["spec"]["templates"][0]["steps"][1][0]["arguments"]["artifacts"][0] =
        json!({"name": "file", "s3": {"key": "no-such-key"}});
    let (unwritten, not_in_s3, no_metrics) = tokio::join!(
        tenant.fails(train_and_push("unwritten-", "true"), "train"),
        tenant.fails(not_in_s3, "push"),
        tenant.fails(
            train_and_push("no-metrics-", "echo 'Epoch 1/10' > /tmp/metrics.json"),
            "push"
        ),
    );

    assert_has(&unwritten, &["metrics", "no such file"]);
    assert_has(&not_in_s3, &["artifact file", "key does not exist"]);
    assert_has(
        &no_metrics,
        &[
            "exit code 2",
            "nothing was pushed: \"/tmp/metrics\"",
            "line 1",
        ],
    );
    let query = "run_succeeded{namespace=\"e2e-argo-artifacts\"} == 0";
    let reported = eventually("all three are reported", async || {
        let series = ask(&tenant.client, query).await?;
        so(series.len() == 3, &series).map(|()| series)
    })
    .await;
    let mut jobs: Vec<_> = reported.iter().map(|(labels, _)| &labels["job"]).collect();
    jobs.sort_by_key(|job| job.to_string());
    assert_eq!(jobs, ["no-metrics", "not-in-s3", "unwritten"]);
    tenant.gone().await;
}

#[tokio::test]
async fn a_hook_with_wrong_arguments_fails_no_workflow() {
    let tenant = tenant_with_gateway("e2e-argo-wrong").await;
    let mut only_trains = train_and_push("train-", "echo done > /tmp/metrics.json");
    only_trains["spec"]["templates"][0]["steps"] =
        json!([[{"name": "train", "template": "train"}]]);
    only_trains["spec"]["hooks"]["exit"]["arguments"]["parameters"] =
        json!([{"name": "grouping-labels", "value": "instance=eu-1"}]);
    let status = tenant.run(only_trains).await.ends("Succeeded").await;

    let report = report(&status);
    assert_eq!(report["phase"], "Failed", "{report}");
    assert_has(
        report["message"].as_str().unwrap(),
        &["instance=eu-1", "write a JSON object"],
    );
    tenant.gone().await;
}

#[tokio::test]
async fn a_namespace_without_a_gateway_fails_no_workflow() {
    let tenant = Tenant::new(client().await, "e2e-argo-bare").await;
    argo_tenant(&tenant.namespace);
    let mut only_trains = train_and_push("train-", "echo done > /tmp/metrics.json");
    only_trains["spec"]["templates"][0]["steps"] =
        json!([[{"name": "train", "template": "train"}]]);
    let status = tenant.run(only_trains).await.ends("Succeeded").await;

    let report = report(&status);
    assert_eq!(report["phase"], "Failed", "{report}");
    assert_has(
        report["message"].as_str().unwrap(),
        &["no gateway to push to"],
    );
    tenant.gone().await;
}

/// A workflow with the docs' own step and exit handler, as they are written there.
fn train_and_push(name: &str, command: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": name},
        "spec": {
            "entrypoint": "main",
            "hooks": documented("## How a workflow ended")["hooks"],
            "templates": [
                {"name": "main", "steps": [
                    [{"name": "train", "template": "train"}],
                    documented("## A step that pushes"),
                ]},
                {
                    "name": "train",
                    "container": {"image": BUSYBOX, "command": ["sh", "-euc"], "args": [command]},
                    "outputs": {"artifacts": [{"name": "metrics", "path": "/tmp/metrics.json"}]},
                },
            ],
        },
    })
}

/// The first block of YAML that follows these words in docs/argo.md.
fn documented(words: &str) -> Value {
    let page = std::fs::read_to_string(root().join("docs/argo.md")).unwrap();
    let (_, section) = page.split_once(words).unwrap();
    let (_, rest) = section.split_once("```yaml\n").unwrap();
    serde_saphyr::from_str(rest.split_once("```").unwrap().0).unwrap()
}

fn manifest(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join("tests/node/argo").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Gives a namespace what Argo needs of it.
fn argo_tenant(namespace: &str) {
    let output = Command::new(root().join("tests/cluster/argo"))
        .args(["tenant", namespace])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

async fn tenant_with_gateway(namespace: &str) -> Tenant {
    let tenant = Tenant::new(client().await, namespace).await;
    argo_tenant(namespace);
    tenant
        .wants(json!({"scrape": {"interval": "5s", "timeout": "5s"}}))
        .await;
    tenant.until("Ready", "True", "").await;
    tenant
}

impl Tenant {
    async fn run(&self, workflow: Value) -> Run {
        Run::start(&self.client, &self.namespace, workflow).await
    }

    /// Runs a workflow that fails in this step, and gives the step's message.
    async fn fails(&self, workflow: Value, in_step: &str) -> String {
        let run = self.run(workflow).await;
        let status = eventually(&format!("{} fails", run.name), async || run.ended().await).await;
        assert_ne!(status["phase"], "Succeeded", "{status:#}");
        step(&status, in_step)["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// A workflow that has been started.
struct Run {
    workflows: Api<DynamicObject>,
    name: String,
}

impl Run {
    async fn start(client: &Client, namespace: &str, workflow: Value) -> Self {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow");
        let workflows = objects(client, namespace, &kind);
        let object = serde_json::from_value(workflow).unwrap();
        let created = workflows
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        Self {
            workflows,
            name: created.metadata.name.unwrap(),
        }
    }

    /// Waits until it has ended like this, and gives its status.
    async fn ends(&self, phase: &str) -> Value {
        let status = eventually(&format!("{} ends", self.name), async || self.ended().await).await;
        assert_eq!(status["phase"], phase, "{status:#}");
        status
    }

    /// Its status, once it has ended.
    async fn ended(&self) -> Result<Value, String> {
        let object = self
            .workflows
            .get(&self.name)
            .await
            .map_err(|e| e.to_string())?;
        let status = object.data["status"].clone();
        so(status["finishedAt"].is_string(), &status).map(|()| status)
    }
}

/// The step of this name, as the workflow's status has it.
#[track_caller]
fn step<'a>(status: &'a Value, name: &str) -> &'a Value {
    find(status, name, false).unwrap_or_else(|| panic!("no step {name} in {status:#}"))
}

/// The push of the workflow's exit handler.
#[track_caller]
fn report(status: &Value) -> &Value {
    find(status, "push", true).unwrap_or_else(|| panic!("no report in {status:#}"))
}

fn find<'a>(status: &'a Value, name: &str, at_exit: bool) -> Option<&'a Value> {
    let nodes = &status["nodes"];
    let is_at_exit = |node: &Value| {
        let parent = &nodes[node["boundaryID"].as_str().unwrap_or_default()]["displayName"];
        parent.as_str().unwrap_or_default().ends_with(".onExit")
    };
    let mut all = nodes.as_object()?.values();
    all.find(|node| node["displayName"] == name && is_at_exit(node) == at_exit)
}

fn objects(client: &Client, namespace: &str, kind: &GroupVersionKind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(kind))
}

fn so(yes: bool, seen: &impl std::fmt::Debug) -> Result<(), String> {
    if yes {
        Ok(())
    } else {
        Err(format!("{seen:#?}"))
    }
}

#[track_caller]
fn assert_has(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}
