//! Which files go where: jobs, grouping labels, several files, and what else may happen to a group.

use std::path::PathBuf;

use rstest::rstest;

use crate::faulty_server::{FaultyServer, answer};
use crate::pushgateway::Pushgateway;
use crate::simplepipe::{Ended, Simplepipe};

/// Files by their names, for as long as it lives.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn gauge(name: &str, value: u32) -> String {
    format!(r#"[{{"name": "{name}", "value": {value}, "metric_type": "gauge"}}]"#)
}

fn of_job(job: &str, zone: &str, name: &str, value: u32) -> String {
    let metrics = gauge(name, value);
    format!(r#"{{"job": "{job}", "grouping_labels": {{"zone": "{zone}"}}, "metrics": {metrics}}}"#)
}

/// `simplepipe push` with these words, `{}` in them being the folder.
fn push(folder: &Folder, words: &str) -> Simplepipe {
    let folder = folder.0.path().to_str().unwrap();
    let words = words
        .split_whitespace()
        .map(|word| word.replace("{}", folder));
    Simplepipe::with(["push"]).and(words)
}

#[test]
fn a_file_may_name_its_group_itself() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &of_job("train", "eu", "rows", 1));
    let ended = push(&folder, "{}/a").gateway(gateway.address()).run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "pushed 1 metric to http://{} as job \"train\", zone \"eu\"\n",
            gateway.address()
        ))
    );
    assert_eq!(gateway.groups(), ["job=train,zone=eu"]);
}

#[rstest]
#[case("{}/a other", "job=other,zone=eu")]
#[case("--job other {}/a", "job=other,zone=eu")]
#[case("--grouping-label zone=us {}/a", "job=train,zone=us")]
#[case("--grouping-label model=a/b {}/a", "job=train,model=a/b,zone=eu")]
fn what_the_command_line_says_comes_on_top(#[case] words: &str, #[case] group: &str) {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &of_job("train", "eu", "rows", 1));
    push(&folder, words)
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    assert_eq!(gateway.groups(), [group]);
}

#[test]
fn files_of_one_group_go_in_one_request() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &gauge("rows", 1));
    folder.file(
        "b",
        r#"[{"name": "rows", "value": 2, "metric_type": "gauge", "labels": {"kind": "bad"}},
            {"name": "loss", "value": 3, "metric_type": "gauge"}]"#,
    );
    let ended = push(&folder, "--job train {}/a {}/b")
        .gateway(gateway.address())
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "pushed 2 metrics to http://{} as job \"train\"\n",
            gateway.address()
        ))
    );
    // A second PUT would have replaced the first.
    insta::assert_snapshot!(gateway.pushed(), @r#"
    # TYPE loss gauge
    loss{instance="",job="train"} 3
    # TYPE rows gauge
    rows{instance="",job="train"} 1
    rows{instance="",job="train",kind="bad"} 2
    "#);
}

#[test]
fn files_of_several_groups_go_in_a_request_each() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &of_job("train", "eu", "rows", 1));
    folder.file("b", &of_job("train", "us", "rows", 2));
    folder.file("c", &of_job("train", "eu", "loss", 3));
    let ended = push(&folder, "-f {}/a --file {}/b -f {}/c")
        .gateway(gateway.address())
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "pushed 2 metrics to http://{0} as job \"train\", zone \"eu\"\n\
             pushed 1 metric to http://{0} as job \"train\", zone \"us\"\n",
            gateway.address()
        ))
    );
    assert_eq!(gateway.groups(), ["job=train,zone=eu", "job=train,zone=us"]);
}

#[test]
fn where_a_later_group_fails_the_message_says_which_arrived() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file(
        "old",
        "# TYPE rows counter\nrows_total 1\n# TYPE loss counter\nloss 1\n",
    );
    push(&folder, "{}/old old")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    folder.file("a", &of_job("train", "eu", "score", 1));
    folder.file("b", &of_job("train", "us", "loss", 2));
    folder.file("c", &of_job("train", "uk", "score", 3));
    let ended = push(&folder, "-f {}/a -f {}/b -f {}/c")
        .gateway(gateway.address())
        .run();
    ended.assert_code(1);
    let note = "\n  arrived: job \"train\", zone \"eu\"\n  \
                not arrived: job \"train\", zone \"us\"; job \"train\", zone \"uk\"\n";
    assert!(
        ended.standard_error.ends_with(note),
        "{}",
        ended.standard_error
    );
    let ended = push(&folder, "-f {}/b -f {}/c")
        .gateway(gateway.address())
        .run();
    let note = "\n  arrived: none of the groups\n  \
                not arrived: job \"train\", zone \"us\"; job \"train\", zone \"uk\"\n";
    assert!(
        ended.standard_error.ends_with(note),
        "{}",
        ended.standard_error
    );
}

