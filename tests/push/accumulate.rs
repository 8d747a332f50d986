//! `simplepipe push --accumulate`: sums that stay exact, whoever pushes at the same time, whatever gets lost, and
//! whoever is killed.

use std::time::{Duration, Instant};

use rstest::rstest;

use crate::faulty_server::{FaultyServer, answer, endless};
use crate::pushgateway::Pushgateway;
use crate::simplepipe::{Ended, Running, Simplepipe};
use crate::wire::{Fate, Stage, Wire};

/// For a condition to come true; far more than it needs.
const TIMEOUT: Duration = Duration::from_secs(60);

fn counter(value: u32) -> String {
    format!("# HELP rows_total Rows read\n# TYPE rows_total counter\nrows_total {value}\n")
}

fn accumulate(file: &str, address: &str) -> Simplepipe {
    Simplepipe::push(file, "train")
        .gateway(address)
        .and(["--accumulate"])
}

fn rows(gateway: &Pushgateway) -> Option<String> {
    gateway.value(r#"rows_total{instance="",job="train"}"#)
}

/// Until the condition is true.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "{what}: not in time");
        std::thread::yield_now();
    }
}

/// In Prometheus' text, unlike OpenMetrics, a counter's type stands under its whole name.
#[test]
fn a_counter_without_its_type_is_replaced_and_told() {
    let gateway = Pushgateway::start();
    let text = "# TYPE rows counter\nrows_total 5\n";
    let ended = accumulate(text, gateway.address()).run();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        ended.standard_error,
        "simplepipe: note: metric \"rows_total\" has no type, so it is not added but replaces what the group holds; a \
         counter has a line # TYPE rows_total counter\n"
    );
    assert_eq!(
        ended.standard_output,
        format!(
            "added 0 metrics and replaced 1 (rows_total) to http://{} as job \"train\"\n",
            gateway.address()
        )
    );
}

#[test]
fn of_many_replaced_metrics_the_first_are_named() {
    let gateway = Pushgateway::start();
    let text = "a 1\nb 1\nc 1\nd 1\ne 1\nf 1\ng 1\n";
    let ended = Simplepipe::push(text, "train")
        .gateway(gateway.address())
        .and([
            "--method",
            "ACCUMULATE",
            "--grouping-labels",
            r#"{"shard": 3}"#,
        ])
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "added 0 metrics and replaced 7 (a, b, c, d, e and 2 more) to http://{} as job \"train\", shard \"3\"\n",
            gateway.address()
        ))
    );
}

#[test]
fn the_time_to_live_is_no_metric_that_was_replaced() {
    let gateway = Pushgateway::start();
    let ended = accumulate(&counter(1), gateway.address())
        .and(["--ttl", "1h"])
        .run();
    assert_eq!(
        ended,
        Ended::well(format!(
            "added 1 metric to http://{} as job \"train\"\n",
            gateway.address()
        ))
    );
}

