# shellcheck shell=bash
# shellcheck disable=SC2154 # $run and $logs are the caller's
# Long-running programs, known by pid files. The caller sets the folders $run (pid files, sockets) and $logs, and
# holds its lock, if any, as file descriptor 9: programs that are started don't inherit it.
# A pid file holds the pid and the start time: after a crash the number alone may name somebody else.

start_time() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  # Behind the program's name, which may hold anything, the start time is the 20th field.
  read -ra stat <<<"${stat##*) }"
  # A zombie has ended, whenever its parent takes note.
  [[ ${stat[0]} != Z ]] || return 1
  echo "${stat[19]}"
}

alive() {
  local pid started
  { read -r pid started <"$run/$1.pid"; } 2>/dev/null || return 1
  [[ -n $started && $(start_time "$pid") == "$started" ]]
}

pid_of() { alive "$1" && cut -d' ' -f1 "$run/$1.pid"; }

# start NAME COMMAND...: in a session of its own, if it isn't alive already. The new process writes its own pid file
# before it becomes COMMAND, so that a killed caller leaves nothing that isn't on record.
start() {
  local name=$1
  shift
  ! alive "$name" || return 0
  rm -f "$run/$name.pid"
  # shellcheck disable=SC2016 # for the inner shell
  setsid bash -c "$(declare -f start_time)"'
    file=$1
    shift
    echo "$$ $(start_time $$)" >"$file.new" && mv "$file.new" "$file" && exec "$@"
  ' "$name" "$run/$name.pid" "$@" >"$logs/$name.log" 2>&1 </dev/null 9>&- &
  wait_until "$name starts" 10 started_or_dead "$name" $!
}

started_or_dead() { [[ -s $run/$1.pid ]] || ! kill -0 "$2" 2>/dev/null; }

# stop NAME...: asks all, then makes sure of each.
stop() {
  local name
  for name; do signal TERM "$name"; done
  for name; do wait_until "$name ends" 10 not alive "$name" 2>/dev/null || true; done
  stop_at_once "$@"
}

# For programs whose data is thrown away with them.
stop_at_once() {
  local name
  for name; do signal KILL "$name"; done
  for name; do
    wait_until "$name ends" 10 not alive "$name"
    rm -f "$run/$name.pid"
  done
}

signal() {
  local pid
  pid=$(pid_of "$2") || return 0
  kill -s "$1" "$pid" 2>/dev/null || true
}

not() { ! "$@"; }

# wait_until WHAT SECONDS COMMAND...
wait_until() {
  local what=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > deadline)); then
      echo "gave up waiting: $what" >&2
      return 1
    fi
    sleep 0.05
  done
}

# wait_healthy NAME SECONDS COMMAND...: as wait_until, but ends at once when the program of that name has died.
wait_healthy() {
  local name=$1 seconds=$2
  shift 2
  # shellcheck disable=SC2317 # called by wait_until
  healthy_or_dead() { "$@" || not alive "$name"; }
  if ! wait_until "$name is healthy" "$seconds" healthy_or_dead "$@" || not alive "$name"; then
    echo "$name does not come up; the end of its log, $logs/$name.log:" >&2
    tail -n 15 "$logs/$name.log" >&2
    return 1
  fi
}
