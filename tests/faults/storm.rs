//! One seed: a storm, the calm after it, and whether all is right then.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, stream};
use kube::api::{DeleteParams, Patch};
use serde_json::json;

use crate::audit::AuditLog;
use crate::child_names::children_of;
use crate::damage::Damage;
use crate::fault_proxy::{Fault, FaultProxy, Rule};
use crate::lane::Lane;
use crate::operator::Operator;
use crate::picture::Picture;
use crate::schedule::{Act, End, STORM, Schedule, TENANTS, specs};
use crate::tenant::{Tenant, by};

/// What is under way when all looks right may still end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// For so long nothing is written then.
const QUIET: Duration = Duration::from_secs(4);
/// Tenants that are worked on at the same time.
const AT_ONCE: usize = 8;
/// So many times what undisturbed tenants need may be written, Events included.
const MOST_WRITES: usize = 2;
/// What ends at once strikes the watches that are open, and those that open in this time.
const MOMENT: Duration = Duration::from_millis(200);

/// What came of a seed.
pub struct Verdict {
    pub seed: u64,
    /// Time from the calm until all was right.
    pub right_after: Option<Duration>,
    pub writes: usize,
    pub least: usize,
    pub faults: BTreeMap<Fault, usize>,
    /// What is wrong, in words; empty where all is right.
    pub wrong: Vec<String>,
    /// All that happened.
    pub story: String,
    /// What the operator asked, and what became of it.
    pub asked: String,
    pub logs: Vec<PathBuf>,
}

struct Storm<'a> {
    lane: &'a Lane,
    schedule: &'a Schedule,
    tenants: Vec<Tenant>,
    proxy: FaultProxy,
    began: Instant,
}

/// Runs a seed. `patience`: how long it may take until all is right.
pub async fn run(lane: &Lane, seed: u64, patience: Duration) -> Verdict {
    let schedule = Schedule::new(seed);
    let tenants = stream::iter(0..TENANTS)
        .map(async |number| Tenant::empty(lane.client.clone(), &schedule.namespace(number)).await)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let audit = lane.control_plane.audit().starting_now();
    let mut storm = Storm {
        lane,
        schedule: &schedule,
        tenants,
        proxy: FaultProxy::before(&lane.control_plane.operators_kubeconfig()),
        began: Instant::now(),
    };
    let operator = storm.start_operator();
    operator.until_ready().await;
    storm.began = Instant::now();

    let (acts, troubles, (operator, logs)) = futures::join!(
        storm.users_act(),
        storm.things_go_wrong(),
        storm.operator_is_killed(operator)
    );
    let least = acts.least_writes(lane);
    let mut wrong = Vec::new();
    let right_after = lane.until_right(&storm.wanted(), patience).await;
    if let Err(differences) = &right_after {
        wrong.push(format!("not right after {patience:?}:"));
        wrong.extend(differences.iter().cloned());
    }
    let mut writes = 0;
    if wrong.is_empty() {
        storm.is_quiet(&audit, &mut wrong).await;
        writes = storm.writes(&audit).len();
        if writes > MOST_WRITES * least {
            wrong.push(format!(
                "{writes} writes where {least} serve each act by itself"
            ));
        }
        storm.each_child_once_more(patience, &mut wrong).await;
    }
    if wrong.is_empty() {
        storm.is_quiet(&audit, &mut wrong).await;
    }
    drop(operator);
    storm.clear().await;
    let story = [schedule.in_words(), acts.in_words(), troubles].join("\n\n");
    Verdict {
        seed,
        right_after: right_after.ok(),
        writes,
        least,
        faults: storm.proxy.counts(),
        wrong,
        story,
        asked: storm.asked(),
        logs,
    }
}

/// What users did, and what became of it.
struct Acts(Vec<(String, Act, Result<(), String>)>);

