# shellcheck shell=bash
# shellcheck disable=SC2154 # packaging.sh has the variables
# A cluster with nodes, without Simplepipe, that knows prometheus-operator's kinds; and a tenant on it.
tenant=simplepipe-test-tenant

use_cluster() {
  KUBECONFIG=$("$cluster/cluster" kubeconfig)
  export KUBECONFIG
  if kubectl get --raw /readyz --request-timeout=3s >/dev/null 2>&1; then
    [[ -z $(kubectl get crd metricsnamespaces.simplepipe.dev --ignore-not-found -o name) ]] ||
      fail "Simplepipe is on this cluster already; this test wants one without (make demo-down)"
    trap 'clean_up; rm -rf "$work"' EXIT
  else
    trap '"$cluster/cluster" down; rm -rf "$work"' EXIT
    "$cluster/cluster" up
    KUBECONFIG=$("$cluster/cluster" kubeconfig)
  fi
  if [[ $("$cluster/cluster" kind-of) != current ]]; then
    "$root/tests/demo/operator-image"
    "$cluster/platform-images" pushgateway
  fi
  select_everything
}

# No Prometheus runs here: an object that selects all is what the operator looks at.
select_everything() {
  step "applying prometheus-operator's CRDs" apply_prometheus_operator_crds
  kubectl create namespace "$tenant"
  kubectl label namespace "$tenant" pod-security.kubernetes.io/enforce=restricted
  kubectl apply -f - <<EOF
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: test, namespace: $tenant}
spec: {serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {}}
EOF
}

# On a cluster that was there before: whatever a failed test left.
clean_up() {
  helm uninstall simplepipe --namespace "$namespace" --ignore-not-found
  kubectl delete namespace "$tenant" "$namespace" --ignore-not-found
  kubectl delete -k "$root/config/overlays/plain" --ignore-not-found
}

operator_ready() { kubectl -n "$namespace" rollout status deployment/simplepipe --timeout=90s || explain; }

explain() {
  kubectl -n "$namespace" get pods -o wide
  kubectl -n "$namespace" get events --sort-by=.lastTimestamp | tail -n 10
  kubectl -n "$namespace" logs deployment/simplepipe --tail=20
  kubectl get mns -A -o wide
  kubectl -n "$tenant" get all
  return 1
}

make_tenant() {
  kubectl apply -f - <<EOF
apiVersion: simplepipe.dev/v1alpha1
kind: MetricsNamespace
metadata: {name: metrics, namespace: $tenant}
EOF
}

tenant_ready() { kubectl -n "$tenant" wait --for=condition=Ready mns/metrics --timeout=90s || explain; }

# What must not change while the operator is installed, upgraded and removed: the object, and the gateway's very pod.
tenant_state() {
  kubectl -n "$tenant" get mns,deployments,services,servicemonitors,configmaps,pods -l '!kubernetes.io/metadata.name' \
    -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{"\n"}{end}' | grep -v kube-root-ca.crt | sort
}

# left IN NAMESPACE: what is in it but what Kubernetes puts into every namespace, and but for events
left_in_namespace() {
  local kinds
  kinds=$(kubectl api-resources --verbs=list --namespaced -o name | grep -v -e '^events' | paste -sd,)
  kubectl -n "$namespace" get "$kinds" -o name --ignore-not-found 2>/dev/null |
    grep -v -e configmap/kube-root-ca.crt -e serviceaccount/default || true
}

left_in_cluster() {
  local kinds
  kinds=$(kubectl api-resources --verbs=list --namespaced=false -o name | grep -v -e componentstatuses | paste -sd,)
  kubectl get "$kinds" -l app.kubernetes.io/name=simplepipe -o name 2>/dev/null || true
}

gone() {
  local deadline=$((SECONDS + 60))
  until [[ -z $(left_in_namespace) ]]; do
    ((SECONDS < deadline)) || { left_in_namespace && return 1; }
    sleep 0.5
  done
}
