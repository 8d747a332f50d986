//! What each outage does to a tenant in it, to another one, and to the API server: the table of docs/faults.md.
//!
//! `make faults-table` prints it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::fault_proxy::{Fault, FaultProxy, Requests, Verb};
use crate::lane::Lane;
use crate::operator::Operator;
use crate::schedule::{Act, End};
use crate::storm::do_act;
use crate::tenant::Tenant;

/// Time of each outage.
const SHORT: Duration = Duration::from_secs(20);
/// Time of one that the operator has to notice by itself.
const LONG: Duration = Duration::from_secs(330);
/// From the end of an outage until all is right, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(200);
/// Specs before and after.
const BEFORE: usize = 0;
const AFTER: usize = 2;

struct Outage {
    name: &'static str,
    lasts: Duration,
    requests: fn(victim: &str) -> Requests,
    fault: Fault,
}

fn outages() -> Vec<Outage> {
    let outage = |name, requests: fn(&str) -> Requests, fault| Outage {
        name,
        lasts: SHORT,
        requests,
        fault,
    };
    let all: fn(&str) -> Requests = |_| Requests::all();
    let watches: fn(&str) -> Requests = |_| Requests::watches();
    vec![
        outage(
            "none",
            |_| Requests::all().in_namespace("nobody"),
            Fault::Answer(503),
        ),
        outage(
            "writes in the tenant's namespace hang, as behind a webhook that never answers",
            |victim| Requests::writes().in_namespace(victim),
            Fault::Hang,
        ),
        outage(
            "writes in the tenant's namespace are answered 500",
            |victim| Requests::writes().in_namespace(victim),
            Fault::Answer(500),
        ),
        outage(
            "writes of status are answered 503",
            |_| Requests::writes().of("metricsnamespaces/status"),
            Fault::Answer(503),
        ),
        outage("everything is answered 503", all, Fault::Answer(503)),
        outage("everything is answered 500", all, Fault::Answer(500)),
        outage(
            "everything is answered 429 with `Retry-After: 5`",
            all,
            Fault::TooManyRequests(5),
        ),
        outage("every connection is reset", all, Fault::Reset),
        outage(
            "every answer to a write is lost",
            |_| Requests::writes(),
            Fault::LoseAnswer,
        ),
        outage("nothing is answered", all, Fault::Hang),
        outage(
            "every answer comes a second late",
            all,
            Fault::LateAnswer(Duration::from_secs(1)),
        ),
        outage(
            "lists are answered 500",
            |_| Requests::lists(),
            Fault::Answer(500),
        ),
        outage("every watch ends as soon as it begins", watches, Fault::End),
        outage("every watch says 410 Gone", watches, Fault::Gone),
        Outage {
            name: "every watch is silent and stays open",
            lasts: LONG,
            requests: |_| Requests::watches(),
            fault: Fault::Silence,
        },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: make faults-table"]
async fn what_each_outage_does() {
    let lane = Lane::start("outages").await;
    eprintln!(
        "| outage | a tenant in it: its change is there | a tenant made meanwhile: Ready | `/readyz` says | requests a second | log lines |"
    );
    eprintln!("|---|---|---|---|---|---|");
    for (number, outage) in outages().iter().enumerate() {
        eprintln!("{}", measure(&lane, number, outage).await);
    }
}

/// A row of the table.
async fn measure(lane: &Lane, number: usize, outage: &Outage) -> String {
    let proxy = FaultProxy::before(&lane.control_plane.operators_kubeconfig());
    let flags = ["--leader-election=false"];
    let operator = Operator::start_as(proxy.kubeconfig(), &lane.control_plane, &flags);
    let tenant = async |name: &str| {
        Tenant::empty(lane.client.clone(), &format!("outage-{number}-{name}")).await
    };
    let (victim, newcomer) = (tenant("in-it").await, tenant("newcomer").await);
    do_act(&victim, Act::Create(BEFORE)).await.unwrap();
    let wanted = |tenant: &Tenant, spec| [(tenant.namespace.clone(), End::Spec(spec))];
    until_right(lane, &wanted(&victim, BEFORE)).await;

    let (asked, lines) = (proxy.asked().len(), operator.log_lines("").len());
    let mut requests = (outage.requests)(&victim.namespace);
    if outage.fault == Fault::Silence {
        // Those that are open: what the operator opens instead of them works.
        requests = requests.times(open_watches(&proxy));
    }
    proxy.add(requests, outage.fault);
    let began = Instant::now();
    let (spec, paused) = (AFTER, false);
    do_act(&victim, Act::Change { spec, paused }).await.unwrap();
    do_act(&newcomer, Act::Create(BEFORE)).await.unwrap();
    let mut waiting = [
        (wanted(&victim, AFTER), None),
        (wanted(&newcomer, BEFORE), None),
    ];
    while began.elapsed() < outage.lasts {
        for (wanted, right) in &mut waiting {
            if right.is_none() && lane.differences(&*wanted).await.is_empty() {
                *right = Some(began.elapsed());
            }
        }
        if began.elapsed() > SHORT && waiting.iter().all(|(_, right)| right.is_some()) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let lasted = began.elapsed().as_secs_f64();
    let asked = (proxy.asked().len() - asked) as f64 / lasted;
    let lines = operator.log_lines("").len() - lines;
    let (ready, said) = operator.get("/readyz").await.unwrap();
    let said = if ready == 200 {
        "ok"
    } else {
        said.lines().next().unwrap_or_default()
    };

    proxy.calm();
    let ended = Instant::now();
    let mut words = Vec::new();
    for (wanted, right) in waiting {
        words.push(match right {
            Some(after) => format!("after {:.1} s", after.as_secs_f64()),
            None => {
                until_right(lane, &wanted).await;
                format!("{:.1} s after its end", ended.elapsed().as_secs_f64())
            }
        });
    }
    let (name, victim, newcomer) = (outage.name, &words[0], &words[1]);
    format!("| {name} | {victim} | {newcomer} | {said} | {asked:.1} | {lines} |")
}

fn open_watches(proxy: &FaultProxy) -> usize {
    let asked = proxy.asked();
    let watched = asked.iter().filter(|asked| asked.verb == Verb::Watch);
    let resources: BTreeSet<_> = watched.map(|asked| &asked.resource).collect();
    resources.len()
}

async fn until_right(lane: &Lane, wanted: &[(String, End)]) {
    if let Err(differences) = lane.until_right(wanted, PATIENCE).await {
        panic!("{wanted:?} is not right:\n{}", differences.join("\n"));
    }
}
