# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # the caller sets $here and reads the rest
# What up and down share. The caller has set $here.
root=$(cd "$here/../.." && pwd)
cluster=$root/tests/cluster
# shellcheck source=../cluster/lib/cache.sh
source "$cluster/lib/cache.sh"
# shellcheck source=../cluster/lib/progress.sh
source "$cluster/lib/progress.sh"
namespace=simplepipe-system
# On the namespaces that the demo makes, so that it takes no other away.
demo_label=app.kubernetes.io/part-of=simplepipe-demo
tenants=(alice bob)
jobs=(train evaluate)

use_cluster() {
  KUBECONFIG=$("$cluster/cluster" kubeconfig)
  export KUBECONFIG
}
