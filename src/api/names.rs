//! Names that other people's manifests, queries and eyes rely on: they never change within an API version.

/// The API group of `MetricsNamespace`.
pub const GROUP: &str = "simplepipe.dev";
/// The field manager of every write, and the value of `app.kubernetes.io/managed-by` on every child.
pub const MANAGER: &str = "simplepipe";
/// Deployment, Service, ServiceAccount and ServiceMonitor in a tenant's namespace.
pub const GATEWAY: &str = "pushgateway";
/// ConfigMap with the client settings in a tenant's namespace.
pub const CLIENT_CONFIG: &str = "simplepipe";
/// In it, one regular expression over the metric names that tenants may not push; whole names.
pub const RESERVED_METRICS: &str = "PUSHGATEWAY_RESERVED_METRICS";
/// In it, one over the jobs.
pub const RESERVED_JOBS: &str = "PUSHGATEWAY_RESERVED_JOBS";
/// ConfigMap with the dashboard in a tenant's namespace.
pub const DASHBOARD: &str = "pushgateway-dashboard";
/// PodMonitor of the model servers in a tenant's namespace, and the job of what it scrapes.
pub const MODEL_SERVERS: &str = "seldon";
/// Name of the container port and of the Service port.
pub const PORT_NAME: &str = "http";
/// The Pushgateway's usual port, on the container and on the Service.
pub const PORT: i32 = 9091;
/// Namespace label that asks for a `MetricsNamespace`: `simplepipe.dev/enroll=true`.
pub const ENROLL_LABEL: &str = "simplepipe.dev/enroll";
/// Name of the `MetricsNamespace` that enrolment creates.
pub const ENROLLED_NAME: &str = "metrics";
/// Annotation on a `MetricsNamespace` that enrolment created.
pub const ENROLLED_ANNOTATION: &str = "simplepipe.dev/enrolled-by-label";
/// Annotation on a child: digest of what was last written to it.
pub const DIGEST_ANNOTATION: &str = "simplepipe.dev/applied-digest";
/// Label of the series that `simplepipe push --accumulate` leaves in a gateway for its own use, with another value at each
/// push.
pub const ACCUMULATE_LABEL: &str = "simplepipe_accumulate_id";
/// Label by which all children are found.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Label whose value says of what product an object is a part; on the children it is [`MANAGER`].
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";

/// Where a tenant's gateway answers, from any namespace of the cluster.
pub fn gateway_url(namespace: &str) -> String {
    format!("http://{GATEWAY}.{namespace}.svc:{PORT}")
}
