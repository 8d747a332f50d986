//! Two operators, one of them behind a proxy that fails in every way that clusters fail: after its Lease's end an
//! operator writes nothing, whatever the other one does meanwhile.
//!
//! `SEEDS=50 cargo test --test control_plane one_writer -- --nocapture` runs more of them, in about an hour.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::json;

use crate::audit::{AuditLog, Request};
use crate::control_plane::ControlPlane;
use crate::eventually::{so, within};
use crate::fault_proxy::{Fault, FaultProxy, Requests};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::Tenant;

const SEEDS: u64 = 6;
const LEASE_SECONDS: u64 = 5;
const LEASE: SignedDuration = SignedDuration::from_secs(5);
/// Longer than an operator takes to lead after another's Lease has ended.
const PATIENCE: Duration = Duration::from_secs(40);
const TENANTS: usize = 4;
/// More than an operator serves side by side: it stands still in the middle of its work.
const MANY: usize = 40;
/// Objects that an operator works on side by side, by default.
const PLACES: usize = 8;
/// Between two looks, and between two changes.
const TICK: Duration = Duration::from_millis(100);

/// What a seed tries.
#[derive(Debug)]
struct Try {
    fault: Fault,
    /// For the Lease alone; else for everything.
    lease_alone: bool,
    begins_after: Duration,
    lasts: Duration,
}

impl Try {
    fn new(seed: u64) -> Self {
        let faults = [
            Fault::Answer(503),
            Fault::TooManyRequests(30),
            Fault::Hang,
            Fault::Late(Duration::from_millis(300 + seed * 217 % 3000)),
            Fault::Answer(500),
            Fault::Reset,
        ];
        Self {
            fault: faults[usize::try_from(seed).unwrap() % faults.len()],
            // The first seeds take turns, and each fault has both in time.
            lease_alone: (seed + seed / 6).is_multiple_of(2),
            begins_after: Duration::from_millis(seed * 797 % 2000),
            lasts: Duration::from_millis(if seed < SEEDS {
                8000 + seed * 1301 % 6000 - seed % 3 * 2500
            } else {
                // Up to two minutes, where there is time for it.
                5000 + seed * 44_017 % 115_000
            }),
        }
    }

    fn requests(&self) -> Requests {
        if self.lease_alone {
            Requests::all().of("leases")
        } else {
            Requests::all()
        }
    }
}

#[tokio::test]
async fn after_its_leases_end_an_operator_writes_nothing() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let tenants = tenants(&client, "writer", TENANTS).await;
    let seeds = std::env::var("SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let (mut lost, mut written) = (0, 0);
    for seed in 0..seeds {
        let tried = Try::new(seed);
        println!("seed {seed}: {tried:?}");
        let audit = control_plane.audit().starting_now();
        let (old_token, new_token) = (
            control_plane.token("old").await,
            control_plane.token("new").await,
        );
        let proxy = FaultProxy::before(&old_token.kubeconfig);
        let start = |kubeconfig, name| start(&control_plane, kubeconfig, &format!("{name}-{seed}"));
        let old = start(proxy.kubeconfig(), "old");
        old.until_leading(PATIENCE).await;
        old.until_ready().await;
        let new = start(&new_token.kubeconfig, "new");
        new.until_ready().await;

        let outage = async {
            tokio::time::sleep(tried.begins_after).await;
            let rule = proxy.add(tried.requests(), tried.fault);
            let began = Instant::now();
            while began.elapsed() < tried.lasts {
                never_both(&old, &new).await;
                tokio::time::sleep(TICK).await;
            }
            rule.end();
            within(PATIENCE, "one of the two leads", async || {
                never_both(&old, &new).await;
                so(leads(&old).await != leads(&new).await, "neither")
            })
            .await;
        };
        tokio::select! {
            () = outage => {}
            () = change_for_ever(&tenants) => {}
        }
        if leads(&new).await {
            lost += 1;
            let (code, log) = old.until_ended(PATIENCE).await;
            assert_eq!(code, Some(1), "{log}");
            assert!(
                log.contains("the Lease failed"),
                "its cause is not in the log: {log}"
            );
        } else {
            drop(old);
        }
        // So that the next need not wait for the Lease's end.
        new.terminate(PATIENCE).await;
        let (in_time, late) = written_by_the_old(&audit, &old_token.id, &new_token.id);
        assert_eq!(late, [""; 0], "written after the Lease's end");
        written += in_time;
    }
    let least = usize::try_from(seeds).unwrap() * TENANTS;
    assert!(written > least, "the old operators wrote {written} times");
    assert!(lost > 0, "no operator lost its Lease");
}