#[test]
fn what_counts_up_is_added_and_the_rest_replaced() {
    let gateway = Pushgateway::start();
    let first = r#"[
        {"name": "rows", "value": 5, "metric_type": "counter"},
        {"name": "rows", "value": 1, "metric_type": "counter", "labels": {"kind": "bad"}},
        {"name": "loss", "value": 0.5, "metric_type": "gauge"},
        {"name": "wait", "sum": 4.5, "count": 2, "metric_type": "summary"},
        {"name": "step", "buckets": {"0.1": 1, "1e6": 2}, "sum": 5, "count": 3, "metric_type": "histogram"}
    ]"#;
    let second = r#"[
        {"name": "rows", "value": 0.25, "metric_type": "counter"},
        {"name": "rows", "value": 2, "metric_type": "counter", "labels": {"kind": "odd"}},
        {"name": "loss", "value": 0.25, "metric_type": "gauge"},
        {"name": "wait", "sum": 1, "count": 1, "metric_type": "summary"},
        {"name": "step", "buckets": {"0.1": 10, "1e6": 20}, "sum": 50, "count": 30, "metric_type": "histogram"}
    ]"#;
    for file in [first, second] {
        let ended = accumulate(file, gateway.address()).run();
        assert_eq!(
            ended,
            Ended::well(format!(
                "added 3 metrics and replaced 1 (loss) to http://{} as job \"train\"\n",
                gateway.address()
            ))
        );
    }
    let pushed = gateway.pushed();
    let (sums, _seal) = pushed
        .split_once("# TYPE simplepipe_accumulate_write")
        .unwrap();
    insta::assert_snapshot!(sums, @r#"
    # TYPE loss gauge
    loss{instance="",job="train"} 0.25
    # TYPE rows_total counter
    rows_total{instance="",job="train"} 5.25
    rows_total{instance="",job="train",kind="bad"} 1
    rows_total{instance="",job="train",kind="odd"} 2
    "#);
    insta::assert_snapshot!(_seal.split_once("# TYPE step").unwrap().1, @r#"
     histogram
    step_bucket{instance="",job="train",le="0.1"} 11
    step_bucket{instance="",job="train",le="1e+06"} 22
    step_bucket{instance="",job="train",le="+Inf"} 33
    step_sum{instance="",job="train"} 55
    step_count{instance="",job="train"} 33
    # TYPE wait summary
    wait_sum{instance="",job="train"} 5.5
    wait_count{instance="",job="train"} 3
    "#);
    assert_eq!(gateway.groups(), ["job=train"]);
}

/// Under the first, the gateway's API tells something else; the second is no finite number.
#[rstest]
#[case::metric_with_a_name_of_the_api(
    "# TYPE last_push_successful counter\nlast_push_successful 2\n",
    r#"last_push_successful{instance="",job="train"}"#
)]
#[case::bucket_of_minus_infinity(
    "# TYPE h histogram\nh_bucket{le=\"-Inf\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 1\nh_count 3\n",
    r#"h_bucket{instance="",job="train",le="-Inf"}"#
)]
#[case::bounds_that_sort_otherwise_as_text(
    "# TYPE h histogram\nh_bucket{le=\"9\"} 1\nh_bucket{le=\"10\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n",
    r#"h_bucket{instance="",job="train",le="10"}"#
)]
#[case::labels_in_another_order_than_the_gateways(
    "# TYPE rows_total counter\nrows_total{b=\"1\",a=\"2\"} 2\n",
    r#"rows_total{a="2",b="1",instance="",job="train"}"#
)]
fn unusual_metrics_add_up_too(#[case] file: &str, #[case] series: &str) {
    let gateway = Pushgateway::start();
    for sum in ["2", "4"] {
        accumulate(file, gateway.address()).run().assert_code(0);
        assert_eq!(gateway.value(series).as_deref(), Some(sum));
    }
}

#[test]
fn quantiles_replace_what_was_there() {
    let gateway = Pushgateway::start();
    let file = "# TYPE a summary\na{quantile=\"0.5\"} 1\na_sum 1\na_count 1\n";
    for _ in 0..2 {
        accumulate(file, gateway.address()).run().assert_code(0);
        let count = gateway.value(r#"a_count{instance="",job="train"}"#);
        assert_eq!(count.as_deref(), Some("1"));
    }
}

#[test]
fn a_description_stays_where_a_later_push_has_none() {
    let gateway = Pushgateway::start();
    for file in [
        counter(1).as_str(),
        "# TYPE rows_total counter\nrows_total 2\n",
    ] {
        accumulate(file, gateway.address()).run().assert_code(0);
    }
    let pushed = gateway.pushed();
    assert!(pushed.contains("# HELP rows_total Rows read\n"), "{pushed}");
}

#[test]
fn fifty_at_once_add_up_exactly() {
    let gateway = Pushgateway::start();
    let file = |value: u32| {
        format!(
            r#"[{{"name": "rows", "value": {value}, "metric_type": "counter"}},
                {{"name": "step", "buckets": {{"1": {value}, "2": {value}}}, "sum": {value}, "count": {value},
                  "metric_type": "histogram"}}]"#
        )
    };
    let mut pushes: Vec<Simplepipe> = (1..=50)
        .map(|value| accumulate(&file(value), gateway.address()).retry_for(600))
        .collect();
    let running: Vec<Running> = pushes.iter_mut().map(Simplepipe::spawn).collect();
    for running in running {
        running.wait().assert_code(0);
    }
    for series in [
        r#"rows_total{instance="",job="train"}"#,
        r#"step_bucket{instance="",job="train",le="1"}"#,
        r#"step_bucket{instance="",job="train",le="+Inf"}"#,
        r#"step_sum{instance="",job="train"}"#,
        r#"step_count{instance="",job="train"}"#,
    ] {
        assert_eq!(gateway.value(series).as_deref(), Some("1275"), "{series}");
    }
    assert_eq!(gateway.groups(), ["job=train"]);
}