/// Each in front of a real gateway, which must have got nothing.
#[rstest]
#[case::no_job(
    "{}/rows",
    "\"{}/rows\" names no job; write the job after it, or --job JOB, or \"job\" into the file"
)]
#[case::nothing("", "no FILE is named; write: simplepipe push FILE JOB")]
#[case::three(
    "{}/rows {}/loss train",
    "more than FILE and JOB are named; for several files write --job JOB FILE..., or --file before each file that names \
     its job itself"
)]
#[case::standard_input_twice("--job train - -", "standard input (-) is named twice; name it once")]
#[case::same_series(
    "--job train {}/rows {}/rows-again",
    "\"{}/rows-again\" has metric \"rows\" with the same labels as \"{}/rows\", for the same group; push it once"
)]
#[case::other_type(
    "--job train {}/rows {}/rows-counter",
    "\"{}/rows-counter\" has counter \"rows\", and \"{}/rows\" has gauge \"rows\"; give one another name"
)]
#[case::name_of_another_type(
    "--job train {}/summary {}/summary-sum",
    "\"{}/summary-sum\" has gauge \"time_sum\", and \"{}/summary\" has summary \"time\"; give one another name"
)]
#[case::other_type_in_another_group(
    "-f {}/of-job -f {}/of-job-summary",
    "\"{}/of-job-summary\" has summary \"rows\", and \"{}/of-job\" has gauge \"rows\"; give one another name"
)]
#[case::grouping_label_in_a_metric(
    "--job train --grouping-label kind=x {}/labelled",
    "\"{}/labelled\" has metric \"rows\" with label \"kind\", which is a label of the push group (job \"train\", kind \
     \"x\"); give the label another name"
)]
#[case::grouping_label_twice(
    "--job train --grouping-label a=1 --grouping-label a=2 {}/rows",
    "grouping label \"a\" is there twice; write it once"
)]
#[case::grouping_label_job(
    "--job train --grouping-label job=other {}/rows",
    "grouping label \"job\" is the job's own label; name the job itself"
)]
#[case::our_own_names(
    "{}/reserved train",
    "\"{}/reserved\" has metric \"simplepipe_accumulate_write\", whose name begins as Simplepipe's own do; give it \
     another name"
)]
#[case::our_own_labels(
    "{}/reserved-label train",
    "\"{}/reserved-label\" has metric \"rows\" with label \"simplepipe_accumulate_id\", which begins as Simplepipe's own \
     do; give the label another name"
)]
#[case::ttl_twice(
    "--ttl 36h {}/ttl train",
    "--ttl has metric \"push_ttl_seconds\" with the same labels as \"{}/ttl\", for the same group; push it once"
)]
#[case::one_wrong_file_of_two(
    "--job train {}/rows {}/missing",
    "\"{}/missing\" can't be read: No such file or directory (os error 2)"
)]
#[case::all_that_is_wrong(
    "--job train {}/missing {}/rows {}/labels {}/rows-again",
    "3 files are wrong:\n\"{}/missing\" can't be read: No such file or directory (os error 2)\n\"{}/labels\" has 1 \
     problem:\n  line 2: label kind has no value in quotes; write kind=\"VALUE\"\n\"{}/rows-again\" has metric \"rows\" \
     with the same labels as \"{}/rows\", for the same group; push it once"
)]
#[case::file_and_job_swapped(
    "train {}/rows",
    "\"train\" is not there, and the job \"{}/rows\" is a file; write the file first, then the job"
)]
#[case::a_job_that_only_is_called_like_a_file(
    "--job {}/rows missing",
    "\"missing\" can't be read: No such file or directory (os error 2)"
)]
#[case::a_folder_and_a_job_that_is_a_file(
    "/ {}/rows",
    "\"{}/rows\" stands where the job does, and is a file; for two files write: simplepipe push --job JOB FILE..., and \
     for a job of this name: --job \"{}/rows\" FILE"
)]
fn what_does_not_fit_together_is_refused_before_anything_is_sent(
    #[case] words: &str,
    #[case] message: &str,
) {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("rows", &gauge("rows", 1));
    folder.file("rows-again", &gauge("rows", 2));
    folder.file("rows-counter", "# TYPE rows counter\nrows 1\n");
    folder.file("loss", &gauge("loss", 1));
    folder.file(
        "summary",
        r#"[{"name": "time", "value": 1, "metric_type": "summary"}]"#,
    );
    folder.file("summary-sum", &gauge("time_sum", 1));
    folder.file("of-job", &of_job("one", "eu", "rows", 1));
    folder.file(
        "of-job-summary",
        r#"{"job": "two", "metrics": [{"name": "rows", "value": 1, "metric_type": "summary"}]}"#,
    );
    folder.file("labels", "# TYPE rows gauge\nrows{kind=a} 1\n");
    folder.file("labelled", "# TYPE rows gauge\nrows{kind=\"a\"} 1\n");
    folder.file("reserved", &gauge("simplepipe_accumulate_write", 1));
    folder.file(
        "reserved-label",
        "# TYPE rows gauge\nrows{simplepipe_accumulate_id=\"a\"} 1\n",
    );
    folder.file("ttl", &gauge("push_ttl_seconds", 1));
    let ended = push(&folder, words).gateway(gateway.address()).run();
    let message = message.replace("{}", folder.0.path().to_str().unwrap());
    assert_eq!(
        ended,
        Ended::badly(2, &format!("nothing was pushed: {message}"))
    );
    assert_eq!(gateway.groups(), [""; 0]);
}

