# shellcheck shell=bash
# shellcheck disable=SC2154 # packaging.sh has the variables
# A Kubernetes API of the test's own, with prometheus-operator's CRDs, that ends with the test.

# start_api OPTION...: options of control-plane up
start_api() {
  KUBECONFIG=$("$cluster/control-plane" up --owner-pid $$ "$@" "$work/control-plane")
  export KUBECONFIG
  trap 'end_api' EXIT
  step "applying prometheus-operator's CRDs" apply_prometheus_operator_crds
  kubectl create namespace "$namespace"
}

end_api() {
  "$cluster/control-plane" down "$work/control-plane"
  rm -rf "$work"
}

apply_prometheus_operator_crds() {
  local folder kind
  folder=$("$cluster/tools" --source prometheus-operator)/example/prometheus-operator-crd
  for kind in servicemonitors podmonitors prometheuses prometheusagents; do
    kubectl apply --server-side -f "$folder/monitoring.coreos.com_$kind.yaml"
  done
  wait_for_crds {servicemonitors,podmonitors,prometheuses,prometheusagents}.monitoring.coreos.com
}

# Not by `kubectl wait` alone: it gives up on an object that has no conditions yet.
wait_for_crds() {
  local name deadline=$((SECONDS + 60))
  for name; do
    until kubectl wait --for=condition=Established "crd/$name" --timeout=10s 2>/dev/null; do
      ((SECONDS < deadline)) || fail "the CRD $name is not established"
      sleep 0.2
    done
  done
}
