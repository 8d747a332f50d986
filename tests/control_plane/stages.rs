//! The two control planes that the tests share.

use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::control_plane::ControlPlane;
use crate::operator::Operator;
use crate::prometheus::{create_prometheus, prometheuses};

/// A control plane on which one operator runs all the time, beside a Prometheus that scrapes every namespace.
pub struct Shared {
    pub control_plane: ControlPlane,
    _operator: Operator,
}

/// The shared control plane.
pub async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED
        .get_or_init(async || {
            let control_plane = ControlPlane::start("shared").await;
            create_prometheus(&control_plane.client().await, "k8s", json!({})).await;
            let operator = Operator::start(&control_plane, &[]);
            operator.until_ready().await;
            Shared {
                control_plane,
                _operator: operator,
            }
        })
        .await
}

/// The other control plane, for this test alone, as it was made: everything is installed, no operator runs, and
/// there is no Prometheus.
pub async fn exclusive() -> Exclusive {
    static CONTROL_PLANE: Mutex<Option<ControlPlane>> = Mutex::const_new(None);
    let mut guard = CONTROL_PLANE.lock().await;
    match &*guard {
        None => *guard = Some(ControlPlane::start("exclusive").await),
        // Whatever the test before took away.
        Some(control_plane) => {
            control_plane.install().await;
            let prometheuses = prometheuses(&control_plane.client().await);
            prometheuses
                .delete_collection(&DeleteParams::default(), &ListParams::default())
                .await
                .unwrap();
        }
    }
    Exclusive(guard)
}

/// A control plane of the test's own, until it is dropped.
pub struct Exclusive(MutexGuard<'static, Option<ControlPlane>>);

impl std::ops::Deref for Exclusive {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        self.0.as_ref().unwrap()
    }
}
