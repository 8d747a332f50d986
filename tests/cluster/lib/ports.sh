# shellcheck shell=bash
# shellcheck disable=SC2154 # $logs is the caller's
# Ports below the range that the kernel hands out to outgoing connections, so that only a listener can be in the way.
first_port=20000 ports=12000

free_port() {
  local port
  while :; do
    port=$((first_port + RANDOM % ports))
    # Nobody listens there as far as this can see; on_free_port deals with the race that is left.
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# on_free_port PROGRAM COMMAND...: runs COMMAND PORT, with another port when PROGRAM died of somebody else's being there.
on_free_port() {
  local program=$1 try
  shift
  for try in 1 2 3 4 5; do
    ! "$@" "$(free_port)" || return 0
    grep -q "address already in use" "$logs/$program.log" || return 1
    stop_at_once "$program"
    echo "port taken, try $try"
  done
  return 1
}
