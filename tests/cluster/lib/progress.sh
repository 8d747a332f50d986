# shellcheck shell=bash
# What people see while they wait. All of it goes to stderr: stdout is for results.

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

# step WHAT COMMAND...: runs COMMAND with its output put aside. Beyond two seconds it says what goes on and for how
# long, and on failure the end of the output. Don't call it in an `if` or before `||`: bash would then go on after a
# failed line inside COMMAND.
step() {
  # What runs in here sees these names in place of its own.
  local what=$1 file log ticker status step_started=$SECONDS owner=$BASHPID
  shift
  # Without a name from the start, so that a killed step leaves no file.
  file=$(mktemp)
  exec {log}>"$file"
  rm "$file"
  tick "$what" "$owner" 9>&- {log}>&- & # 9: the caller's lock, see process.sh
  ticker=$!
  set +e
  (
    set -e
    "$@"
  ) >&"$log" 2>&1 {log}>&-
  status=$?
  set -e
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  local took=$((SECONDS - step_started))
  if ((status != 0)); then
    say "$(line_start)failed after $took s: $what"
    tail -n 20 "/proc/$BASHPID/fd/$log" | sed 's/^/  | /' >&2
  elif ((took >= 2)); then
    say "$(line_start)done in $took s: $what"
  fi
  exec {log}>&-
  return "$status"
}

# On a terminal one line is rewritten each second; elsewhere (CI) a line every 15 s, the first after two seconds.
tick() {
  local what=$1 owner=$2 started=$SECONDS every=15 next=2 self=$BASHPID elapsed never
  [[ -t 2 ]] && every=1
  # A read that never gets anything sleeps without a process that could outlive us and keep our stderr open.
  exec {never}<> <(:)
  # Until somebody else is the parent: the owner was killed.
  while [[ $(ps -o ppid= -p "$self") -eq $owner ]]; do
    read -rt 1 -u "$never" || true
    elapsed=$((SECONDS - started))
    ((elapsed >= next)) || continue
    next=$((elapsed + every))
    if [[ -t 2 ]]; then
      printf '\r\e[K%s (%d s)' "$what" "$elapsed" >&2
    else
      say "$what ($elapsed s)"
    fi
  done
}

line_start() { if [[ -t 2 ]]; then printf '\r\e[K'; fi; }