impl Acts {
    fn in_words(&self) -> String {
        let lines = self.0.iter().filter_map(|(namespace, act, result)| {
            let error = result.as_ref().err()?;
            Some(format!("{namespace}: {act:?} did not come about: {error}"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Writes that these acts need one by one: one for each child that is not as wanted after it, and one for a status
    /// that says so.
    fn least_writes(&self, lane: &Lane) -> usize {
        let mut least = 0;
        let mut now: BTreeMap<&str, End> = BTreeMap::new();
        for (namespace, act, result) in &self.0 {
            if result.is_err() {
                continue;
            }
            let before = now.get(&**namespace).copied().unwrap_or(End::Nothing);
            let after = match act {
                Act::Create(spec) | Act::Change { spec, .. } => End::Spec(*spec),
                Act::Enrol(true) => End::Enrolled,
                Act::Delete | Act::Enrol(false) => End::Nothing,
                Act::Pause(_) | Act::Damage(..) | Act::FalseStatus => before,
            };
            least += match act {
                Act::Damage(..) | Act::Pause(_) | Act::FalseStatus => 1,
                _ if after == End::Nothing => 1,
                _ => differing(lane.undisturbed(before), lane.undisturbed(after)),
            };
            now.insert(namespace, after);
        }
        least
    }
}

/// Objects that are not the same in both: of a MetricsNamespace, its status is written.
fn differing(one: &Picture, other: &Picture) -> usize {
    let names = one.keys().chain(other.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name))
        .count()
}

impl Storm<'_> {
    fn start_operator(&self) -> Operator {
        let flags = ["--leader-election=false", "--log-level", "debug"];
        Operator::start_as(self.proxy.kubeconfig(), &self.lane.control_plane, &flags)
    }

    /// Namespaces, and what each is in the end.
    fn wanted(&self) -> Vec<(String, End)> {
        let namespaces = self.tenants.iter().map(|t| t.namespace.clone());
        namespaces.zip(self.schedule.ends.iter().copied()).collect()
    }

    async fn until(&self, at: Duration) {
        tokio::time::sleep_until((self.began + at).into()).await;
    }

    async fn users_act(&self) -> Acts {
        let tenants = self.tenants.iter().zip(&self.schedule.acts);
        let all = join_all(tenants.map(async |(tenant, acts)| {
            let mut done = Vec::new();
            for (at, act) in acts {
                self.until(*at).await;
                let result = do_act(tenant, *act).await.map_err(|e| e.to_string());
                done.push((tenant.namespace.clone(), *act, result));
            }
            done
        }));
        Acts(all.await.into_iter().flatten().collect())
    }

    /// Until the calm. How often each happened, in words.
    async fn things_go_wrong(&self) -> String {
        let troubles = &self.schedule.troubles;
        let mut moments: Vec<_> = (0..troubles.len())
            .flat_map(|number| {
                let trouble = &troubles[number];
                let lasts = trouble.lasts.max(MOMENT);
                [
                    (trouble.at, number, true),
                    (trouble.at + lasts, number, false),
                ]
            })
            .collect();
        moments.sort();
        let mut rules: Vec<Option<Rule>> = vec![None; troubles.len()];
        for (at, number, starts) in moments {
            self.until(at.min(STORM)).await;
            if starts {
                let trouble = &troubles[number];
                rules[number] = Some(self.proxy.add(trouble.requests.clone(), trouble.fault));
            } else if let Some(rule) = &rules[number] {
                rule.end();
            }
        }
        self.until(STORM).await;
        self.proxy.calm();
        let lines = rules.iter().zip(troubles).map(|(rule, trouble)| {
            let count = rule.as_ref().map_or(0, Rule::count);
            format!(
                "{:.1} s: {:?} of {} happened {count} times",
                trouble.at.as_secs_f64(),
                trouble.fault,
                trouble.requests.in_words()
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    async fn operator_is_killed(&self, mut operator: Operator) -> (Operator, Vec<PathBuf>) {
        let mut logs = vec![operator.log().to_owned()];
        for (at, down) in &self.schedule.kills {
            self.until(*at).await;
            operator.kill();
            tokio::time::sleep(*down).await;
            operator = self.start_operator();
            logs.push(operator.log().to_owned());
        }
        (operator, logs)
    }

    /// What the operator wrote for this seed's tenants, Events too.
    fn writes(&self, audit: &AuditLog) -> Vec<String> {
        let mut writes = audit.operators_writes();
        let prefix = format!("seed-{}-", self.schedule.seed);
        writes.retain(|w| w.namespace().starts_with(&prefix) && !w.failed());
        writes.iter().map(|w| w.in_words()).collect()
    }

    fn asked(&self) -> String {
        let asked = self.proxy.asked();
        let lines = asked.iter().map(|asked| {
            let at = asked.at.saturating_duration_since(self.began);
            let (words, fault, status) = (asked.in_words(), asked.fault, asked.status);
            format!("{:.3} {words}: {status:?} {fault:?}\n", at.as_secs_f64())
        });
        lines.collect()
    }

    async fn is_quiet(&self, audit: &AuditLog, wrong: &mut Vec<String>) {
        tokio::time::sleep(LAST_WORDS).await;
        let audit = audit.starting_now();
        tokio::time::sleep(QUIET).await;
        let writes = self.writes(&audit);
        wrong.extend(writes.into_iter().map(|w| format!("written in calm: {w}")));
    }

    /// Each child deleted, each changed, and again.
    async fn each_child_once_more(&self, patience: Duration, wrong: &mut Vec<String>) {
        for damage in [
            Damage::Deleted,
            Damage::Edited,
            Damage::Deleted,
            Damage::Edited,
        ] {
            let tenants = self.tenants.iter().zip(&self.schedule.ends);
            stream::iter(tenants)
                .for_each_concurrent(AT_ONCE, async |(tenant, end)| {
                    let spec = match end {
                        End::Nothing => return,
                        End::Spec(number) => specs()[*number].clone(),
                        End::Enrolled => json!({}),
                    };
                    for child in children_of(&spec) {
                        let before = tenant.child(child).await;
                        damage.try_inflict(tenant, child, &before).await.unwrap();
                    }
                })
                .await;
            if let Err(differences) = self.lane.until_right(&self.wanted(), patience).await {
                wrong.push(format!(
                    "{damage:?} in calm, and not right after {patience:?}:"
                ));
                wrong.extend(differences);
                return;
            }
        }
    }

    /// Makes room for the next seed.
    async fn clear(&self) {
        stream::iter(&self.tenants)
            .for_each_concurrent(AT_ONCE, async |tenant| {
                let namespaces = tenant.namespaces();
                namespaces
                    .delete(&tenant.namespace, &DeleteParams::default())
                    .await
                    .unwrap();
            })
            .await;
    }
}

/// Does it, as users do: past the proxy.
pub async fn do_act(tenant: &Tenant, act: Act) -> kube::Result<()> {
    match act {
        Act::Create(spec) => tenant
            .try_create("metrics", specs()[spec].clone())
            .await
            .map(drop),
        Act::Change { spec, paused } => {
            let mut spec = specs()[spec].clone();
            spec["paused"] = json!(paused);
            let whole = json!([{"op": "replace", "path": "/spec", "value": spec}]);
            let patch: Patch<()> = Patch::Json(serde_json::from_value(whole).unwrap());
            tenant
                .objects()
                .patch("metrics", &by("kubectl-replace"), &patch)
                .await
                .map(drop)
        }
        Act::Pause(paused) => {
            let patch = Patch::Merge(json!({"spec": {"paused": paused}}));
            tenant
                .objects()
                .patch("metrics", &by("kubectl-patch"), &patch)
                .await
                .map(drop)
        }
        Act::Delete => tenant
            .objects()
            .delete("metrics", &DeleteParams::default())
            .await
            .map(drop),
        Act::Enrol(on) => {
            let label = on.then_some("true");
            let labels = json!({"simplepipe.dev/enroll": label});
            tenant.label_namespace(labels).await;
            Ok(())
        }
        Act::FalseStatus => {
            let condition = json!({
                "type": "Ready", "status": "False", "reason": "False", "message": "somebody else's",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            });
            let patch = Patch::Merge(json!({"status": {"conditions": [condition]}}));
            tenant
                .objects()
                .patch_status("metrics", &by("kubectl-patch"), &patch)
                .await
                .map(drop)
        }
        Act::Damage(damage, child) => {
            let before = tenant.api(child).get(child.name).await?;
            damage.try_inflict(tenant, child, &before).await.map(drop)
        }
    }
}