#[test]
fn groups_do_not_wait_for_each_other() {
    let gateway = Pushgateway::start();
    // Somebody takes the lock of job "train", and is never heard of again.
    let wire = Wire::to(&gateway, [(Stage::Lock, Fate::Freeze)]);
    let mut frozen = accumulate(&counter(1), wire.address());
    let mut frozen = frozen.spawn();
    wait_until("the lock is taken", || wire.has_seen(Stage::Lock));
    let start = Instant::now();
    for words in [vec!["--grouping-label", "zone=eu"], vec!["--job", "other"]] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics");
        std::fs::write(&file, counter(1)).unwrap();
        let job: &[&str] = if words[0] == "--job" {
            &[]
        } else {
            &["--job", "train"]
        };
        Simplepipe::with(["push", "--accumulate"])
            .and([file])
            .and(words)
            .and(job)
            .gateway(gateway.address())
            .run()
            .assert_code(0);
    }
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    frozen.kill();
    frozen.wait();
}

/// Some are killed as others finish; whoever says that it pushed must be found in the sum, and nobody twice.
#[test]
fn what_finished_pushers_reported_survives_others_that_are_killed() {
    let gateway = Pushgateway::start();
    let file = |who: usize| {
        format!(
            "# TYPE rows_total counter\nrows_total 1\n\
             # TYPE pushed_total counter\npushed_total{{who=\"{who}\"}} 1\n"
        )
    };
    let mut pushes: Vec<Simplepipe> = (0..40)
        .map(|who| accumulate(&file(who), gateway.address()).retry_for(600))
        .collect();
    let mut running: Vec<(usize, Running)> = (pushes.iter_mut())
        .map(Simplepipe::spawn)
        .enumerate()
        .collect();
    let mut reported = Vec::new();
    let mut killed = 0;
    while !running.is_empty() {
        let Some(place) = running.iter_mut().position(|(_, each)| each.has_ended()) else {
            std::thread::yield_now();
            continue;
        };
        let (who, ended) = running.swap_remove(place);
        ended.wait().assert_code(0);
        reported.push(who);
        // Wherever that one is just now.
        if reported.len() % 3 == 0
            && let Some((_, mut victim)) = running.pop()
        {
            victim.kill();
            victim.wait();
            killed += 1;
        }
    }
    assert!(killed >= 8, "{killed}");
    let is_there = |who: usize| {
        let series = format!(r#"pushed_total{{instance="",job="train",who="{who}"}}"#);
        let value = gateway.value(&series);
        assert!(
            value.as_deref().is_none_or(|value| value == "1"),
            "{value:?}"
        );
        value.is_some()
    };
    for who in reported {
        assert!(is_there(who), "{who} reported its push");
    }
    let there = (0..40).filter(|&who| is_there(who)).count();
    assert_eq!(rows(&gateway), Some(there.to_string()));
}

#[rstest]
#[case::lock_lost([(Stage::Lock, Fate::LoseRequest)])]
#[case::lock_unanswered([(Stage::Lock, Fate::LoseAnswer)])]
#[case::lock_unanswered_behind_a_proxy([(Stage::Lock, Fate::BadGateway)])]
#[case::read_lost([(Stage::Read, Fate::LoseAnswer)])]
#[case::read_cut([(Stage::Read, Fate::CutAnswer)])]
#[case::write_lost([(Stage::Write, Fate::LoseRequest)])]
#[case::write_unanswered([(Stage::Write, Fate::LoseAnswer)])]
#[case::write_answer_cut([(Stage::Write, Fate::CutAnswer)])]
#[case::write_unanswered_behind_a_proxy([(Stage::Write, Fate::BadGateway)])]
#[case::ban_of_a_lost_write_unanswered([(Stage::Write, Fate::LoseRequest), (Stage::Ban, Fate::LoseAnswer)])]
#[case::ban_of_a_write_unanswered([(Stage::Write, Fate::LoseAnswer), (Stage::Ban, Fate::LoseAnswer)])]
#[case::ban_lost([(Stage::Write, Fate::LoseAnswer), (Stage::Ban, Fate::LoseRequest)])]
#[case::release_lost([(Stage::Release, Fate::LoseRequest)])]
fn whatever_the_network_loses_is_added_once<const N: usize>(#[case] fates: [(Stage, Fate); N]) {
    let gateway = Pushgateway::start();
    accumulate(&counter(3), gateway.address())
        .run()
        .assert_code(0);
    let wire = Wire::to(&gateway, fates);
    let ended = accumulate(&counter(4), wire.address()).run();
    ended.assert_code(0);
    // It does not wait for a lock that it left itself.
    assert!(
        !ended.standard_error.contains("breaking it"),
        "{}",
        ended.standard_error
    );
    assert_eq!(rows(&gateway).as_deref(), Some("7"));
}

#[test]
fn of_a_write_that_turned_out_to_be_there_no_record_stays() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(Stage::Write, Fate::LoseAnswer)]);
    accumulate(&counter(4), wire.address()).run().assert_code(0);
    assert!(wire.has_seen(Stage::Ban));
    assert_eq!(gateway.groups(), ["job=train"]);
}

