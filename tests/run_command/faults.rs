//! A gateway that is away never changes how the command ends, unless somebody wants it.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::process::Signal;

use crate::faulty_server::{FaultyServer, answer, hang};
use crate::signals::waiting;
use crate::simplepipe::{Run, Running, eventually};

/// Nothing listens there.
const DOWN: &str = "127.0.0.1:1";
/// How long a push may take once somebody asked for an end: as in src/client/run/supervision.rs.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Takes connections, and never answers.
struct Hanging(TcpListener);

impl Hanging {
    fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Waits until somebody comes.
    fn accept(&self) -> std::net::TcpStream {
        self.0.accept().unwrap().0
    }

    /// How many came that were not accepted.
    fn waiting(&self) -> usize {
        self.0.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| self.0.accept().ok()).count()
    }
}

#[test]
fn a_gateway_that_is_down_is_told_and_changes_nothing() {
    for code in [0, 3] {
        let ended = Run::script(&format!("echo out; exit {code}"))
            .gateway(DOWN)
            .option("--retry-for", "0")
            .end();
        ended
            .assert_code(code)
            .assert_output("out\n")
            .assert_says(
                "the metrics of job \"sh\" were not pushed: http://127.0.0.1:1 can't be reached: Connection refused \
                 (os error 111)",
            );
    }
}

#[test]
fn strict_makes_a_success_without_a_push_a_failure_and_no_other() {
    let run = |code: i32| {
        Run::script(&format!("exit {code}"))
            .gateway(DOWN)
            .option("--retry-for", "0")
            .flag("--strict")
            .end()
    };
    run(0).assert_code(1);
    run(3).assert_code(3);
}

#[test]
fn without_a_gateway_the_command_runs_and_one_line_says_so() {
    let advice = "no gateway to push to; give --gateway HOST:PORT, or set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME (in a \
                  namespace with a MetricsNamespace, ConfigMap \"simplepipe\" has both)";
    Run::script("echo ran; exit 3")
        .end()
        .assert_code(3)
        .assert_output("ran\n")
        .assert_says(&format!("nothing will be pushed: {advice}"));
    Run::script("echo ran; exit 3")
        .flag("--strict")
        .end()
        .assert_code(2)
        .assert_output("")
        .assert_says(&format!("the command was not started: {advice}"));
}

#[test]
fn a_gateway_that_is_set_wrong_is_as_good_as_none() {
    Run::script("exit 3")
        .variable("PUSHGATEWAY_URL", "ftp://user:secret@host")
        .end()
        .assert_code(3)
        .assert_says(
            "nothing will be pushed: gateway from PUSHGATEWAY_URL \"ftp://host\" is neither http nor https; write \
             http://HOST:PORT",
        );
}

#[test]
fn a_gateway_that_hangs_is_waited_for_as_long_as_said() {
    let gateway = Hanging::start();
    let began = Instant::now();
    let ended = Run::script("exit 3")
        .gateway(&gateway.address())
        .option("--timeout", "1")
        .option("--retry-for", "0")
        .end();
    // It would be ten if nothing were said.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    ended.assert_code(3).assert_says(&format!(
        "the metrics of job \"sh\" were not pushed: http://{} did not answer within 1 s (--timeout); it may have done what it \
         was asked, or still do it",
        gateway.address()
    ));
}

#[test]
fn a_gateway_that_is_away_is_not_tried_again_for_each_part_of_the_metrics() {
    let gateway = Hanging::start();
    let ended = Run::script(
        "mkdir $SIMPLEPIPE_METRICS; cd $SIMPLEPIPE_METRICS; echo 'a 1' > own; \
         echo '{\"job\": \"other\", \"metrics\": [{\"name\": \"b\", \"value\": 1, \"metric_type\": \"gauge\"}]}' > other",
    )
    .gateway(&gateway.address())
    .option("--timeout", "1")
    .option("--retry-for", "0")
    .end();
    ended.assert_code(0).assert_says(&format!(
        "the metrics of job \"sh\" were not pushed: http://{} did not answer within 1 s (--timeout); it may have done what it \
         was asked, or still do it",
        gateway.address()
    ));
    assert_eq!(gateway.waiting(), 1);
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// As a Pushgateway refuses a metric that another group has with another type.
fn collision() -> String {
    let cause = "pushed metrics are invalid or inconsistent with existing metrics: collected metric \"a\" { label:{name:\"job\" \
                 value:\"other\"} gauge:{value:1}} is not a COUNTER";
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{cause}",
        cause.len()
    )
}

fn method(request: &str) -> &str {
    request.split(' ').next().unwrap_or_default()
}

#[test]
fn a_gateway_that_is_slow_to_say_what_it_refuses_is_asked_once_all_is_pushed_and_not_for_long() {
    let write = "mkdir $SIMPLEPIPE_METRICS; echo 'a 1' > $SIMPLEPIPE_METRICS/own; echo '{\"job\": \"other\", \"metrics\": \
                 [{\"name\": \"b\", \"value\": 1, \"metric_type\": \"gauge\"}]}' > $SIMPLEPIPE_METRICS/other";
    let server = FaultyServer::start([answer(collision()), answer(TAKEN), answer(TAKEN), hang()]);
    let running = Run::script(&waiting(&format!("{write}; trap 'exit 3' TERM")))
        .gateway(server.address())
        .option("--retry-for", "0")
        .start();
    running.says("ready");
    running.signal(Signal::TERM);
    let ended = running.end().assert_code(3);
    let refused = format!(
        "simplepipe: the command's metrics of job \"sh\" were not pushed: http://{} refused the push: it answered 400 Bad \
         Request: pushed metrics are invalid",
        server.address()
    );
    assert!(ended.errors.starts_with(&refused), "{}", ended.errors);
    let requests = server.requests();
    let methods: Vec<&str> = requests.iter().map(|r| method(r)).collect();
    assert_eq!(methods, ["POST", "POST", "POST", "GET"]);
}

