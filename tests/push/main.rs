//! `simplepipe push` as users run it: the program itself, against a real Pushgateway, and against servers with faults
//! that a real one doesn't show on demand.

// clippy.toml allows it in test functions; the helpers beside them are tests just as much.
#![allow(clippy::unwrap_used)]

mod accumulate;
mod authentication;
mod collisions;
mod faulty_server;
mod files;
// What else a gateway can do is for other tests.
#[allow(dead_code)]
mod pushgateway;
mod reserved;
mod simplepipe;
mod wire;

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::{Duration, Instant};

use faulty_server::{FaultyServer, answer, close, endless, hang};
use pushgateway::Pushgateway;
use rstest::rstest;
use simplepipe::{Ended, Simplepipe};

/// What the first Simplepipe's workflow steps wrote.
const FILE: &str = r#"[
    {"name": "run_time", "description": "Run time", "value": "6", "metric_type": "gauge"},
    {"name": "rows", "description": "Rows read", "value": 1200, "metric_type": "summary"},
    {"name": "step_time", "description": "Time of a step", "value": "0.5", "metric_type": "histogram"},
    {"name": "model_version", "description": "Version of the model", "value": "3.10", "metric_type": "info"}
]"#;

fn gauge(value: &str) -> String {
    format!(
        r#"[{{"name": "run_time", "description": "Run time", "value": "{value}", "metric_type": "gauge"}}]"#
    )
}

#[test]
fn a_file_arrives_with_each_type_as_documented() {
    let gateway = Pushgateway::start();
    let ended = Simplepipe::push(FILE, "train")
        .gateway(gateway.address())
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "pushed 4 metrics to http://{} as job \"train\"\n",
            gateway.address()
        ))
    );
    insta::assert_snapshot!(gateway.pushed(), @r#"
    # HELP model_version_info Version of the model
    # TYPE model_version_info gauge
    model_version_info{instance="",job="train",value="3.10"} 1
    # HELP rows Rows read
    # TYPE rows summary
    rows_sum{instance="",job="train"} 1200
    rows_count{instance="",job="train"} 1
    # HELP run_time Run time
    # TYPE run_time gauge
    run_time{instance="",job="train"} 6
    # HELP step_time Time of a step
    # TYPE step_time histogram
    step_time_bucket{instance="",job="train",le="+Inf"} 1
    step_time_sum{instance="",job="train"} 0.5
    step_time_count{instance="",job="train"} 1
    "#);
}

#[test]
fn a_push_replaces_the_job_and_leaves_others_alone() {
    let gateway = Pushgateway::start();
    for (file, job) in [
        (FILE, "train"),
        (FILE, "other"),
        (gauge("7").as_str(), "train"),
    ] {
        Simplepipe::push(file, job)
            .gateway(gateway.address())
            .run()
            .assert_code(0);
    }
    assert_eq!(
        gateway
            .value(r#"run_time{instance="",job="train"}"#)
            .as_deref(),
        Some("7")
    );
    assert_eq!(gateway.value(r#"rows_sum{instance="",job="train"}"#), None);
    assert_eq!(
        gateway
            .value(r#"rows_sum{instance="",job="other"}"#)
            .as_deref(),
        Some("1200")
    );
}

#[rstest]
fn any_job_arrives_as_it_was_written(
    #[values(
        "nightly run",
        "a/b",
        "/",
        "..",
        "100%",
        "a?b#c",
        "zug-ß",
        "a%2Fb",
        "job@base64",
        "a+b"
    )]
    job: &str,
) {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metric.json");
    std::fs::write(&file, gauge("6")).unwrap();
    // By --job, since a second word with a slash would be taken for a file.
    let arguments = [
        "push".as_ref(),
        "--job".as_ref(),
        job.as_ref(),
        file.as_os_str(),
    ];
    Simplepipe::with(arguments)
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    let series = format!(r#"run_time{{instance="",job="{job}"}}"#);
    assert_eq!(
        gateway.value(&series).as_deref(),
        Some("6"),
        "{}",
        gateway.pushed()
    );
}

#[rstest]
#[case("NaN", "NaN")]
#[case("inf", "+Inf")]
#[case("-1e300", "-1e+300")]
#[case("0.1", "0.1")]
fn unusual_values_arrive(#[case] written: &str, #[case] held: &str) {
    let gateway = Pushgateway::start();
    Simplepipe::push(&gauge(written), "train")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    assert_eq!(
        gateway
            .value(r#"run_time{instance="",job="train"}"#)
            .as_deref(),
        Some(held)
    );
}

#[test]
fn a_description_of_any_text_arrives() {
    let gateway = Pushgateway::start();
    let file = r#"[{"name": "a", "description": "one\ntwo \\n \"x\" é\nup 0\u0000\u001b", "value": 1, "metric_type": "gauge"}]"#;
    Simplepipe::push(file, "train")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    let help = "# HELP a one\\ntwo \\\\n \"x\" é\\nup 0\0\x1b";
    assert!(gateway.pushed().contains(help), "{}", gateway.pushed());
}

#[test]
fn the_file_may_come_from_standard_input() {
    let gateway = Pushgateway::start();
    let ended = Simplepipe::push_standard_input(&gauge("6"), "train")
        .gateway(gateway.address())
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "pushed 1 metric to http://{} as job \"train\"\n",
            gateway.address()
        ))
    );
    let ended = Simplepipe::push_standard_input("[six]", "train")
        .gateway(gateway.address())
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: standard input is not JSON: index 0: expected value at line 1 column 2"
        )
    );
}