#[test]
fn a_gateway_that_is_gone_for_good_leaves_open_whether_it_was_added() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(Stage::Write, Fate::Freeze)]);
    let mut push = accumulate(&counter(1), wire.address()).and(["--timeout", "3"]);
    let running = push.spawn();
    wait_until("it has written", || wire.has_seen(Stage::Write));
    drop(gateway);
    let ended = running.wait();
    ended.assert_code(1);
    let message = format!(
        "simplepipe: not pushed: http://{} may or may not have added it: did not answer within 3 s (--timeout); look at what it holds \
         before pushing it again",
        wire.address()
    );
    assert_eq!(ended.standard_error.lines().last(), Some(message.as_str()));
}

/// As by a gateway that restarts behind a proxy.
#[test]
fn a_lock_that_the_gateway_forgot_is_taken_anew() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(Stage::Lock, Fate::Undo)]);
    accumulate(&counter(1), wire.address()).run().assert_code(0);
    use Stage::{Lock, Read, Release, Write};
    assert_eq!(
        wire.seen(),
        [Lock, Read, Release, Lock, Read, Write, Release]
    );
}

/// As by several gateways behind one address.
#[test]
fn a_gateway_that_keeps_no_lock_is_told_soon() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(Stage::Lock, Fate::Undo); 3]);
    let ended = accumulate(&counter(1), wire.address()).run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: http://{} did not keep a lock that it had just taken, 3 times; --accumulate needs one gateway \
                 behind the address, not several",
                wire.address()
            )
        )
    );
    assert!(gateway.groups().is_empty());
}

