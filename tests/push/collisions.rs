//! Pushes that collide with what another group holds: which metric, which groups, and that others are taken as before.

use rstest::rstest;

use crate::faulty_server::{FaultyServer, answer, hang};
use crate::pushgateway::Pushgateway;
use crate::simplepipe::{Ended, Simplepipe};

/// Of group job "train", zone "eu".
const HELD: &str = "# TYPE rows gauge\nrows{kind=\"a\"} 1\nrows{kind=\"b\"} 1\n# TYPE time summary\ntime_sum 1\ntime_count 1\n";
const HOLDER: &str = r#"group job "train", zone "eu""#;
const REFUSED: &str = ". The gateway refused this push only. ";
const DELETE: &str = "or delete group job \"train\", zone \"eu\" if that is yours";

fn push(gateway: &str, file: &str, job: &str, words: &[&str]) -> Ended {
    let push = Simplepipe::push(file, job).and(words);
    push.gateway(gateway).retry_for(0).run()
}

fn gateway_with(text: &str) -> Pushgateway {
    let gateway = Pushgateway::start();
    let answer = gateway.put("/metrics/job/train/zone/eu", text);
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    gateway
}

#[rstest]
#[case::series(
    "# TYPE rows gauge\nrows{kind=\"b\",zone=\"eu\"} 2\n",
    "train",
    "metric \"rows\" has the same labels in {HOLDER} as in this push, which is of group job \"train\"{REFUSED}Rename metric \"rows\", {DELETE}"
)]
#[case::metric_type(
    "# TYPE rows counter\nrows 2\n",
    "other",
    "metric \"rows\" has another type in {HOLDER} than in this push, which is of group job \"other\"{REFUSED}Give it the type gauge too \
     (in text by the line \"# TYPE rows gauge\"; without such a line a metric is untyped), or rename it, {DELETE}"
)]
#[case::name_of_a_sum(
    "time_sum 2\n",
    "other",
    "metric \"time_sum\" of this push, which is of group job \"other\", and metric \"time\" in {HOLDER} take the same \
     name{REFUSED}Rename metric \"time_sum\", {DELETE}"
)]
fn a_collision_names_the_metric_and_both_groups_and_the_next_push_is_taken(
    #[values(&[], &["--method", "post"], &["--accumulate"])] words: &[&str],
    #[case] file: &str,
    #[case] job: &str,
    #[case] message: &str,
) {
    let gateway = gateway_with(HELD);
    let ended = push(gateway.address(), file, job, words);
    let message = message
        .replace("{HOLDER}", HOLDER)
        .replace("{REFUSED}", REFUSED)
        .replace("{DELETE}", DELETE);
    let message = format!(
        "not pushed: http://{} refused the push: {message}, then push again",
        gateway.address()
    );
    assert_eq!(ended, Ended::badly(1, &message));
    push(gateway.address(), "# TYPE rows gauge\nrows 2\n", job, words).assert_code(0);
}

#[test]
fn of_many_groups_the_first_are_named() {
    let gateway = Pushgateway::start();
    for zone in ["a", "b", "c", "d", "e"] {
        gateway.put(
            &format!("/metrics/job/train/zone/{zone}"),
            "# TYPE rows gauge\nrows 1\n",
        );
    }
    let ended = push(
        gateway.address(),
        "# TYPE rows counter\nrows 1\n",
        "other",
        &[],
    );
    ended.assert_code(1);
    let named = "groups job \"train\", zone \"a\" and job \"train\", zone \"b\" and job \"train\", zone \"c\" and 2 more";
    let said = &ended.standard_error;
    assert!(
        said.contains(&format!("another type in {named} than")),
        "{said}"
    );
}

#[rstest]
fn the_group_that_is_pushed_to_is_not_named_among_those_in_the_way(
    #[values(&[], &["--method", "post"])] words: &[&str],
) {
    let gateway = gateway_with(HELD);
    push(
        gateway.address(),
        "# TYPE rows gauge\nrows 1\n",
        "other",
        words,
    )
    .assert_code(0);
    let ended = push(
        gateway.address(),
        "# TYPE rows counter\nrows 1\n",
        "other",
        words,
    );
    ended.assert_code(1);
    let said = &ended.standard_error;
    let named = format!("has another type in {HOLDER} than in this push");
    assert!(said.contains(&named), "{said}");
}

/// What another client can do to a gateway.
#[test]
fn a_gateway_that_takes_nothing_any_more_is_told_with_the_group_to_delete() {
    let gateway = Pushgateway::start();
    let file = "# TYPE rows gauge\nrows 1\n";
    push(gateway.address(), file, "train", &[]).assert_code(0);
    gateway.put("/metrics/job/train/instance@base64/=", file);
    let ended = push(gateway.address(), file, "other", &[]);
    let message = format!(
        "not pushed: http://{} refused the push: groups job \"train\" and job \"train\", instance \"\" are one but for an \
         empty label, and it takes no push while it has both. Delete the one with the empty label (docs/conditions.md says \
         how), then push again",
        gateway.address()
    );
    assert_eq!(ended, Ended::badly(1, &message));
    gateway.delete("/metrics/job/train/instance@base64/=");
    push(gateway.address(), file, "other", &[]).assert_code(0);
}

/// Then there are the gateway's words, and what is true whichever group it is.
#[rstest]
#[case::that_answers_something_else(answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))]
#[case::that_does_not_answer(hang())]
fn a_gateway_that_does_not_tell_its_groups_is_not_waited_for_long(
    #[case] fault: crate::faulty_server::Fault,
) {
    let body = "pushed metrics are invalid or inconsistent with existing metrics: collected metric \"rows\" { \
                label:{name:\"job\"  value:\"train\"}  gauge:{value:1}} was collected before with the same name and label \
                values\n";
    let refusal = format!(
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = FaultyServer::start([answer(refusal), fault]);
    let ended = push(server.address(), "rows 1\n", "train", &["--timeout", "1"]);
    ended.assert_code(1);
    let end = "was collected before with the same name and label values; another group has this metric with the same \
               labels. The gateway refused this push only. Rename the metric, or delete that group if it is yours, then push \
               again\n";
    assert!(
        ended.standard_error.ends_with(end),
        "{}",
        ended.standard_error
    );
    assert_eq!(server.requests().len(), 2);
}
