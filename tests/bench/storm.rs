//! What one tenant waits for, and what the operator does meanwhile, while all others change.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::cluster::Cluster;
use crate::operator::Operator;
use crate::step::step;
use crate::{Failure, Meter, Result, SETTLING};

/// How often one tenant is made in calm. In a storm, as often as it lasts.
const PROBES: usize = 200;
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// How long other objects are written.
const FOREIGN_TIME: Duration = Duration::from_secs(60);
/// Where they are, and how many.
const ELSEWHERE: &str = "elsewhere";
const FOREIGN: usize = 200;
/// Each has a namespace of its own: whoever makes one object again and again is slowed down.
fn probe(number: usize) -> String {
    format!("probe-{}", number % PROBES)
}

/// Time for the list before the watch, which gives no event.
const LIST_TIME: Duration = Duration::from_secs(1);

/// What happened in one storm.
struct Storm {
    name: &'static str,
    time: Duration,
    cpu: Duration,
    writes: usize,
    note: String,
    /// From making an object to its last child.
    waits: Vec<Duration>,
}

/// Makes the storms, one after another, over converged tenants.
pub async fn measure(cluster: &Cluster) -> Result<String> {
    let tenants = step("storms: creating objects", cluster.create_objects()).await?;
    let converged = cluster.watch();
    let mut operator = Operator::start(cluster, cluster.kubeconfig(), &[])?;
    step("storms: the operator converges", converged.all(&tenants)).await?;
    for number in 0..PROBES {
        cluster.create_namespace(probe(number)).await?;
    }
    cluster.create_namespace(ELSEWHERE.to_owned()).await?;
    sleep(SETTLING).await;
    let all = tenants.len();
    let mut storms = Vec::new();

    let calm = AtomicUsize::new(PROBES);
    storms.push(
        storm(
            cluster,
            &operator,
            "calm",
            async {
                while calm.load(Ordering::Relaxed) > 0 {
                    sleep(Duration::from_millis(100)).await;
                }
                Ok(String::new())
            },
            Some(&calm),
        )
        .await?,
    );

    operator.stop().await?;
    operator = Operator::start(
        cluster,
        cluster.kubeconfig(),
        &["--gateway-image-pull-policy", "Always"],
    )?;
    storms.push(
        storm(
            cluster,
            &operator,
            "a setting changes all",
            async {
                operator.until_changed(all).await?;
                Ok(format!("{all} Deployments"))
            },
            None,
        )
        .await?,
    );
    sleep(SETTLING).await;

    let changed = operator.changed();
    storms.push(
        storm(
            cluster,
            &operator,
            "all Services drift",
            async {
                let patch =
                    json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "another"}}});
                cluster
                    .each(cluster.namespaces(), |namespace| {
                        let patch = &patch;
                        async move {
                            let path =
                                format!("/api/v1/namespaces/{namespace}/services/pushgateway");
                            cluster.patch(&path, patch).await
                        }
                    })
                    .await?;
                operator.until_changed(changed + all).await?;
                Ok(format!("{all} Services"))
            },
            None,
        )
        .await?,
    );
    sleep(SETTLING).await;

    let maps = |n: usize| format!("/api/v1/namespaces/{ELSEWHERE}/configmaps/foreign-{n}");
    for n in 0..FOREIGN {
        let object = json!({"metadata": {"name": format!("foreign-{n}")}, "data": {"n": "0"}});
        cluster
            .create(
                &format!("/api/v1/namespaces/{ELSEWHERE}/configmaps"),
                &object,
            )
            .await?;
    }
    storms.push(
        storm(
            cluster,
            &operator,
            "others' ConfigMaps change",
            async {
                let began = Instant::now();
                let written = AtomicUsize::new(0);
                stream::iter(0..)
                    .take_while(|_| std::future::ready(began.elapsed() < FOREIGN_TIME))
                    .map(|n: usize| {
                        let written = &written;
                        async move {
                            let patch = json!({"data": {"n": n.to_string()}});
                            if cluster.patch(&maps(n % FOREIGN), &patch).await.is_ok() {
                                written.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                    .buffer_unordered(cluster.in_flight())
                    .for_each(|()| std::future::ready(()))
                    .await;
                let minute = written.into_inner() as f64 * 60.0 / began.elapsed().as_secs_f64();
                Ok(format!("{minute:.0} a minute"))
            },
            None,
        )
        .await?,
    );
    operator.stop().await?;
    table(&storms)
}

/// Does something to all tenants, and makes one tenant again and again meanwhile.
async fn storm(
    cluster: &Cluster,
    operator: &Operator,
    name: &'static str,
    what: impl Future<Output = Result<String>>,
    at_most: Option<&AtomicUsize>,
) -> Result<Storm> {
    let over = AtomicBool::new(false);
    let meter = Meter::start(cluster, operator.process())?;
    let (note, waits) = step(&format!("storm: {name}"), async {
        tokio::try_join!(
            async {
                let note = what.await?;
                over.store(true, Ordering::Relaxed);
                Ok(note)
            },
            probes(cluster, &over, at_most),
        )
    })
    .await?;
    let measured = meter.stop().await?;
    Ok(Storm {
        name,
        time: measured.time,
        cpu: measured.cpu,
        writes: measured.requests.writes(),
        note,
        waits,
    })
}

async fn probes(
    cluster: &Cluster,
    over: &AtomicBool,
    left: Option<&AtomicUsize>,
) -> Result<Vec<Duration>> {
    let mut dashboards = std::pin::pin!(cluster.watch_dashboards());
    let mut waits = Vec::new();
    // The list of those that are there.
    let _ = timeout(LIST_TIME, dashboards.next()).await;
    while !over.load(Ordering::Relaxed) {
        let probe = probe(waits.len());
        let began = Instant::now();
        cluster.create_object(probe.clone()).await?;
        let seen = async {
            while let Some(namespace) = dashboards.next().await {
                if namespace? == probe {
                    return Ok(());
                }
            }
            Err(Failure::from("the watch of dashboards ended"))
        };
        timeout(LONGEST_WAIT, seen)
            .await
            .map_err(|_| "one tenant has no dashboard in time")??;
        waits.push(began.elapsed());
        cluster.delete_object(&probe).await?;
        cluster.until_empty(&probe).await?;
        if let Some(left) = left {
            left.fetch_sub(1, Ordering::Relaxed);
        }
    }
    Ok(waits)
}

fn table(storms: &[Storm]) -> Result<String> {
    let mut text = format!(
        "{:<28}{:>8}{:>12}{:>9}{:>8}{:>9}{:>9}  {}\n{:<28}{:>8}{:>12}{:>9}{:>8}{:>9}{:>9}\n",
        "one tenant, meanwhile",
        "time",
        "operator's",
        "its",
        "probes",
        "p50",
        "p99",
        "of what",
        "",
        "s",
        "CPU s",
        "writes",
        "",
        "ms",
        "ms",
    );
    for storm in storms {
        let mut waits = storm.waits.clone();
        waits.sort();
        let at = |share: f64| {
            let last = waits.len().saturating_sub(1);
            waits
                .get((last as f64 * share).round() as usize)
                .map_or(f64::NAN, |wait| wait.as_secs_f64() * 1000.0)
        };
        writeln!(
            text,
            "{:<28}{:>8.1}{:>12.2}{:>9}{:>8}{:>9.0}{:>9.0}  {}",
            storm.name,
            storm.time.as_secs_f64(),
            storm.cpu.as_secs_f64(),
            storm.writes,
            waits.len(),
            at(0.5),
            at(0.99),
            storm.note
        )?;
    }
    Ok(text)
}