/// Not to be told from a ban, but for that it stays.
#[test]
fn a_gateway_that_never_takes_a_write_is_told_soon_in_its_own_words() {
    let gateway = Pushgateway::start();
    let squatter = "# TYPE simplepipe_accumulate_write counter\nsimplepipe_accumulate_write 1\n";
    gateway.put("/metrics/job/other", squatter);
    let wire = Wire::to(&gateway, []);
    let ended = accumulate(&counter(1), wire.address()).run();
    ended.assert_code(1);
    let error = &ended.standard_error;
    assert!(
        error.contains("it answered 400 Bad Request")
            && error.contains("simplepipe_accumulate_write"),
        "{error}"
    );
    let writes = wire.seen().into_iter().filter(|each| *each == Stage::Write);
    assert_eq!(writes.count(), 3);
}

#[test]
fn a_gateway_that_holds_more_than_is_read_is_told_once() {
    let refused =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 26\r\n\r\nsimplepipe_accumulate_lock";
    let released = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    let server = FaultyServer::start([
        answer(refused),
        answer(released),
        endless("HTTP/1.1 200 OK\r\n\r\n{\"status\":\""),
    ]);
    let ended = accumulate(&counter(1), server.address()).run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: http://{} does not tell its metrics as a Pushgateway does: they are more than 64 MiB; delete the \
                 groups that nobody needs",
                server.address()
            )
        )
    );
}

/// On another one, another gateway might answer, or one that started anew: it knows nothing of the lock.
#[test]
fn a_write_goes_over_the_connection_of_its_lock_or_not_at_all() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(Stage::Read, Fate::HangUp)]);
    accumulate(&counter(1), wire.address()).run().assert_code(0);
    use Stage::{Lock, Read, Release, Write};
    assert_eq!(
        wire.seen(),
        [Lock, Read, Release, Lock, Read, Write, Release]
    );
}

#[test]
fn a_write_that_arrives_late_is_refused() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(Stage::Write, Fate::Delay)]);
    // Its write is under way, so it bans it, and adds with another.
    accumulate(&counter(4), wire.address()).run().assert_code(0);
    accumulate(&counter(3), gateway.address())
        .run()
        .assert_code(0);
    let answers = wire.deliver();
    assert!(
        answers.len() == 1 && answers[0].starts_with("HTTP/1.1 400 "),
        "{answers:?}"
    );
    assert_eq!(rows(&gateway).as_deref(), Some("7"));
}

#[rstest]
#[case::before_reading(Stage::Read)]
#[case::after_writing(Stage::Write)]
fn a_dead_pushers_lock_is_broken(#[case] dies_at: Stage) {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(dies_at, Fate::Freeze)]);
    let mut dying = accumulate(&counter(1), wire.address());
    let mut dying = dying.spawn();
    wait_until("it is there", || wire.has_seen(dies_at));
    dying.kill();
    dying.wait();
    // It waits for the lock although it is told to try once.
    let ended = accumulate(&counter(2), gateway.address())
        .retry_for(0)
        .run();
    ended.assert_code(0);
    let lines: Vec<&str> = ended.standard_error.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0]
                .starts_with("simplepipe: waiting for others who push to job \"train\" of http://")
            && lines[1].contains(" holds a lock that a pusher left 1"),
        "{}",
        ended.standard_error
    );
    let expected = if dies_at == Stage::Write { "3" } else { "2" };
    assert_eq!(rows(&gateway).as_deref(), Some(expected));
}

/// The lock of a pusher that is only slow is broken too, and then its write must not count.
#[test]
fn a_slow_pushers_write_is_refused_once_its_lock_is_broken() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(
        &gateway,
        [(Stage::Write, Fate::Delay), (Stage::Ban, Fate::Freeze)],
    );
    let mut slow = accumulate(&counter(1), wire.address());
    let mut slow = slow.spawn();
    // It is killed before it knows what became of its write, which is still under way.
    wait_until("it bans its write", || wire.has_seen(Stage::Ban));
    slow.kill();
    slow.wait();
    accumulate(&counter(2), gateway.address())
        .run()
        .assert_code(0);
    let answers = wire.deliver();
    assert!(answers[0].starts_with("HTTP/1.1 400 "), "{answers:?}");
    assert_eq!(rows(&gateway).as_deref(), Some("2"));
}