#[rstest]
#[case::argument(Some("good"), [("PUSHGATEWAY_URL", "bad"), ("PUSH_GATEWAY_HOSTNAME", "bad")])]
#[case::url(None, [("PUSHGATEWAY_URL", "good"), ("PUSH_GATEWAY_HOSTNAME", "bad")])]
#[case::empty_url(None, [("PUSHGATEWAY_URL", ""), ("PUSH_GATEWAY_HOSTNAME", "good")])]
fn the_gateway_is_taken_from_the_first_that_names_it(
    #[case] argument: Option<&str>,
    #[case] variables: [(&str, &str); 2],
) {
    let gateway = Pushgateway::start();
    // Nothing listens on port 1, so that a wrong choice fails.
    let address = |which: &str| match which {
        "good" => gateway.address().to_owned(),
        "bad" => "http://127.0.0.1:1".to_owned(),
        other => other.to_owned(),
    };
    let mut push = Simplepipe::push(&gauge("6"), "train").retry_for(0);
    if let Some(argument) = argument {
        push = push.gateway(&address(argument));
    }
    for (name, which) in variables {
        push = push.variable(name, &address(which));
    }
    push.run().assert_code(0);
}

/// Each in front of a real gateway, which must have got nothing.
#[rstest]
#[case::not_json("[six]", "is not JSON: index 0: expected value at line 1 column 2")]
#[case::empty(
    "",
    "is empty; it must hold metrics, in JSON or Prometheus' text format"
)]
#[case::not_an_array(
    "{}",
    "has 1 problem:\n  field \"metrics\": is missing; write an array of metrics"
)]
#[case::no_metric("[]", "holds no metric; there is nothing to push")]
#[case::name(
    r#"[{"name": "run time", "value": 1, "metric_type": "gauge"}]"#,
    "has 1 problem:\n  index 0, field \"name\": \"run time\" is not a metric name; write letters, digits, _ and : only, \
     not starting with a digit, such as \"run_time\""
)]
#[case::value(
    r#"[{"name": "a", "value": 1, "metric_type": "gauge"}, {"name": "b", "value": "6 s", "metric_type": "gauge"}]"#,
    "has 1 problem:\n  index 1, field \"value\": \"6 s\" is not a number; write decimal digits such as \"6\", \"6.5\" or \
     \"1e3\", without units or separators"
)]
#[case::two_types(
    r#"[{"name": "a", "value": 1, "metric_type": "gauge"}, {"name": "a", "value": 1, "metric_type": "summary"}]"#,
    "has 1 problem:\n  index 1, field \"name\": \"a\" is a summary here and a gauge at index 0; give one another name"
)]
#[case::unknown_type(
    r#"[{"name": "a", "value": 1, "metric_type": "untyped"}]"#,
    "has 1 problem:\n  index 0, field \"metric_type\": \"untyped\" is not a type; write gauge, counter, summary, \
     histogram or info"
)]
fn bad_input_is_refused_whole_before_anything_is_sent(#[case] file: &str, #[case] cause: &str) {
    let gateway = Pushgateway::start();
    let push = Simplepipe::push(file, "train").gateway(gateway.address());
    let expected = Ended::badly(2, &format!("nothing was pushed: {:?} {cause}", push.file()));
    assert_eq!(push.run(), expected);
    assert_eq!(gateway.pushed(), "");
}

