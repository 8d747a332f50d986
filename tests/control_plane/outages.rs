//! An API server that is away for a while, in every way that it can be away: it is told at once, and news comes soon
//! after its return.

use std::time::Duration;

use futures::future::join_all;
use kube::api::{Api, ListParams};
use serde_json::json;
use simplepipe::api::MetricsNamespace;

use crate::child_names::DEPLOYMENT;
use crate::control_plane::ControlPlane;
use crate::eventually::{so, within};
use crate::fault_proxy::{Fault, FaultProxy, Requests};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::Tenant;

/// Of MetricsNamespaces, namespaces, two kinds of Prometheus objects, and six kinds of children.
const WATCHES: usize = 10;
const ALONE: [&str; 1] = ["--leader-election=false"];
/// `/readyz` and the metric tell within this time, and as much again on a busy machine.
const TOLD_WITHIN: Duration = Duration::from_secs(40);
/// News comes within ten seconds; five operators on a busy machine take up to three times as long.
const NEWS_WITHIN: Duration = Duration::from_secs(30);
/// A watch that is silent is noticed within 90 seconds.
const SILENCE: Duration = Duration::from_secs(110);

const OUTAGES: [(Fault, &str); 5] = [
    (Fault::Answer(503), "currently unable to handle the request"),
    (Fault::TooManyRequests(60), "too many requests"),
    (Fault::Answer(500), "etcdserver: request timed out"),
    (Fault::Hang, "has not answered"),
    (Fault::Reset, "connection"),
];

/// An operator behind a proxy of its own.
struct Cut {
    proxy: FaultProxy,
    operator: Operator,
    fault: Fault,
    cause: &'static str,
}

impl Cut {
    /// Starts one, and where it is to fail from the start, with the fault.
    fn start(
        control_plane: &ControlPlane,
        (fault, cause): (Fault, &'static str),
        flags: &[&str],
        from_the_start: bool,
    ) -> Self {
        let proxy = FaultProxy::before(&control_plane.operators_kubeconfig());
        if from_the_start {
            proxy.add(Requests::all(), fault);
        }
        let operator = Operator::start_as(proxy.kubeconfig(), control_plane, flags);
        Self {
            proxy,
            operator,
            fault,
            cause,
        }
    }

    /// All watches end, and can't begin again.
    fn fail(&self) {
        self.proxy.add(Requests::all(), self.fault);
        self.proxy.add(Requests::watches(), Fault::End);
    }

    async fn until_told(&self) {
        let fault = self.fault;
        within(TOLD_WITHIN, format!("{fault:?} is told"), async || {
            let (code, text) = self.operator.get("/readyz").await?;
            let lines = self.operator.log_lines(self.cause);
            let logged = lines.iter().any(|line| line.contains("\"WARN\""));
            so(
                code == 503 && text.contains(self.cause) && logged,
                (code, text, lines),
            )
        })
        .await;
    }

    async fn watch_fails(&self) -> bool {
        let failing = "simplepipe_watch_failing{watch=\"metricsnamespaces\"}";
        self.operator.metric(failing).await == Ok(1.0)
    }

    /// How many objects it knows with a condition `Ready`.
    async fn known(&self) -> Result<f64, String> {
        let (_, text) = self.operator.get("/metrics").await?;
        let ready = text
            .lines()
            .filter(|line| line.starts_with("simplepipe_tenants{condition=\"Ready\""));
        Ok(ready
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum())
    }

    async fn until_news(&self, tenant: &Tenant) {
        let fault = self.fault;
        within(NEWS_WITHIN, format!("news after {fault:?}"), async || {
            let objects: Api<MetricsNamespace> = Api::all(tenant.client.clone());
            let objects = objects.list(&ListParams::default()).await.unwrap().items;
            let known = self.known().await?;
            let there = f64::from(u32::try_from(objects.len()).unwrap());
            so(known == there, (known, there, self.operator.log_lines("")))
        })
        .await;
    }
}

#[tokio::test]
async fn an_outage_is_told_with_its_cause_and_news_comes_soon_after_it() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    // All at once: each takes its time.
    let cut = OUTAGES.map(|outage| Cut::start(&control_plane, outage, &ALONE, false));
    for cut in &cut {
        cut.operator.until_ready().await;
    }
    cut.iter().for_each(Cut::fail);
    join_all(cut.iter().map(Cut::until_told)).await;
    for cut in &cut {
        assert!(
            cut.watch_fails().await,
            "{:?} is not in the metric",
            cut.fault
        );
    }
    cut.iter().for_each(|cut| cut.proxy.calm());
    let tenant = Tenant::empty(client, "outages-after").await;
    tenant.create("metrics", json!({})).await;
    join_all(cut.iter().map(|cut| cut.until_news(&tenant))).await;
    for cut in &cut {
        cut.operator.until_ready().await;
        assert!(
            !cut.watch_fails().await,
            "{:?} is still in the metric",
            cut.fault
        );
    }
}

#[tokio::test]
async fn an_outage_at_the_start_is_told_with_its_cause_and_work_begins_soon_after_it() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let alone = OUTAGES.map(|outage| Cut::start(&control_plane, outage, &ALONE, true));
    let asking = Cut::start(&control_plane, OUTAGES[0], &[], true);
    let all: Vec<_> = alone.iter().chain([&asking]).collect();
    join_all(all.iter().map(|cut| cut.until_told())).await;
    for cut in &all {
        cut.proxy.calm();
    }
    // Another test's operator may have left the Lease behind.
    asking.operator.until_leading(TOLD_WITHIN).await;
    let tenant = Tenant::empty(client, "outages-start").await;
    tenant.create("metrics", json!({})).await;
    join_all(all.iter().map(|cut| cut.until_news(&tenant))).await;
}

#[tokio::test]
async fn a_watch_that_goes_silent_is_begun_anew() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let cut = Cut::start(&control_plane, OUTAGES[0], &ALONE, false);
    cut.operator.until_ready().await;
    // Those that are open, and none that begins later.
    let silent = cut
        .proxy
        .add(Requests::watches().times(WATCHES), Fault::Silence);
    within(TOLD_WITHIN, "the watches are silent", async || {
        so(silent.count() == WATCHES, silent.count())
    })
    .await;
    let tenant = Tenant::empty(client, "outages-silent").await;
    tenant.create("metrics", json!({})).await;
    within(SILENCE, "the silent watches began anew", async || {
        let found = tenant.api(&DEPLOYMENT).get_opt(DEPLOYMENT.name).await;
        so(found.as_ref().is_ok_and(Option::is_some), found)
    })
    .await;
}