/// It finds out, and adds with another write. Where it was slow before it wrote, it does not even try to.
#[rstest]
#[case::before_writing(Stage::Read, Fate::HoldAnswer, 1)]
#[case::in_writing(Stage::Write, Fate::HoldRequest, 2)]
fn a_slow_pusher_whose_lock_was_broken_starts_over(
    #[case] slow_at: Stage,
    #[case] fate: Fate,
    #[case] writes: usize,
) {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(slow_at, fate)]);
    let gate = wire.shut();
    let mut slow = accumulate(&counter(1), wire.address()).and(["--timeout", "60"]);
    let slow = slow.spawn();
    wait_until("it has read", || wire.has_seen(Stage::Read));
    accumulate(&counter(2), gateway.address())
        .run()
        .assert_code(0);
    drop(gate);
    slow.wait().assert_code(0);
    assert_eq!(rows(&gateway).as_deref(), Some("3"));
    let written = wire.seen().into_iter().filter(|each| *each == Stage::Write);
    assert_eq!(written.count(), writes, "{:?}", wire.seen());
}

#[test]
fn what_killed_pushers_left_long_ago_is_tidied_up() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(
        &gateway,
        [
            (Stage::Write, Fate::LoseRequest),
            (Stage::Ban, Fate::Freeze),
        ],
    );
    let mut dying = accumulate(&counter(1), wire.address());
    let mut dying = dying.spawn();
    wait_until("it has banned its write", || wire.has_seen(Stage::Ban));
    dying.kill();
    dying.wait();
    assert_eq!(gateway.groups().len(), 2, "{:?}", gateway.groups());
    let later = Wire::long_after(&gateway);
    accumulate(&counter(2), later.address())
        .run()
        .assert_code(0);
    assert_eq!(gateway.groups(), ["job=train"]);
    assert_eq!(rows(&gateway).as_deref(), Some("2"));
}

/// It waits for the answer to its write for so long that another breaks its lock and writes too.
#[test]
fn a_pusher_finds_out_that_its_write_counts_though_others_wrote_since() {
    let gateway = Pushgateway::start();
    let wire = Wire::to(&gateway, [(Stage::Write, Fate::Freeze)]);
    let mut waiting = accumulate(&counter(1), wire.address()).and(["--timeout", "20"]);
    let waiting = waiting.spawn();
    wait_until("it has written", || wire.has_seen(Stage::Write));
    accumulate(&counter(2), gateway.address())
        .run()
        .assert_code(0);
    waiting.wait().assert_code(0);
    assert!(wire.has_seen(Stage::Ban));
    assert_eq!(rows(&gateway).as_deref(), Some("3"));
}

#[test]
fn a_gateway_that_checks_nothing_is_refused() {
    let gateway = Pushgateway::start_with(["--push.disable-consistency-check"]);
    let ended = accumulate(&counter(1), gateway.address()).run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: http://{} does not check what it is pushed (it runs with --push.disable-consistency-check, \
                 or is no Pushgateway), so nothing would keep two pushers from undoing each other's sums; --accumulate \
                 needs one that does",
                gateway.address()
            )
        )
    );
    wait_until("nothing is left there", || gateway.groups().is_empty());
}