#[test]
fn only_the_first_heartbeat_that_is_refused_asks_why() {
    let (no, all) = (|| answer(collision()), || answer(TAKEN));
    let server = FaultyServer::start([no(), all(), no(), no(), all()]);
    let mut running = Run::script("read line; exit 3")
        .gateway(server.address())
        .option("--heartbeat", "1s")
        .start();
    let mut requests = Vec::new();
    eventually("two more heartbeats came", || {
        requests.extend(server.requests());
        if requests.len() == 4 {
            Ok(())
        } else {
            Err(requests.len())
        }
    });
    running.stdin().write_all(b"end\n").unwrap();
    running.end().assert_code(3);
    requests.extend(server.requests());
    let methods: Vec<&str> = requests.iter().map(|r| method(r)).collect();
    assert_eq!(methods, ["POST", "GET", "POST", "POST", "POST"]);
}

#[test]
fn a_gateway_that_goes_away_between_two_groups_is_not_tried_for_all_that_are_left() {
    let unavailable = || answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let server = FaultyServer::start([
        answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        unavailable(),
        unavailable(),
    ]);
    let ended = Run::script(
        "mkdir $SIMPLEPIPE_METRICS; for job in a b c; do \
         echo '{\"job\": \"'$job'\", \"metrics\": [{\"name\": \"x\", \"value\": 1, \"metric_type\": \"gauge\"}]}' > \
         $SIMPLEPIPE_METRICS/$job.json; done",
    )
    .gateway(server.address())
    .option("--retry-for", "0")
    .end();
    ended.assert_code(0).assert_says(&format!(
        "the command's metrics of job \"a\" were not pushed: http://{} can't take the push now: it answered 503 Service Unavailable\n\
         simplepipe: those of 2 further groups were not tried",
        server.address()
    ));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_gateway_that_is_not_ready_is_tried_again_unless_told_otherwise() {
    let server = FaultyServer::start([
        answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]);
    Run::of(["true"])
        .gateway(server.address())
        .flag("--strict")
        .end()
        .assert_code(0);
    for request in server.requests() {
        assert!(
            request.starts_with("POST /metrics/job/true HTTP/1.1\r\n"),
            "{request}"
        );
    }
}

/// A command that is running, and whose metrics are going to a gateway that gives no answer.
fn ends_with_7_when_told(gateway: &Hanging) -> Running {
    let running = Run::script(&waiting("trap 'exit 7' TERM"))
        .gateway(&gateway.address())
        .option("--timeout", "600")
        .start();
    running.says("ready");
    running
}

#[test]
fn after_a_signal_a_gateway_that_hangs_is_waited_for_a_few_seconds_only() {
    let gateway = Hanging::start();
    let running = ends_with_7_when_told(&gateway);
    let began = Instant::now();
    running.signal(Signal::TERM);
    let ended = running.end().assert_code(7);
    assert!(began.elapsed() >= LAST_WAIT);
    let message = format!(
        "simplepipe: the metrics of job \"sh\" were not pushed: told to end before http://{} had them",
        gateway.address()
    );
    assert_eq!(ended.errors.lines().last(), Some(message.as_str()));
}

#[test]
fn a_gateway_that_wants_a_password_is_asked_once() {
    let server = FaultyServer::start([answer(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    )]);
    Run::of(["true"])
        .gateway(server.address())
        .end()
        .assert_code(0)
        .assert_says(&format!(
            "the metrics of job \"true\" were not pushed: http://{} refused the push: it answered 401 Unauthorized; give \
             --username and --password-file",
            server.address()
        ));
}

#[rstest]
fn a_second_signal_ends_the_wait(
    #[values(Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM)] second: Signal,
) {
    let gateway = Hanging::start();
    let mut running = ends_with_7_when_told(&gateway);
    running.signal(Signal::TERM);
    let _connection = gateway.accept();
    let began = Instant::now();
    // One of the first's kind counts as the first for a while.
    running.signal_until_it_ends(second);
    running.end().assert_code(7);
    assert!(began.elapsed() < LAST_WAIT, "{:?}", began.elapsed());
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let gateway = Hanging::start();
    let running = ends_with_7_when_told(&gateway);
    let began = Instant::now();
    running.signal(Signal::TERM);
    let _connection = gateway.accept();
    running.signal(Signal::TERM);
    running.end().assert_code(7);
    assert!(began.elapsed() >= LAST_WAIT, "{:?}", began.elapsed());
}

#[test]
fn a_command_that_ended_by_itself_keeps_its_code_when_the_push_is_told_to_end() {
    let gateway = Hanging::start();
    let running = Run::script("exit 3")
        .gateway(&gateway.address())
        .option("--timeout", "600")
        .start();
    let _connection = gateway.accept();
    let began = Instant::now();
    running.signal(Signal::TERM);
    running.end().assert_code(3);
    assert!(began.elapsed() >= LAST_WAIT);
}
