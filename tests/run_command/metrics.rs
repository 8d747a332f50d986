//! What is pushed of a run.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::pushgateway::Pushgateway;
use crate::simplepipe::{PROGRAM, Run};

const GAUGE: &str = r#"[{"name": "a", "value": 6, "metric_type": "gauge"}]"#;

fn number(gateway: &Pushgateway, series: &str) -> f64 {
    let value = gateway.value(series);
    let value = value.unwrap_or_else(|| panic!("no {series} in {}", gateway.pushed()));
    value.parse().unwrap()
}

/// Of the run's group.
fn of_job(name: &str) -> String {
    format!(r#"{name}{{instance="",job="train"}}"#)
}

fn train(gateway: &Pushgateway, script: &str) -> Run {
    Run::script(script)
        .gateway(gateway.address())
        .option("--job", "train")
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[test]
fn the_standard_metrics_say_how_the_run_was() {
    let gateway = Pushgateway::start();
    let before = now();
    // 40 MB in memory at once, and a second's part of CPU.
    let script = "head -c 40000000 /dev/zero | tail -c 30000000 | wc -c; \
                  i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
    train(&gateway, script).end().assert_code(0).assert_quiet();
    let after = now();

    let value = |name| number(&gateway, &of_job(name));
    assert_eq!((value("run_exit_code"), value("run_succeeded")), (0.0, 1.0));
    let start = value("run_start_timestamp_seconds");
    let success = value("run_last_success_timestamp_seconds");
    // They are cut to milliseconds.
    assert!(before - 0.001 <= start && start <= success && success <= after);
    let time = value("run_time_seconds");
    assert!(
        time > 0.0 && (success - start - time).abs() < 0.002,
        "{time}"
    );
    let user = number(
        &gateway,
        r#"run_cpu_seconds{instance="",job="train",mode="user"}"#,
    );
    let system = number(
        &gateway,
        r#"run_cpu_seconds{instance="",job="train",mode="system"}"#,
    );
    assert!(user > 0.0 && system >= 0.0, "{user}, {system}");
    let memory = value("run_peak_memory_bytes");
    assert!((30e6..100e6).contains(&memory), "{memory}");
}

#[test]
fn what_the_platform_reserves_is_told_and_under_strict_refused() {
    const METRIC: &str =
        "metric \"a\" is reserved by the platform; Prometheus drops it. Rename it.";
    const JOB: &str = "job \"train\" is reserved by the platform; Prometheus drops all that is pushed under it. Rename it.";
    let gateway = Pushgateway::start();
    let script = format!("echo ran; echo '{GAUGE}' > $SIMPLEPIPE_METRICS");
    let reserving = |variable, pattern| train(&gateway, &script).variable(variable, pattern);

    reserving("PUSHGATEWAY_RESERVED_METRICS", "a|b")
        .end()
        .assert_code(0)
        .assert_says(&format!("note: {METRIC}"));
    assert_eq!(number(&gateway, &of_job("a")), 6.0);
    reserving("PUSHGATEWAY_RESERVED_JOBS", "tr.*")
        .end()
        .assert_code(0)
        .assert_says(&format!("note: {JOB}"));

    let ended = reserving("PUSHGATEWAY_RESERVED_METRICS", "a|b")
        .flag("--strict")
        .end()
        .assert_code(1);
    assert!(ended.errors.contains(METRIC), "{ended:?}");
    reserving("PUSHGATEWAY_RESERVED_JOBS", "tr.*")
        .flag("--strict")
        .end()
        .assert_code(2)
        .assert_output("")
        .assert_says(&format!("the command was not started: {JOB}"));
}

#[test]
fn a_failed_run_leaves_the_last_success_and_what_the_last_one_wrote() {
    let gateway = Pushgateway::start();
    let write = format!("echo '{GAUGE}' > $SIMPLEPIPE_METRICS");
    train(&gateway, &write).end().assert_code(0);
    let success = number(&gateway, &of_job("run_last_success_timestamp_seconds"));
    train(&gateway, "exit 3")
        .end()
        .assert_code(3)
        .assert_quiet();
    let value = |name| number(&gateway, &of_job(name));
    assert_eq!((value("run_exit_code"), value("run_succeeded")), (3.0, 0.0));
    assert_eq!(value("run_last_success_timestamp_seconds"), success);
    assert_eq!(value("a"), 6.0);
}

#[test]
fn the_job_is_the_options_or_the_variables_or_the_commands_name() {
    let gateway = Pushgateway::start();
    let run = || Run::of(["/bin/true"]).gateway(gateway.address());
    run().end().assert_code(0);
    run().variable("SIMPLEPIPE_JOB", "").end().assert_code(0);
    run()
        // As a Secret has it that an editor made.
        .variable("SIMPLEPIPE_JOB", "second\n")
        .end()
        .assert_code(0);
    run()
        .variable("SIMPLEPIPE_JOB", "second")
        .option("--job", "a/b")
        .end()
        .assert_code(0);
    let jobs: Vec<String> = (gateway.pushed().lines())
        .filter_map(|line| line.strip_prefix(r#"run_succeeded{instance="",job=""#))
        .map(str::to_owned)
        .collect();
    assert_eq!(jobs, [r#"a/b"} 1"#, r#"second"} 1"#, r#"true"} 1"#]);
}

#[test]
fn a_pipe_among_the_files_is_told_and_keeps_nothing_else_back() {
    let gateway = Pushgateway::start();
    let script = "mkdir $SIMPLEPIPE_METRICS; cd $SIMPLEPIPE_METRICS; echo 'a 1' > a; mkfifo pipe";
    let ended = train(&gateway, script)
        .flag("--strict")
        .end()
        .assert_code(1);
    assert!(
        ended
            .errors
            .ends_with("/pipe\" is neither a file nor a folder\n"),
        "{}",
        ended.errors
    );
    assert_eq!(number(&gateway, &of_job("a")), 1.0);
}

#[test]
fn a_job_that_is_no_text_is_not_as_good_as_none() {
    Run::of(["true"])
        .gateway("127.0.0.1:1")
        .variable("SIMPLEPIPE_JOB", OsStr::from_bytes(b"caf\xe9"))
        .end()
        .assert_code(2)
        .assert_says(
            "the command was not started: SIMPLEPIPE_JOB is not UTF-8 text; write it in UTF-8",
        );
}

#[test]
fn grouping_labels_and_the_time_to_live_go_with_the_group() {
    let gateway = Pushgateway::start();
    let write = format!("echo '{GAUGE}' > $SIMPLEPIPE_METRICS");
    train(&gateway, &write)
        .option("--grouping-label", "team=a b")
        .option("--grouping-label", "instance=eu-1")
        .option("--ttl", "7d")
        .end()
        .assert_code(0);
    let value = |name: &str| {
        number(
            &gateway,
            &format!(r#"{name}{{instance="eu-1",job="train",team="a b"}}"#),
        )
    };
    assert_eq!(value("run_succeeded"), 1.0);
    assert_eq!(value("push_ttl_seconds"), 604_800.0);
    assert_eq!(value("a"), 6.0);
}

#[test]
fn the_command_may_write_to_the_place_that_it_is_told_and_it_is_gone_afterwards() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let script = format!("echo '{GAUGE}' > $SIMPLEPIPE_METRICS; echo $SIMPLEPIPE_METRICS");
    let ended = train(&gateway, &script)
        .variable("TMPDIR", folder.path())
        .end()
        .assert_code(0)
        .assert_quiet();
    assert_eq!(number(&gateway, &of_job("a")), 6.0);
    let told = String::from_utf8(ended.output).unwrap();
    assert!(told.starts_with(folder.path().to_str().unwrap()), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_a_temporary_folder_the_command_runs_all_the_same() {
    let gateway = Pushgateway::start();
    let ended = train(&gateway, "exit ${SIMPLEPIPE_METRICS+1}5")
        .variable("TMPDIR", "/nosuch")
        .end()
        .assert_code(5);
    let message = "no temporary folder can be made in \"/nosuch\": No such file or directory (os error 2); set TMPDIR to \
                   a folder that can be written, or give --metrics\n";
    assert_eq!(
        ended.errors,
        format!("simplepipe: the command has no SIMPLEPIPE_METRICS: {message}")
    );
    assert_eq!(number(&gateway, &of_job("run_exit_code")), 5.0);

    let ended = train(&gateway, "echo started")
        .variable("TMPDIR", "/nosuch")
        .flag("--strict")
        .end()
        .assert_code(1)
        .assert_output("");
    assert_eq!(
        ended.errors,
        format!("simplepipe: the command was not started: {message}")
    );
}

#[test]
fn a_folder_of_files_in_every_format_is_pushed() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("of-yesterday"), "old 1\n").unwrap();
    let script = format!(
        "cd $SIMPLEPIPE_METRICS; echo '{GAUGE}' > short.json; \
         echo '{{\"job\": \"serve\", \"metrics\": {GAUGE}}}' > long.json; \
         echo 'b{{x=\"y\"}} 2' > text.prom; \
         printf '# TYPE c counter\\nc_total 3\\n# EOF\\n' > open.txt; echo no > .hidden"
    );
    Run::script(&script)
        .gateway(gateway.address())
        .variable("SIMPLEPIPE_JOB", "")
        .option("--metrics", folder.path())
        .end()
        .assert_code(0)
        .assert_quiet();
    let value = |series| gateway.value(series);
    assert_eq!(value(r#"a{instance="",job="sh"}"#).as_deref(), Some("6"));
    assert_eq!(value(r#"a{instance="",job="serve"}"#).as_deref(), Some("6"));
    assert_eq!(
        value(r#"b{instance="",job="sh",x="y"}"#).as_deref(),
        Some("2")
    );
    assert_eq!(
        value(r#"c_total{instance="",job="sh"}"#).as_deref(),
        Some("3")
    );
    assert_eq!(value(r#"old{instance="",job="sh"}"#), None);
}

#[test]
fn a_file_that_is_wrong_is_told_and_the_standard_metrics_arrive() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.json");
    let script = r#"echo '[{"name": "a b", "value": 1, "metric_type": "gauge"}]' > $SIMPLEPIPE_METRICS; exit $0"#;
    let run = |code: &str| {
        Run::of(["sh", "-c", script, code])
            .gateway(gateway.address())
            .option("--job", "train")
            .option("--metrics", &file)
    };
    let message = format!(
        "metrics file {file:?} has 1 problem:\n  index 0, field \"name\": \"a b\" is not a metric name; write letters, \
         digits, _ and : only, not starting with a digit, such as \"a_b\""
    );
    run("0").end().assert_code(0).assert_says(&message);
    assert_eq!(number(&gateway, &of_job("run_succeeded")), 1.0);
    run("0")
        .flag("--strict")
        .end()
        .assert_code(1)
        .assert_says(&message);
    run("4")
        .flag("--strict")
        .end()
        .assert_code(4)
        .assert_says(&message);
    assert_eq!(number(&gateway, &of_job("run_exit_code")), 4.0);
}

#[test]
fn a_file_that_is_missing_or_old_is_told() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.json");
    let run = || train(&gateway, "exit 0").option("--metrics", &file);
    run().end().assert_code(0).assert_says(&format!(
        "metrics file {file:?} is not there: the command wrote no metrics"
    ));
    std::fs::write(&file, GAUGE).unwrap();
    run().end().assert_code(0).assert_says(&format!(
        "metrics file {file:?} is as it was before the command, which wrote no metrics"
    ));
    assert_eq!(gateway.value(&of_job("a")), None);
    assert_eq!(number(&gateway, &of_job("run_succeeded")), 1.0);
}

#[test]
fn a_pipe_in_the_files_place_is_not_waited_for() {
    let gateway = Pushgateway::start();
    train(&gateway, "mkfifo $SIMPLEPIPE_METRICS")
        .end()
        .assert_code(0);
    assert_eq!(number(&gateway, &of_job("run_succeeded")), 1.0);
}

#[test]
fn what_the_gateway_refuses_of_the_commands_does_not_keep_the_standard_metrics_back() {
    let gateway = Pushgateway::start();
    let write = format!("echo '{GAUGE}' > $SIMPLEPIPE_METRICS");
    Run::script(&write)
        .gateway(gateway.address())
        .option("--job", "other")
        .end()
        .assert_code(0);
    // The same name with another type.
    let script = write.replace("gauge", "summary");
    let ended = train(&gateway, &script).end().assert_code(0);
    let message = "simplepipe: the command's metrics of job \"train\" were not pushed: http://";
    assert!(ended.errors.starts_with(message), "{}", ended.errors);
    assert!(
        ended
            .errors
            .contains(r#"refused the push: metric "a" has another type in group job "other""#),
        "{}",
        ended.errors
    );
    assert_eq!(number(&gateway, &of_job("run_succeeded")), 1.0);
    train(&gateway, &script)
        .flag("--strict")
        .end()
        .assert_code(1);
    // For a group of its own, that is another push.
    let script = script.replace("[{", r#"{"job": "third", "metrics": [{"#);
    let ended = Run::script(&script.replace("}]", "}]}"))
        .gateway(gateway.address())
        .flag("--strict")
        .end()
        .assert_code(1);
    let message = "simplepipe: the command's metrics of job \"third\" were not pushed: http://";
    assert!(ended.errors.starts_with(message), "{}", ended.errors);
}

#[test]
fn what_the_command_says_of_its_run_is_told_and_not_pushed() {
    let gateway = Pushgateway::start();
    let ended = train(&gateway, "echo 'run_exit_code 7' > $SIMPLEPIPE_METRICS")
        .flag("--strict")
        .end()
        .assert_code(0);
    let note = " has run_exit_code too, of which simplepipe run pushes its own\n";
    assert!(ended.errors.ends_with(note), "{}", ended.errors);
    assert_eq!(number(&gateway, &of_job("run_exit_code")), 0.0);
}

#[test]
fn a_relative_path_is_of_the_folder_in_which_the_program_started() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let enter = format!("cd {}; exec \"$0\" \"$@\"", folder.path().display());
    Run::under(
        ["sh", "-c", &enter, PROGRAM],
        ["sh", "-c", "cd /; echo 'a 6' > $SIMPLEPIPE_METRICS"],
    )
    .gateway(gateway.address())
    .option("--job", "train")
    .option("--metrics", "metrics")
    .end()
    .assert_code(0)
    .assert_quiet();
    assert_eq!(number(&gateway, &of_job("a")), 6.0);
}

#[test]
fn cpu_time_is_that_of_the_run_by_its_mode() {
    let gateway = Pushgateway::start();
    let busy = "i=0; while [ $i -lt 500000 ]; do i=$((i + 1)); done";
    let cpu = |mode| {
        let series = format!(r#"run_cpu_seconds{{instance="",job="train",mode="{mode}"}}"#);
        number(&gateway, &series)
    };
    train(&gateway, busy).end().assert_code(0);
    let in_program = cpu("user");
    assert!(in_program > cpu("system"), "{in_program}");
    // A shell that becomes the program may have had children.
    let shell = format!("({busy}); exec \"$0\" \"$@\"");
    Run::under(["sh", "-c", &shell, PROGRAM], ["true"])
        .gateway(gateway.address())
        .option("--job", "train")
        .end()
        .assert_code(0);
    assert!(cpu("user") < in_program / 2.0, "{in_program}");
}