#[rstest]
#[case::type_differs(
    "# TYPE rows_total gauge\nrows_total 1\n",
    "# TYPE rows_total counter\nrows_total 1\n",
    "holds \"rows_total\" in this group as a gauge, not as a counter; give it another name, or push it once with --method post, \
     which replaces what is there"
)]
#[case::buckets_differ(
    "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    "# TYPE a histogram\na_bucket{le=\"0.5\"} 1\na_bucket{le=\"2\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    "holds histogram \"a\" in this group with buckets up to 1, not 0.5, 2; push the same buckets, or another name"
)]
#[case::quantiles(
    "# TYPE a summary\na{quantile=\"0.5\"} 1\na_sum 1\na_count 1\n",
    "# TYPE a summary\na_sum 1\na_count 1\n",
    "holds summary \"a\" in this group with quantiles, which can't be added up; give it another name"
)]
#[case::type_is_not_even_one_that_adds_up(
    "# TYPE rows_total counter\nrows_total 1\n",
    "# TYPE rows_total gauge\nrows_total 1\n",
    "holds \"rows_total\" in this group as a counter, not as a gauge; give it another name, or push it once with --method post, \
     which replaces what is there"
)]
#[case::pushed_before_without_a_type(
    "rows_total 1\n",
    "# TYPE rows_total counter\nrows_total 1\n",
    "holds \"rows_total\" in this group without a type, not as a counter; push it once with --method post, which replaces \
     what is there, or give it another name"
)]
#[case::pushed_without_a_type(
    "# TYPE rows counter\nrows 1\n",
    "rows 1\n",
    "holds \"rows\" in this group as a counter, and in this push it has no type; give it one (in text by the line \
     \"# TYPE rows counter\"), or another name"
)]
#[case::bounds_differ_from_none(
    "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    "# TYPE a histogram\na_bucket{le=\"0.5\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    "holds histogram \"a\" in this group with buckets up to +Inf only, not 0.5; push the same buckets, or another name"
)]
#[case::too_many_in_a_histogram(
    "# TYPE a histogram\na_bucket{le=\"+Inf\"} 9007199254740991\na_sum 1\na_count 9007199254740991\n",
    "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    "holds \"a\" in this group with more observations than can be counted exactly"
)]
#[case::too_many(
    "# TYPE a summary\na_sum 1\na_count 9007199254740991\n",
    "# TYPE a summary\na_sum 1\na_count 1\n",
    "holds \"a\" in this group with more observations than can be counted exactly"
)]
#[case::the_counter_is_so_large_that_it_would_stay_as_it_is(
    "# TYPE a counter\na 9007199254740992\n",
    "# TYPE a counter\na 1\n",
    "holds counter \"a\" in this group at 9007199254740992, and adding 1 leaves it there: numbers from 2^53 on are not \
     exact; count in a larger unit under another name, or delete the group to begin at 0"
)]
fn what_can_not_be_added_is_refused_and_stays(
    #[case] held: &str,
    #[case] pushed: &str,
    #[case] message: &str,
) {
    let gateway = Pushgateway::start();
    Simplepipe::push(held, "train")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    let before = gateway.pushed();
    let ended = accumulate(pushed, gateway.address()).run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!("not pushed: http://{} {message}", gateway.address())
        )
    );
    assert_eq!(gateway.pushed(), before);
    wait_until("the lock is gone", || gateway.groups() == ["job=train"]);
}

/// The file names the counter otherwise than its sample: `rows`, and `rows_total`.
#[test]
fn a_counter_that_was_pushed_without_its_type_adds_up_after_one_plain_push() {
    let gateway = Pushgateway::start();
    let push = |file: &str, words: &[&str]| {
        let push = Simplepipe::push(file, "train").and(words);
        push.gateway(gateway.address()).run()
    };
    let forgotten = "# TYPE rows counter\nrows_total 1\n";
    push(forgotten, &["--accumulate"]).assert_code(0);
    push("# TYPE epochs counter\nepochs 1\n", &["--accumulate"]).assert_code(0);
    push(&counter(2), &["--accumulate"]).assert_code(1);
    push(&counter(2), &["--method", "post"]).assert_code(0);
    push(&counter(3), &["--accumulate"]).assert_code(0);
    assert_eq!(rows(&gateway).as_deref(), Some("5"));
    assert!(gateway.pushed().contains("epochs{"), "the others stay");
}

#[test]
fn strict_refuses_a_counter_without_its_type_that_would_not_be_added() {
    let gateway = Pushgateway::start();
    let forgotten = "# TYPE rows counter\nrows_total 1\n";
    let ended = accumulate(forgotten, gateway.address())
        .and(["--strict"])
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: metric \"rows_total\" has no type, so it is not added but replaces what the group holds; \
             a counter has a line # TYPE rows_total counter"
        )
    );
    assert!(gateway.groups().is_empty());
    // It is what a plain push does.
    Simplepipe::push(forgotten, "train")
        .and(["--strict"])
        .gateway(gateway.address())
        .run()
        .assert_code(0);
}