#[test]
fn a_name_that_prometheus_keeps_for_itself_is_noted() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("metrics", "up 1\njob:loss:min 2\nscrape_time 3\nuptime 4\n");
    let ended = push(&folder, "{}/metrics train")
        .gateway(gateway.address())
        .run();
    ended.assert_code(0);
    let noted: Vec<&str> = (ended.standard_error.lines())
        .filter_map(|line| {
            line.strip_prefix("simplepipe: note: metric \"")?
                .split('"')
                .next()
        })
        .collect();
    assert_eq!(noted, ["up", "job:loss:min", "scrape_time"]);
}

#[test]
fn post_leaves_other_metrics_of_the_group_as_they_are() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("rows", &gauge("rows", 1));
    folder.file("loss", &gauge("loss", 2));
    for words in ["{}/rows train", "--method post {}/loss train"] {
        push(&folder, words)
            .gateway(gateway.address())
            .run()
            .assert_code(0);
    }
    insta::assert_snapshot!(gateway.pushed(), @r#"
    # TYPE loss gauge
    loss{instance="",job="train"} 2
    # TYPE rows gauge
    rows{instance="",job="train"} 1
    "#);
}

#[test]
fn a_ttl_goes_into_every_group() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &of_job("train", "eu", "rows", 1));
    folder.file("b", &of_job("train", "us", "rows", 1));
    push(&folder, "--ttl 1h30m -f {}/a -f {}/b")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    for zone in ["eu", "us"] {
        let series = format!(r#"push_ttl_seconds{{instance="",job="train",zone="{zone}"}}"#);
        assert_eq!(gateway.value(&series).as_deref(), Some("5400"));
    }
}

#[test]
fn a_dry_run_prints_what_would_be_sent_and_sends_nothing() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &of_job("train", "eu/1", "rows", 1));
    let ended = push(&folder, "--dry-run --ttl 90s {}/a")
        .gateway(&format!("user:s3cret@{}", gateway.address()))
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "# PUT http://{}/metrics/job/train/zone@base64/ZXUvMQ\n\
             # job \"train\", zone \"eu/1\"\n\
             # TYPE rows gauge\nrows 1\n\
             # HELP push_ttl_seconds For how long after its push the group is worth keeping\n\
             # TYPE push_ttl_seconds gauge\npush_ttl_seconds 90\n",
            gateway.address()
        ))
    );
    assert_eq!(gateway.groups(), [""; 0]);
}

