# shellcheck shell=bash
# shellcheck disable=SC2154 # $here is the caller's
# For the tests in test.d, which are programs that end with 0 when all is well.
source "$here/lib/cache.sh"
source "$here/lib/progress.sh"
source "$here/lib/process.sh"
PATH=$("$here/tools" kube etcd):$PATH

# expect WHAT COMMAND...
expect() {
  local what=$1
  shift
  "$@" || fail "not so: $what"
  echo "so: $what"
}

same() { diff <(echo "$1") <(echo "$2"); }

# scratch: a folder that goes when the test ends. Short, and its own.
scratch() { mktemp -d "${TMPDIR:-/tmp}/simplepipe-test.XXXXXX"; }
