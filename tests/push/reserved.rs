//! Metrics and jobs that Prometheus drops, by the words of ConfigMap `simplepipe` in the environment.

use rstest::rstest;

use crate::pushgateway::Pushgateway;
use crate::simplepipe::{Ended, Simplepipe};

const TEXT: &str = "# TYPE node_load gauge\nnode_load 1\n# TYPE loss gauge\nloss 2\n";
const METRIC: &str =
    "metric \"node_load\" is reserved by the platform; Prometheus drops it. Rename it.";
const JOB: &str = "job \"prometheus-train\" is reserved by the platform; Prometheus drops all that is pushed under it. \
                   Rename it.";

fn push(text: &str, job: &str, gateway: &Pushgateway) -> Simplepipe {
    Simplepipe::push(text, job)
        .gateway(gateway.address())
        .variable("PUSHGATEWAY_RESERVED_METRICS", "kube_.*|node_.*")
        .variable("PUSHGATEWAY_RESERVED_JOBS", "kubelet|prometheus.*")
}

#[rstest]
#[case::metric(TEXT, "train", &[METRIC])]
#[case::job("loss 1\n", "prometheus-train", &[JOB])]
#[case::both(TEXT, "prometheus-train", &[JOB, METRIC])]
#[case::neither("my_node_load 1\n", "my-prometheus", &[])]
fn what_the_platform_reserves_is_pushed_and_told(
    #[case] text: &str,
    #[case] job: &str,
    #[case] remarks: &[&str],
) {
    let gateway = Pushgateway::start();
    let ended = push(text, job, &gateway).run();
    ended.assert_code(0);
    let told: String = (remarks.iter())
        .map(|remark| format!("simplepipe: note: {remark}\n"))
        .collect();
    assert_eq!(ended.standard_error, told);
    assert_eq!(gateway.groups(), [format!("job={job}")]);
}

#[rstest]
#[case::of_the_platform(TEXT, METRIC)]
#[case::of_prometheus(
    "# TYPE up gauge\nup 1\n",
    "metric \"up\" will be dropped between gateway and Prometheus, which writes metrics of this name itself; give it \
     another name"
)]
#[case::as_yaml_is_written(
    "run_time: 6\n",
    "metric \"run_time:\" will be dropped between gateway and Prometheus: names with a colon are for its recording rules; \
     take the colon out"
)]
fn strict_refuses_what_would_be_dropped(#[case] text: &str, #[case] remark: &str) {
    let gateway = Pushgateway::start();
    for more in [&["--strict"][..], &["--strict", "--dry-run"]] {
        let ended = push(text, "train", &gateway)
            .and(more.iter().copied())
            .run();
        assert_eq!(
            ended,
            Ended::badly(2, &format!("nothing was pushed: {remark}"))
        );
    }
    assert_eq!(gateway.groups(), [""; 0]);
    push("loss 1\n", "train", &gateway)
        .and(["--strict"])
        .run()
        .assert_code(0);
}

#[test]
fn a_reserved_name_that_nobody_understands_keeps_no_metric_back() {
    let gateway = Pushgateway::start();
    let ended = Simplepipe::push(TEXT, "train")
        .gateway(gateway.address())
        .variable("PUSHGATEWAY_RESERVED_METRICS", "node_(")
        .and(["--strict"])
        .run();
    ended.assert_code(0);
    assert_eq!(
        ended.standard_error,
        "simplepipe: note: PUSHGATEWAY_RESERVED_METRICS is not a regular expression, so what it reserves is not known; \
         ask the platform's team\n"
    );
}