#[test]
fn a_dry_run_needs_no_gateway_but_right_files() {
    let folder = Folder::new();
    folder.file("a", &gauge("rows", 1));
    assert_eq!(
        push(&folder, "--dry-run --method post {}/a train").run(),
        Ended::well(
            "# POST to no gateway: none is named\n# job \"train\"\n# TYPE rows gauge\nrows 1\n"
                .to_owned()
        )
    );
    // What is said of the gateway has to be right, though.
    push(&folder, "--dry-run {}/a train")
        .gateway("ftp://host")
        .run()
        .assert_code(2);
    folder.file("a", "[]");
    push(&folder, "--dry-run {}/a train").run().assert_code(2);
}

#[test]
fn a_dry_run_of_a_deletion_or_a_sum_changes_nothing() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", "# TYPE rows_total counter\nrows_total 1\n");
    push(&folder, "{}/a train")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    let target = format!(
        "http://{}/metrics/job/train\n# job \"train\"\n",
        gateway.address()
    );
    for (words, printed) in [
        (
            "--dry-run --delete --job train",
            format!("# DELETE {target}"),
        ),
        (
            "--dry-run --accumulate {}/a train",
            format!(
                "# POST, added to what is there, {target}# TYPE rows_total counter\nrows_total 1\n"
            ),
        ),
    ] {
        let ended = push(&folder, words).gateway(gateway.address()).run();
        assert_eq!(ended, Ended::well(printed));
    }
    let rows = gateway.value(r#"rows_total{instance="",job="train"}"#);
    assert_eq!(rows.as_deref(), Some("1"));
}

#[test]
fn a_deletion_is_tried_again_like_a_push() {
    let server = FaultyServer::start([
        answer("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
        answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    ]);
    let ended = push(&Folder::new(), "--delete --job train")
        .gateway(server.address())
        .run();
    ended.assert_code(1);
    let last = format!(
        "simplepipe: not deleted: http://{} refused the deletion: it answered 400 Bad Request (tried 2 times)",
        server.address()
    );
    assert_eq!(ended.standard_error.lines().last(), Some(last.as_str()));
    for request in server.requests() {
        assert!(
            request.starts_with("DELETE /metrics/job/train HTTP/1.1\r\n"),
            "{request}"
        );
    }
}

#[test]
fn a_group_is_deleted_and_no_other() {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &gauge("rows", 1));
    for words in [
        "{}/a train",
        "--grouping-label zone=eu {}/a train",
        "{}/a other",
    ] {
        push(&folder, words)
            .gateway(gateway.address())
            .run()
            .assert_code(0);
    }
    let ended = push(&folder, "--delete --job train --grouping-label zone=eu")
        .gateway(gateway.address())
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "deleted job \"train\", zone \"eu\" at http://{}\n",
            gateway.address()
        ))
    );
    assert_eq!(gateway.groups(), ["job=other", "job=train"]);
}

#[rstest]
fn contradictions_are_refused(
    #[values(
        "--delete --job train --ttl 1h",
        "--accumulate --method post {}/a train",
        "--ttl 5 {}/a train",
        "--grouping-label zone {}/a train"
    )]
    words: &str,
) {
    let folder = Folder::new();
    folder.file("a", &gauge("rows", 1));
    let ended = push(&folder, words).gateway("127.0.0.1:1").run();
    ended.assert_code(2);
}

#[rstest]
#[case(
    "--delete train",
    "nothing was deleted: --delete takes the job by --job: simplepipe push --delete --job \"train\"; it takes no FILE"
)]
#[case(
    "--delete --job train a.prom",
    "nothing was deleted: --delete takes the job by --job: simplepipe push --delete --job \"train\"; it takes no FILE"
)]
#[case(
    "--delete",
    "nothing was deleted: no job is named; write: simplepipe push --delete --job JOB"
)]
#[case(
    "--file a.prom train",
    "nothing was pushed: \"train\" stands beside --file, which takes one file; write --file before each file, or all files \
     without it, and the job with --job"
)]
fn what_stands_where_nothing_does_is_refused_with_what_to_write(
    #[case] words: &str,
    #[case] message: &str,
) {
    let ended = push(&Folder::new(), words).gateway("127.0.0.1:1").run();
    assert_eq!(ended, Ended::badly(2, message));
}

