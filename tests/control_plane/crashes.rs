//! An operator that dies at any moment, one that is asked to end, and one that can't start.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use rstest::rstest;
use serde_json::json;

use crate::control_plane::OPERATOR_NAMESPACE;
use crate::eventually::{eventually, so};
use crate::operator::{Operator, run_to_its_end};
use crate::stages::exclusive;
use crate::tenant::Tenant;

/// Each costs seven writes: more in all than the operators that are killed can have done, though the kill comes up to a
/// second after the write that it waits for.
const TENANTS: usize = 60;
/// Writes after which an operator is killed: within a tenant, and between two.
const WRITES_BEFORE_THE_END: [usize; 4] = [1, 4, 13, 30];
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// An operator waits for up to this long when a Lease was not given back.
const LEASE_DURATION: Duration = Duration::from_secs(5);

#[tokio::test]
async fn whenever_an_operator_is_killed_the_next_finishes_what_it_left() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let tenants = join_all((0..TENANTS).map(|number| {
        let client = client.clone();
        async move {
            let tenant = Tenant::empty(client, &format!("crash-{number}")).await;
            tenant.create("metrics", json!({})).await;
            tenant
        }
    }))
    .await;
    for writes in WRITES_BEFORE_THE_END {
        let audit = control_plane.audit().starting_now();
        let operator = Operator::start(&control_plane, &["--leader-election=false"]);
        eventually(
            format!("the operator has written {writes} times"),
            async || {
                let written = audit.operators_writes().len();
                so(written >= writes, written)
            },
        )
        .await;
        operator.kill();
    }
    let _operator = Operator::start_alone(&control_plane).await;
    for tenant in &tenants {
        tenant.until_converged().await;
        tenant.gateway_comes_up().await;
    }
    for tenant in &tenants {
        tenant
            .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
            .await;
    }
}

#[tokio::test]
async fn one_leads_and_the_other_stands_by_until_it_is_needed() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let leases: Api<Lease> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let start = |name| {
        let seconds = LEASE_DURATION.as_secs().to_string();
        Operator::start(
            &control_plane,
            &["--identity", name, "--lease-duration-seconds", &seconds],
        )
    };
    let first = start("first");
    first.until_leading(LEASE_DURATION * 3).await;
    let second = start("second");
    second.until_ready().await;
    let (_, text) = second.get("/readyz").await.unwrap();
    assert!(text.contains("standing by"), "{text}");
    assert_eq!(second.metric("simplepipe_leading").await.unwrap(), 0.0);
    for operator in [&first, &second] {
        assert_eq!(operator.get("/livez").await.unwrap().0, 200);
        assert_eq!(operator.get("/metrics").await.unwrap().0, 200);
    }
    Tenant::converged(client.clone(), "leader-first", json!({})).await;

    first.kill();
    second.until_leading(LEASE_DURATION * 2).await;
    second.until_ready().await;
    Tenant::converged(client.clone(), "leader-second", json!({})).await;

    let third = start("third");
    third.until_ready().await;
    assert_eq!(third.metric("simplepipe_leading").await.unwrap(), 0.0);
    let (code, log) = second.terminate(SHUTDOWN_TIMEOUT).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("had not ended"), "no time to drain: {log}");
    third.until_leading(LEASE_DURATION).await;

    let (code, log) = third.terminate(SHUTDOWN_TIMEOUT).await;
    assert_eq!(code, Some(0), "{log}");
    let lease = leases.get("simplepipe").await.unwrap().spec.unwrap();
    assert_eq!(
        lease.holder_identity.unwrap_or_default(),
        "",
        "holder of a Lease that was given back"
    );
}

#[tokio::test]
async fn an_operator_that_loses_its_lease_ends() {
    let control_plane = exclusive().await;
    let operator = Operator::start(
        &control_plane,
        &["--identity", "robbed", "--lease-duration-seconds", "5"],
    );
    operator.until_leading(LEASE_DURATION * 3).await;
    let robbed =
        json!({"spec": {"holderIdentity": "robber", "renewTime": "2100-01-01T00:00:00.000000Z"}});
    control_plane.kubectl(&[
        "-n",
        OPERATOR_NAMESPACE,
        "patch",
        "lease",
        "simplepipe",
        "--type=merge",
        "-p",
        &robbed.to_string(),
    ]);
    let (code, log) = operator.until_ended(LEASE_DURATION * 3).await;
    let holder = json!({"spec": {"holderIdentity": null, "renewTime": null}});
    control_plane.kubectl(&[
        "-n",
        OPERATOR_NAMESPACE,
        "patch",
        "lease",
        "simplepipe",
        "--type=merge",
        "-p",
        &holder.to_string(),
    ]);
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("the Lease was lost: Lease simplepipe-system/simplepipe is held by robber"),
        "{log}"
    );
}

