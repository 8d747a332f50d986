//! What every reconcile works with.

use std::sync::Arc;

use kube::Client;
use kube::runtime::reflector::ObjectRef;

use crate::api::MetricsNamespace;

use super::cluster::caches::Caches;
use super::events::Events;
use super::pacing::budget::Budgets;
use super::pacing::contests::Contests;
use super::pacing::lanes::Lanes;
use super::pacing::queue::Queue;
use super::pacing::retry::Failures;
use super::platform::Platform;
use super::pod_problems::Pods;
use super::telemetry::Metrics;
use super::telemetry::health::Health;
use super::telemetry::lasting_failures::Lasting;

/// The parts of the operator, as reconciles share them.
pub struct Context {
    pub client: Client,
    /// What the watches know.
    pub caches: Arc<Caches>,
    /// What the platform sets.
    pub platform: Arc<Platform>,
    pub events: Arc<Events>,
    pub queue: Queue,
    /// Whether the operator works.
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    /// What failed, and is tried again.
    pub failures: Failures,
    /// What events say of statuses that can't be written: they are kept for an hour, and the failure may last longer.
    pub untold: Lasting<ObjectRef<MetricsNamespace>>,
    pub budgets: Budgets,
    /// What others keep changing back.
    pub contests: Contests,
    /// Why gateways do not come up.
    pub pods: Pods,
    /// Who works side by side.
    pub lanes: Arc<Lanes>,
}

impl Context {
    /// Forgets an object that is gone.
    pub fn forget(&self, object: &ObjectRef<MetricsNamespace>) {
        self.failures.forget(object);
        self.untold.forget(object);
    }
}
