# shellcheck shell=bash
# For the tests in test.d, which are programs that end with 0 when all is well.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
cluster=$root/tests/cluster
chart=$root/charts/simplepipe
namespace=simplepipe-system
# shellcheck source=../../cluster/lib/cache.sh
source "$cluster/lib/cache.sh"
# shellcheck source=../../cluster/lib/progress.sh
source "$cluster/lib/progress.sh"
"$cluster/packages" jq
PATH=$("$cluster/tools" kube helm):$PATH
# Nobody's cluster by accident.
export KUBECONFIG=/dev/null
work=$(mktemp -d "${TMPDIR:-/tmp}/simplepipe-test.XXXXXX")
trap 'rm -rf "$work"' EXIT

# expect WHAT COMMAND...
expect() {
  local what=$1
  shift
  "$@" || fail "not so: $what"
  echo "so: $what"
}

# refuse WHAT COMMAND...: fails, and says WHY on the way
refuse() {
  local what=$1 why=$2 said
  shift 2
  if said=$("$@" 2>&1); then fail "accepted: $what"; fi
  [[ $said == *"$why"* ]] || fail "refused, but not for '$why': $what"$'\n'"$said"
  echo "refused, as it should be: $what"
}

same() { diff -u "$1" "$2"; }

# render OPTION...: the chart as the test's cluster would get it; what only `helm test` makes is left out
render() { helm template simplepipe "$chart" --namespace "$namespace" --skip-tests "$@"; }

# objects < YAML: one JSON object a line, sorted. kubectl reads the YAML; --local asks no server.
objects() {
  kubectl label --local --overwrite -f - -o json packaging-test- 2>/dev/null |
    jq -cS 'if .kind == "List" then .items[] else . end' | LC_ALL=C sort
}

overlays() { (cd "$root/config/overlays" && printf '%s\n' *); }