#[tokio::test]
async fn an_operator_that_gets_no_answer_counts_its_lease_as_lost_by_its_end() {
    let control_plane = exclusive().await;
    let leases: Api<Lease> = Api::namespaced(control_plane.client().await, OPERATOR_NAMESPACE);
    let renewed = async || {
        leases
            .get("simplepipe")
            .await
            .unwrap()
            .spec
            .unwrap()
            .renew_time
    };
    let operator = Operator::start(
        &control_plane,
        &["--identity", "frozen", "--lease-duration-seconds", "5"],
    );
    operator.until_leading(LEASE_DURATION * 3).await;
    // Just after a renewal, so that a whole duration is left.
    let before = renewed().await;
    eventually("the Lease is renewed", async || {
        let now = renewed().await;
        so(now != before, now)
    })
    .await;
    let began = std::time::Instant::now();
    let frozen = control_plane.freeze();
    let (code, log) = operator.until_ended(LEASE_DURATION * 4).await;
    let took = began.elapsed();
    drop(frozen);
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("the Lease was lost: it could not be renewed in time"),
        "{log}"
    );
    assert!(
        took <= LEASE_DURATION * 3 / 2,
        "worked on for {took:?} after it last renewed a Lease of {LEASE_DURATION:?}\n{log}"
    );
}

#[rstest]
#[case::unknown_flag(&["--concurency", "3"], "--concurency")]
#[case::concurrency(&["--concurrency", "0"], "setting concurrency is \"0\"; expected from 1 to 256")]
#[case::address(&["--listen", "here"], "setting listen is \"here\"; expected an address and a port")]
#[case::lease_duration(&["--lease-duration-seconds", "4"], "expected from 5 to 300")]
#[case::pull_policy(&["--gateway-image-pull-policy", "Sometimes"], "expected Always, IfNotPresent or Never")]
#[case::label(&["--service-monitor-label", "release"], "expected NAME=VALUE")]
#[case::pattern(&["--reserved-metric", "kube_("], "expected a regular expression")]
#[case::log_level(&["--log-level", "a=b=c"], "a=b=c")]
#[case::settings_file(&["--config", "/nowhere/settings.yaml"], "/nowhere/settings.yaml")]
#[test]
fn settings_that_cannot_be_used_are_said_at_once(#[case] flags: &[&str], #[case] words: &str) {
    let (code, said) = run_to_its_end(flags, &[]);
    assert!(
        code.is_some_and(|code| code != 0),
        "exit code {code:?}: {said}"
    );
    assert!(said.contains(words), "{said}");
}

#[test]
fn an_address_that_is_in_use_is_said_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = run_to_its_end(&["--listen", &address], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("can't listen on {address}")),
        "{said}"
    );
}

#[test]
fn whoever_reads_the_log_as_json_can_read_why_it_ended() {
    let environment = [("KUBECONFIG", "/nowhere/config"), ("HOME", "/nowhere")];
    let flags = ["--listen", "127.0.0.1:0", "--log-format", "json"];
    let (code, said) = run_to_its_end(&flags, &environment);
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "ERROR");
    assert_eq!(last["message"], "the operator ended");
    let why = last["error"].as_str().unwrap();
    assert!(why.contains("set KUBECONFIG"), "{why}");

    let off = ["--listen", "127.0.0.1:0", "--log-level", "off"];
    let (_, said) = run_to_its_end(&off, &environment);
    assert!(
        said.starts_with("simplepipe: no Kubernetes API server"),
        "{said}"
    );
}

#[test]
fn a_kubeconfig_that_is_broken_is_not_quoted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = "users:\n- name: a\n  user: {token: s3cret\nclusters: [\n";
    std::fs::write(file.path(), content).unwrap();
    let environment = [("KUBECONFIG", file.path().to_str().unwrap())];
    let (code, said) = run_to_its_end(&["--listen", "127.0.0.1:0"], &environment);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("parse kubeconfig"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_proxy_for_the_api_server_is_refused_in_words_and_not_quoted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n\
        users: [{name: a, user: {token: t}}]\n\
        contexts: [{name: a, context: {cluster: a, user: a}}]\n";
    std::fs::write(file.path(), content).unwrap();
    let environment = [
        ("KUBECONFIG", file.path().to_str().unwrap()),
        ("HTTPS_PROXY", "http://ann:s3cret@proxy.corp:3128"),
    ];
    let (code, said) = run_to_its_end(&["--listen", "127.0.0.1:0"], &environment);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("HTTPS_PROXY"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn without_a_cluster_it_says_what_to_do() {
    let environment = [("KUBECONFIG", "/nowhere/config"), ("HOME", "/nowhere")];
    let (code, said) = run_to_its_end(&["--listen", "127.0.0.1:0"], &environment);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("set KUBECONFIG"), "{said}");
}