/// A node that is suspended, or a process that gets no time, wakes up in the middle of its work.
#[tokio::test]
async fn who_stood_still_for_longer_than_its_lease_begins_no_write_any_more() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let tenants = tenants(&client, "still", MANY).await;
    let change_all = async |interval: &str| {
        let spec = json!({"scrape": {"interval": interval}});
        join_all(
            tenants
                .iter()
                .map(|tenant| tenant.change_spec(spec.clone())),
        )
        .await;
    };
    let (old_token, new_token) = (
        control_plane.token("old").await,
        control_plane.token("new").await,
    );
    let audit = control_plane.audit().starting_now();
    let old = start(&control_plane, &old_token.kubeconfig, "old-still");
    old.until_leading(PATIENCE).await;
    old.until_all_are_looked_at(MANY).await;
    let new = start(&control_plane, &new_token.kubeconfig, "new-still");
    new.until_ready().await;

    let changed = audit.starting_now();
    change_all("20s").await;
    within(PATIENCE, "the old operator writes", async || {
        let writes = changed.writes_with(&old_token.id);
        let work = writes.iter().filter(|write| write.resource() != "leases");
        so(work.count() > 0, writes.len())
    })
    .await;
    let frozen = old.freeze();
    new.until_leading(PATIENCE).await;
    // It hears of this when it goes on.
    change_all("25s").await;
    within(PATIENCE, "the new operator writes", async || {
        let writes = audit.writes_with(&new_token.id);
        so(writes.len() > MANY, writes.len())
    })
    .await;
    drop(frozen);
    let (code, log) = old.until_ended(PATIENCE).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the Lease was lost"), "{log}");
    new.terminate(PATIENCE).await;
    let (in_time, late) = written_by_the_old(&audit, &old_token.id, &new_token.id);
    assert!(in_time > 0);
    // What was on its way to the network when it was stopped goes out when it goes on: of each place one at most.
    assert!(late.len() <= PLACES, "{late:?}");
}

/// New ones, each with an object.
async fn tenants(client: &Client, name: &str, count: usize) -> Vec<Tenant> {
    let tenants = (0..count).map(async |number| {
        let tenant = Tenant::empty(client.clone(), &format!("{name}-{number}")).await;
        tenant.create("metrics", json!({})).await;
        tenant
    });
    join_all(tenants).await
}

fn start(control_plane: &ControlPlane, kubeconfig: &Path, identity: &str) -> Operator {
    let seconds = LEASE_SECONDS.to_string();
    let flags = ["--identity", identity, "--lease-duration-seconds", &seconds];
    Operator::start_as(kubeconfig, control_plane, &flags)
}

async fn leads(operator: &Operator) -> bool {
    operator.metric("simplepipe_leading").await == Ok(1.0)
}

async fn never_both(old: &Operator, new: &Operator) {
    // In this order: the old one ends before the new one begins.
    let both = leads(new).await && leads(old).await;
    assert!(!both, "both operators lead");
}

/// So that whoever works has something to write all the time.
async fn change_for_ever(tenants: &[Tenant]) {
    for seconds in (10..60).cycle() {
        for tenant in tenants {
            let interval = format!("{seconds}s");
            tenant
                .change_spec(json!({"scrape": {"interval": interval}}))
                .await;
            tokio::time::sleep(TICK).await;
        }
    }
}

/// How many writes of the old operator came in time, and those that came too late.
fn written_by_the_old(audit: &AuditLog, old: &str, new: &str) -> (usize, Vec<String>) {
    let (leases, writes): (Vec<Request>, Vec<Request>) = audit
        .writes_with(old)
        .into_iter()
        .partition(|request| request.resource() == "leases");
    let renewed = leases.iter().filter(|r| !r.failed()).map(|r| r.received);
    let mut end: Timestamp = renewed.max().unwrap() + LEASE;
    // What the new one wrote first shows when it took the Lease, where it did.
    if let Some(first) = audit.writes_with(new).first() {
        end = end.min(first.received);
    }
    let late: Vec<_> = writes
        .iter()
        .filter(|write| write.received > end)
        .map(|write| format!("{} {}", write.received, write.in_words()))
        .collect();
    (writes.len() - late.len(), late)
}