#[test]
fn a_file_too_large_is_refused() {
    let push = Simplepipe::push(&" ".repeat(8 * 1024 * 1024 + 1), "train").gateway("127.0.0.1:1");
    let expected = Ended::badly(
        2,
        &format!(
            "nothing was pushed: {:?} is too large; a metrics file has at most 8 MiB",
            push.file()
        ),
    );
    assert_eq!(push.run(), expected);
}

#[test]
fn a_file_of_thousands_of_metrics_is_taken_whole() {
    let metric =
        |index| format!(r#"{{"name": "m{index}", "value": {index}, "metric_type": "gauge"}}"#);
    let metrics: Vec<String> = (0..20_000).map(metric).collect();
    let gateway = Pushgateway::start();
    Simplepipe::push(&format!("[{}]", metrics.join(",")), "train")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    assert_eq!(
        gateway
            .value(r#"m19999{instance="",job="train"}"#)
            .as_deref(),
        Some("19999")
    );
}

#[test]
fn wrong_arguments_and_settings_exit_with_2() {
    let file = gauge("6");
    let ended = Simplepipe::push(&file, "").gateway("127.0.0.1:1").run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: job is empty; write a name such as train"
        )
    );
    let ended = Simplepipe::push(&file, "train").run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "no gateway to push to; give --gateway HOST:PORT, or set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME (in a \
             namespace with a MetricsNamespace, ConfigMap \"simplepipe\" has both)"
        )
    );
    let ended = Simplepipe::push(&file, "train")
        .variable("PUSHGATEWAY_URL", "ftp://user:secret@host")
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: gateway from PUSHGATEWAY_URL \"ftp://host\" is neither http nor https; write \
             http://HOST:PORT"
        )
    );
    Simplepipe::push(&file, "train")
        .gateway("127.0.0.1:1")
        .retry_for(3601)
        .run()
        .assert_code(2);
    Simplepipe::push(&file, "train")
        .gateway("127.0.0.1:1")
        .and(["--timeout", "0"])
        .run()
        .assert_code(2);
    let job = OsStr::from_bytes(b"tr\xe4in");
    let ended = Simplepipe::with(["push".as_ref(), "-".as_ref(), job])
        .gateway("127.0.0.1:1")
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: JOB is not UTF-8 text; write it in UTF-8"
        )
    );
}

/// So that nobody waits for standard input in vain.
#[test]
fn a_wrong_setting_is_told_before_a_file_is_read() {
    let ended = Simplepipe::push_path("/missing/metric.json", "train").run();
    ended.assert_code(2);
    assert!(
        ended
            .standard_error
            .starts_with("simplepipe: no gateway to push to; "),
        "{}",
        ended.standard_error
    );
}

#[test]
fn output_that_nobody_takes_is_a_failure_only_where_it_is_all_there_is() {
    let gateway = Pushgateway::start();
    let run = |arguments: &[&str]| {
        let mut push = Command::new(env!("CARGO_BIN_EXE_simplepipe"));
        push.args(["push", "--gateway", gateway.address()])
            .args(arguments)
            .env_clear()
            .stdout(File::create("/dev/full").unwrap())
            .output()
            .unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics");
    std::fs::write(&file, gauge("6")).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(run(&[file, "train"]).status.code(), Some(0));
    assert_eq!(gateway.groups(), ["job=train"]);
    let printed = run(&["--dry-run", file, "train"]);
    assert_eq!(printed.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&printed.stderr),
        "simplepipe: standard output can't be written: No space left on device (os error 28)\n"
    );
}

#[rstest]
fn a_step_of_2022_is_understood(
    #[values(&["app.py"], &["/app/app.py"], &["python3", "app.py"])] arguments: &[&str],
) {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metric-in.json");
    std::fs::write(&file, gauge("6")).unwrap();
    let ended = Simplepipe::with(arguments)
        .and([file.as_os_str(), "simple".as_ref()])
        .variable("PUSH_GATEWAY_HOSTNAME", gateway.address())
        .run();
    ended.assert_code(0);
    assert_eq!(
        gateway
            .value(r#"run_time{instance="",job="simple"}"#)
            .as_deref(),
        Some("6")
    );
}

#[test]
fn a_missing_file_and_a_folder_exit_with_2() {
    let ended = Simplepipe::push_path("/missing/metric.json", "train")
        .gateway("127.0.0.1:1")
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: \"/missing/metric.json\" can't be read: No such file or directory (os error 2)"
        )
    );
    let ended = Simplepipe::push_path("/", "train")
        .gateway("127.0.0.1:1")
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: \"/\" is a folder; name the metrics file in it"
        )
    );
}