/// A pattern that matches just two files would make the second one's name the job, and lose its metrics.
#[rstest]
#[case(
    "{}/a.prom {}/b.prom",
    "\"{}/b.prom\" stands where the job does, and is a file"
)]
#[case(
    "{}/a.prom {}/train",
    "\"{}/train\" stands where the job does, and is a file"
)]
#[case("- {}/train", "\"{}/train\" stands where the job does, and is a file")]
#[case(
    "{}/a.prom team/train",
    "\"team/train\" stands where the job does, and has a slash"
)]
#[case(
    "{}/a.prom gone.json",
    "\"gone.json\" stands where the job does, and is named as a file is"
)]
#[case(
    "{}/a.prom gone.PROM",
    "\"gone.PROM\" stands where the job does, and is named as a file is"
)]
#[case(
    "{}/a.prom gone.txt",
    "\"gone.txt\" stands where the job does, and is named as a file is"
)]
#[case(
    "{}/a.prom gone.om",
    "\"gone.om\" stands where the job does, and is named as a file is"
)]
#[case(
    "{}/a.prom -",
    "\"-\" stands where the job does, and is standard input"
)]
#[case(
    "{}/gone {}/train",
    "\"{}/gone\" is not there, and the job \"{}/train\" is a file; write the file first, then the job"
)]
fn a_second_file_is_not_taken_for_the_job(
    #[values(&["push"][..], &["app.py"][..], &["python3", "/app/app.py"][..])] program: &[&str],
    #[case] words: &str,
    #[case] message: &str,
) {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    for name in ["a.prom", "b.prom", "train"] {
        folder.file(name, "rows 1\n");
    }
    let path = folder.0.path().to_str().unwrap();
    let words = words.split(' ').map(|word| word.replace("{}", path));
    let ended = Simplepipe::with(program.iter().copied())
        .and(words)
        .variable("PUSHGATEWAY_URL", &format!("http://{}", gateway.address()))
        .run();
    ended.assert_code(2);
    let cure = "; for two files write: simplepipe push --job JOB FILE..., and for a job of this name: --job ";
    let said = &ended.standard_error;
    let message = message.replace("{}", path);
    assert!(
        said.starts_with(&format!("simplepipe: nothing was pushed: {message}")),
        "{said}"
    );
    assert!(said.contains(cure) || message.contains("; write"), "{said}");
    assert!(gateway.groups().is_empty());
}

#[rstest]
#[case("--job team/train {}/a", "job=team/train")]
#[case("--job train.json {}/a", "job=train.json")]
#[case("{}/a train-1.2", "job=train-1.2")]
fn a_job_that_looks_like_a_file_wants_its_option(#[case] words: &str, #[case] group: &str) {
    let (gateway, folder) = (Pushgateway::start(), Folder::new());
    folder.file("a", &gauge("rows", 1));
    let ended = push(&folder, words).gateway(gateway.address()).run();
    ended.assert_code(0);
    assert_eq!(gateway.groups(), [group]);
}

/// The gateway would take it for another group with the same series, and take nothing else from then on.
#[rstest]
#[case("--grouping-label instance=")]
#[case(r#"--grouping-labels {"instance":""}"#)]
fn an_empty_grouping_label_is_refused(#[case] words: &str) {
    let gateway = Pushgateway::start();
    let folder = Folder::new();
    folder.file("a", &gauge("rows", 1));
    let ended = push(&folder, &format!("{words} {{}}/a train"))
        .gateway(gateway.address())
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: grouping label \"instance\" is empty; write a value, or leave the label out"
        )
    );
    assert!(gateway.groups().is_empty());
}

#[test]
fn a_name_that_prometheus_drops_is_noted_once() {
    let folder = Folder::new();
    for job in ["a", "b"] {
        folder.file(job, &of_job(job, "eu", "up", 1));
    }
    let ended = push(&folder, "--dry-run --file {}/a --file {}/b").run();
    ended.assert_code(0);
    assert_eq!(
        ended.standard_error.matches("note: metric \"up\"").count(),
        1
    );
}

#[test]
fn what_was_not_deleted_is_not_called_a_push() {
    let ended = push(&Folder::new(), "--delete --job train --gateway ftp://host").run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was deleted: gateway from --gateway \"ftp://host\" is neither http nor https; write http://HOST:PORT"
        )
    );
}

#[test]
fn help_tells_the_exit_codes() {
    let ended = Simplepipe::with(["push", "--help"]).run();
    ended.assert_code(0);
    assert!(
        ended.standard_output.contains("Exits with 0"),
        "{}",
        ended.standard_output
    );
}