#[rstest]
#[case::counter(
    "# TYPE a counter\na 9007199254740992\n",
    "# TYPE a counter\na 3\n",
    r#"counter "a" is at 9007199254740996 now, and numbers from 2^53 on are not exact: 3 was added as 4"#
)]
#[case::one_note_for_a_metric(
    "# TYPE a counter\na{of=\"1\"} 1e17\na{of=\"2\"} 1e17\n",
    "# TYPE a counter\na{of=\"1\"} 9\na{of=\"2\"} 9\n",
    r#"counter "a" is at 1.0000000000000002e17 now, and numbers from 2^53 on are not exact: 9 was added as 16"#
)]
#[case::sum_of_a_summary(
    "# TYPE a summary\na_sum 1e17\na_count 1\n",
    "# TYPE a summary\na_sum 1\na_count 1\n",
    r#"the sum of summary "a" is at 1e17 now, and numbers from 2^53 on are not exact: 1 was added as 0"#
)]
#[case::sum_of_a_histogram(
    "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1e17\na_count 1\n",
    "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    r#"the sum of histogram "a" is at 1e17 now, and numbers from 2^53 on are not exact: 1 was added as 0"#
)]
fn a_sum_that_is_too_large_to_be_exact_is_told(
    #[case] held: &str,
    #[case] pushed: &str,
    #[case] note: &str,
) {
    let gateway = Pushgateway::start();
    Simplepipe::push(held, "train")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    let ended = accumulate(pushed, gateway.address()).run();
    ended.assert_code(0);
    assert_eq!(
        ended.standard_error,
        format!("simplepipe: note: {note}; count in a larger unit under another name\n")
    );
}

#[rstest]
#[case::below_what_is_exact("9007199254740990", "1")]
#[case::exact_all_the_same("9007199254740992", "1024")]
#[case::as_parts_always_are("0.1", "0.2")]
#[case::nothing_to_add("1e17", "0")]
fn a_sum_that_is_right_is_not_remarked_on(#[case] held: &str, #[case] pushed: &str) {
    let gateway = Pushgateway::start();
    let text = |value: &str| format!("# TYPE a counter\na {value}\n");
    for value in [held, pushed] {
        let ended = accumulate(&text(value), gateway.address()).run();
        ended.assert_code(0);
        assert_eq!(ended.standard_error, "");
    }
}

#[test]
fn a_type_that_another_group_has_differently_is_refused_with_both_groups_named() {
    let gateway = Pushgateway::start();
    Simplepipe::push("# TYPE rows_total gauge\nrows_total 1\n", "other")
        .gateway(gateway.address())
        .run()
        .assert_code(0);
    let ended = accumulate(&counter(1), gateway.address()).run();
    ended.assert_code(1);
    assert!(
        ended.standard_error.contains(
            "refused the push: metric \"rows_total\" has another type in group job \"other\" than in this push, which is of \
             group job \"train\""
        ),
        "{}",
        ended.standard_error
    );
    assert_eq!(rows(&gateway), None);
}

/// Which says nothing of a lock that others hold.
#[test]
fn a_gateway_that_wants_a_password_is_not_waited_for() {
    let unauthorized = || answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    // The lock, and its release.
    let server = FaultyServer::start([unauthorized(), unauthorized()]);
    let ended = accumulate(&counter(1), server.address()).run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: http://{} refused the push: it answered 401 Unauthorized; give --username and \
                 --password-file",
                server.address()
            )
        )
    );
}

#[test]
fn a_gateway_that_is_away_is_tried_again_like_any_other() {
    let ended = accumulate(&counter(1), "127.0.0.1:1").retry_for(0).run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            "not pushed: http://127.0.0.1:1 can't be reached: Connection refused (os error 111)"
        )
    );
}