#[test]
fn a_gateway_that_cannot_be_reached_is_retried_for_the_time_and_no_longer() {
    let start = Instant::now();
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway("127.0.0.1:1")
        .retry_for(2)
        .run();
    let took = start.elapsed();
    ended.assert_code(1);
    // The last try begins when the time is over.
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(6)).contains(&took),
        "{took:?}"
    );
    let lines: Vec<&str> = ended.standard_error.lines().collect();
    let waiting = "simplepipe: http://127.0.0.1:1 can't be reached: Connection refused (os error 111); trying again in ";
    assert!(
        lines.len() >= 3
            && lines[0].starts_with(waiting)
            && lines[0].ends_with(" s (for 2 s more)"),
        "{}",
        ended.standard_error
    );
    let last = format!(
        "simplepipe: not pushed: http://127.0.0.1:1 can't be reached: Connection refused (os error 111) (tried {} times)",
        lines.len()
    );
    assert_eq!(lines.last().copied(), Some(last.as_str()));
}

#[test]
fn without_time_to_retry_there_is_one_try() {
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway("127.0.0.1:1")
        .retry_for(0)
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            "not pushed: http://127.0.0.1:1 can't be reached: Connection refused (os error 111)"
        )
    );
}

#[test]
fn a_host_that_does_not_exist_is_told() {
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway("pushgateway.invalid:9091")
        .retry_for(0)
        .run();
    ended.assert_code(1);
    let message = "simplepipe: not pushed: http://pushgateway.invalid:9091 can't be reached: failed to lookup address";
    assert!(
        ended.standard_error.starts_with(message),
        "{}",
        ended.standard_error
    );
}

#[test]
fn a_gateway_that_comes_back_gets_the_push() {
    let server = FaultyServer::start([
        close(),
        answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nnot yet\n\n"),
        answer("no HTTP at all\r\n\r\n"),
        answer("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nbroken off"),
        answer("HTTP/1.1 429 Too Many Requests\r\n\r\n"),
        answer("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
    ]);
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway(server.address())
        .retry_for(30)
        .run();
    ended.assert_code(0);
    assert!(
        ended
            .standard_error
            .contains("it answered 503 Service Unavailable: not yet; trying"),
        "{ended:?}"
    );
    assert!(
        ended
            .standard_error
            .contains("it answered 500 Internal Server Error: broken off; trying"),
        "{ended:?}"
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 6);
    for request in requests {
        assert!(
            request.starts_with("PUT /metrics/job/train HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            "{request}"
        );
        assert!(
            request.ends_with("# HELP run_time Run time\n# TYPE run_time gauge\nrun_time 6\n"),
            "{request}"
        );
    }
}

#[test]
fn a_gateway_that_hangs_is_announced_and_given_up() {
    let server = FaultyServer::start([hang()]);
    let start = Instant::now();
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway(server.address())
        .retry_for(0)
        .run();
    let took = start.elapsed();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "waiting for http://{0} to answer\nsimplepipe: not pushed: http://{0} did not answer within 10 s \
                 (--timeout); it may have done what it was asked, or still do it",
                server.address()
            )
        )
    );
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(15)).contains(&took),
        "{took:?}"
    );
}

#[rstest]
#[case::redirect(
    "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "is not the gateway: it answered 307 Temporary Redirect: see http://127.0.0.1:1/; name the gateway's own address"
)]
#[case::page_to_log_in_at(
    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>",
    "is not the gateway: it answered 200 OK: a web page; name the gateway's own address"
)]
#[case::not_found(
    "HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n",
    "refused the push: it answered 404 Not Found: 404 page not found; no Pushgateway answers there: see to the \
     host, the port and the path of its address"
)]
#[case::unsafe_for_terminals(
    "HTTP/1.1 400 Bad Request\r\n\r\n\x1b[2Jbad\r\n\u{202e}push",
    "refused the push: it answered 400 Bad Request: [2Jbad push"
)]
#[case::credentials(
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "refused the push: it answered 401 Unauthorized; give --username and --password-file"
)]
fn a_refusal_is_shown_and_not_retried(#[case] response: &str, #[case] message: &str) {
    let server = FaultyServer::start([answer(response)]);
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway(server.address())
        .retry_for(30)
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!("not pushed: http://{} {message}", server.address())
        )
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn of_an_endless_answer_only_the_start_is_read_and_shown() {
    let server = FaultyServer::start([endless(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 1000000000000\r\n\r\n",
    )]);
    let start = Instant::now();
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway(server.address())
        .retry_for(0)
        .run();
    let took = start.elapsed();
    let shown = format!("it answered 400 Bad Request: {}...", "x".repeat(400));
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: http://{} refused the push: {shown}",
                server.address()
            )
        )
    );
    // Reading on would end with the time for one try.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_password_is_sent_and_never_shown() {
    let server = FaultyServer::start([
        answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        close(),
        answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
    ]);
    let address = format!("http://user:s3cret@{}", server.address());
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway(&address)
        .retry_for(30)
        .run();
    ended.assert_code(1);
    assert!(
        !ended.standard_error.contains("s3cret"),
        "{}",
        ended.standard_error
    );
    for request in server.requests() {
        assert!(
            request.contains("authorization: Basic dXNlcjpzM2NyZXQ=\r\n"),
            "{request}"
        );
    }
}

