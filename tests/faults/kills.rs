//! `kill -9` between any two writes.

use std::time::Duration;

use futures::future::join_all;

use crate::child_names::{CLIENT_SETTINGS, children_of};
use crate::damage::Damage;
use crate::eventually::{so, within};
use crate::fault_proxy::{Fault, FaultProxy, Requests, Rule};
use crate::lane::Lane;
use crate::operator::Operator;
use crate::schedule::{Act, End, specs};
use crate::storm::do_act;
use crate::tenant::Tenant;

/// More than any of this needs, children and status together.
const WRITES: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);
/// Thirty tenants that hang fill the slow lanes, which grow every ten seconds; who comes last waits for that.
const LONGEST: Duration = Duration::from_secs(180);
/// Each tenant's reconcile is stopped in the midst, and has a place of its own.
const FLAGS: [&str; 3] = ["--leader-election=false", "--concurrency", "64"];
/// Two specs of which the second needs changes, and has a child less.
const BEFORE: usize = 1;
const AFTER: usize = 3;

/// What brings writes: one after the other, so that each begins where the last has ended.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Made,
    SpecChanged,
    ChildrenEdited,
    ChildrenDeleted,
    MadeAnew,
    SettingsAppliedUnderOurName,
}

impl Cause {
    async fn come_about(self, tenant: &Tenant) {
        let act = async |act| do_act(tenant, act).await.unwrap();
        match self {
            Self::Made => act(Act::Create(BEFORE)).await,
            Self::SpecChanged => {
                let (spec, paused) = (AFTER, false);
                act(Act::Change { spec, paused }).await;
            }
            Self::ChildrenEdited => each_child(tenant, Damage::Edited).await,
            Self::ChildrenDeleted => each_child(tenant, Damage::Deleted).await,
            Self::SettingsAppliedUnderOurName => {
                Damage::AppliedUnderOurName
                    .inflict(tenant, &CLIENT_SETTINGS)
                    .await;
            }
            Self::MadeAnew => {
                act(Act::Delete).await;
                act(Act::Create(BEFORE)).await;
            }
        }
    }

    fn end(self) -> End {
        match self {
            Self::Made | Self::MadeAnew | Self::SettingsAppliedUnderOurName => End::Spec(BEFORE),
            _ => End::Spec(AFTER),
        }
    }
}

async fn each_child(tenant: &Tenant, damage: Damage) {
    for child in children_of(&specs()[AFTER]) {
        damage.inflict(tenant, child).await;
    }
}

/// The nth write in a namespace is carried out, and that is the last that is heard of this operator.
struct LastWrite {
    rule: Rule,
    namespace: String,
}

impl LastWrite {
    fn new(proxy: &FaultProxy, namespace: &str, number: usize) -> Self {
        let writes = || Requests::writes().in_namespace(namespace);
        let rule = proxy.add(writes().nth(number), Fault::HangAfter);
        proxy.add(writes().after(number), Fault::Hang);
        let namespace = namespace.to_owned();
        Self { rule, namespace }
    }

    fn has_come(&self) -> bool {
        self.rule.count() > 0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_after_any_write_leaves_nothing_that_the_next_does_not_finish() {
    let lane = Lane::start("kills").await;
    let proxy = FaultProxy::before(&lane.control_plane.operators_kubeconfig());
    let tenants = join_all((1..=WRITES).map(async |number| {
        Tenant::empty(lane.client.clone(), &format!("killed-after-{number:02}")).await
    }))
    .await;
    let start = || Operator::start_as(proxy.kubeconfig(), &lane.control_plane, &FLAGS);
    let mut operator = start();
    operator.until_ready().await;
    for cause in [
        Cause::Made,
        Cause::SpecChanged,
        Cause::ChildrenEdited,
        Cause::ChildrenDeleted,
        Cause::MadeAnew,
        // Right after they were created, when who wrote what has still to be put in order.
        Cause::SettingsAppliedUnderOurName,
    ] {
        let wanted = |tenant: &Tenant| (tenant.namespace.clone(), cause.end());
        let last_writes: Vec<_> = tenants
            .iter()
            .zip(1..)
            .map(|(tenant, number)| LastWrite::new(&proxy, &tenant.namespace, number))
            .collect();
        join_all(tenants.iter().map(|tenant| cause.come_about(tenant))).await;
        let all = within(
            LONGEST,
            format!(
                "{cause:?}: each tenant's operator stands after its write, or has no more to write"
            ),
            async || {
                let busy: Vec<_> = last_writes
                    .iter()
                    .filter(|last| !last.has_come())
                    .map(|last| (last.namespace.clone(), cause.end()))
                    .collect();
                so(lane.differences(&busy).await.is_empty(), busy.len())?;
                Ok(WRITES - busy.len())
            },
        );
        let stopped = all.await;
        assert!(
            stopped < WRITES,
            "{cause:?} needs more writes than {WRITES}"
        );
        assert!(stopped > 0, "{cause:?} needs no write");
        eprintln!("{cause:?}: killed after each of {stopped} writes");
        operator.kill();
        proxy.calm();
        operator = start();
        let all: Vec<_> = tenants.iter().map(wanted).collect();
        if let Err(differences) = lane.until_right(&all, PATIENCE).await {
            panic!(
                "{cause:?}, killed, and not right:\n{}",
                differences.join("\n")
            );
        }
    }
}