#[test]
fn a_gateway_that_speaks_no_tls_is_told_at_once() {
    let server = FaultyServer::start([answer("HTTP/1.1 400 Bad Request\r\n\r\n")]);
    let ended = Simplepipe::push(&gauge("6"), "train")
        .gateway(&format!("https://{}", server.address()))
        .retry_for(30)
        .run();
    ended.assert_code(1);
    let message = format!(
        "simplepipe: not pushed: https://{} can't be spoken to over TLS: ",
        server.address()
    );
    assert!(
        ended.standard_error.starts_with(&message)
            && ended
                .standard_error
                .ends_with("; it may speak plain http\n"),
        "{}",
        ended.standard_error
    );
}

#[test]
fn a_name_of_the_cluster_never_goes_to_a_proxy_whatever_no_proxy_lists() {
    let proxy = FaultyServer::start([answer(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    )]);
    let gateway = Pushgateway::start();
    let port = gateway.address().rsplit(':').next().unwrap();
    let push = |host: &str| {
        Simplepipe::push(&gauge("6"), "train")
            .gateway(&format!("http://{host}:{port}"))
            .variable("HTTP_PROXY", &format!("http://{}", proxy.address()))
            .variable("NO_PROXY", "example.corp")
            .retry_for(0)
            .run()
    };
    // Without a dot, as the address in ConfigMap simplepipe, and known here.
    push("localhost").assert_code(0);
    // No name server here knows it, which is told of the name and not of a proxy.
    for host in [
        "pushgateway.alice.svc",
        "pushgateway.alice.svc.cluster.local",
    ] {
        let ended = push(host);
        ended.assert_code(1);
        assert!(!ended.standard_error.contains("proxy"), "{ended:?}");
    }
    assert_eq!(proxy.requests(), [""; 0], "the proxy was asked");
}

#[rstest]
#[case::for_http("http://", &["http_proxy"], true)]
#[case::for_https("https://", &["HTTPS_PROXY"], true)]
#[case::for_both("http://", &["all_proxy"], true)]
#[case::of_https_alone("http://", &["https_proxy"], false)]
#[case::of_http_alone("https://", &["http_proxy"], false)]
#[case::not_for_this_host("http://", &["http_proxy", "no_proxy"], false)]
fn a_proxy_is_asked_where_the_environment_names_one_for_the_gateway(
    #[case] scheme: &str,
    #[case] variables: &[&str],
    #[case] is_asked: bool,
) {
    let proxy = FaultyServer::start([answer(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    )]);
    let gateway = Pushgateway::start();
    let mut push = Simplepipe::push(&gauge("6"), "train")
        .gateway(&format!("{scheme}{}", gateway.address()))
        .retry_for(0);
    for name in variables {
        let value = match *name {
            "no_proxy" => "other.example,127.0.0.1".to_owned(),
            _ => format!("http://{}", proxy.address()),
        };
        push = push.variable(name, &value);
    }
    let ended = push.run();
    let requests = proxy.requests();
    if is_asked {
        let request = format!("CONNECT {} HTTP/1.1\r\n", gateway.address());
        assert!(
            requests.len() == 1 && requests[0].starts_with(&request),
            "{requests:?}"
        );
        let message = format!("can't be reached through the proxy from {}: ", variables[0]);
        assert!(ended.standard_error.contains(&message), "{ended:?}");
    } else {
        assert_eq!(requests, [""; 0]);
        ended.assert_code(if scheme == "http://" { 0 } else { 1 });
    }
}
