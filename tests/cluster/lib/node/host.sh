# shellcheck shell=bash
# shellcheck disable=SC2154 # settings.sh has the variables
# What the node changes on the host outside of its folder, and how that is undone.

# Kernel settings that kubelet, kube-proxy, the CNI plugins or this file change. Setting ip_forward resets others:
# it comes first.
settings=(
  net.ipv4.ip_forward
  net.ipv4.conf.all.route_localnet
  net.bridge.bridge-nf-call-iptables
  net.bridge.bridge-nf-call-ip6tables
  net.netfilter.nf_conntrack_max
  net.netfilter.nf_conntrack_tcp_be_liberal
  net.netfilter.nf_conntrack_tcp_timeout_established
  net.netfilter.nf_conntrack_tcp_timeout_close_wait
  vm.overcommit_memory
  vm.panic_on_oom
  kernel.panic
  kernel.panic_on_oops
  kernel.keys.root_maxkeys
  kernel.keys.root_maxbytes
)

# Folders that Kubernetes' programs make at fixed places.
fixed_folders=(
  /run/containerd /opt/containerd
  /var/lib/cni /var/lib/kubelet /var/log/containers /var/log/pods
  /usr/libexec/kubernetes /var/run/kubernetes
)

# Only the first time: after a crash the host already is as the node made it.
remember_host() {
  [[ ! -d $before ]] || return 0
  rm -rf "$before.new"
  mkdir -p "$before.new"
  local folder
  for folder in "${fixed_folders[@]}"; do
    [[ -e $folder ]] || echo "$folder"
  done >"$before.new/absent"
  modprobe -aq br_netfilter overlay 2>/dev/null || true # built in where this fails, else the steps below say so
  sysctl -e "${settings[@]}" >"$before.new/settings" 2>/dev/null
  mv "$before.new" "$before"
}

prepare_host() {
  ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
  ip addr replace "$address/${pod_range#*/}" dev "$bridge"
  ip link set "$bridge" up
  sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
  local root
  for root in $(cgroup_roots); do mkdir -p "$root/$cgroup"; done
}

# Version 1 has a tree for each controller, version 2 one for all.
cgroup_roots() {
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    echo /sys/fs/cgroup
  else
    find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d
  fi
}

restore_host() {
  kill_containers
  unmount_all
  ! ip link show "$bridge" >/dev/null 2>&1 || ip link del "$bridge"
  remove_rules iptables
  remove_rules ip6tables
  remove_cgroups
  remove_fixed_files
  restore_settings
}

# Containers and their shims outlive a killed containerd. Ours: in our cgroup, or started for our socket or folder.
kill_containers() { wait_until "the containers' processes end" 20 no_process_left; }

no_process_left() {
  local pids
  pids=$(container_processes)
  [[ -n $pids ]] || return 0
  # shellcheck disable=SC2086 # a list
  kill -KILL $pids 2>/dev/null
  return 1
}

container_processes() {
  local root
  for root in $(cgroup_roots); do
    [[ ! -d $root/$cgroup ]] || find "$root/$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null
  done | sort -u
  pgrep -f "^[^ ]*(containerd-shim|runc)[^ ]* .*$run/" || true
}

unmount_all() {
  local mountpoint
  while read -r mountpoint; do
    umount "$mountpoint" 2>/dev/null || umount -l "$mountpoint"
  done < <(awk '{ print $2 }' /proc/mounts | while read -r escaped; do printf '%b\n' "$escaped"; done |
    grep -F "$node/" | sort -r)
}

# kube-proxy, kubelet and the CNI plugins keep their rules in chains of their own, reached by jumps from others. One
# restore with --noflush takes exactly those away and leaves the rest, counters included, as it is.
remove_rules() {
  local table rules
  for table in mangle nat filter; do
    rules=$("$1" -t "$table" -S 2>/dev/null | awk -v table="$table" '
      /^-N (KUBE|CNI)-/ { ours[$2] = 1; next }
      /^-A / && $2 !~ /^(KUBE|CNI)-/ && / -j (KUBE|CNI)-/ { sub(/^-A/, "-D"); jumps = jumps $0 "\n" }
      END {
        print "*" table
        for (chain in ours) print "-F " chain
        printf "%s", jumps
        for (chain in ours) print "-X " chain
        print "COMMIT"
      }')
    [[ $rules != *" "* ]] || "$1"-restore --noflush <<<"$rules"
  done
}

remove_cgroups() {
  local root
  for root in $(cgroup_roots); do
    [[ ! -d $root/$cgroup ]] || find "$root/$cgroup" -depth -type d -exec rmdir {} +
  done
}

remove_fixed_files() {
  local folder
  # Each shim's socket lies outside; its bundle tells where.
  find "$run/containerd" -name address -exec cat {} \; -exec echo \; 2>/dev/null | sed -n 's#^unix://##p' | xargs -r rm -f
  rm -f "/var/lib/cni/results/$network-"*
  find /var/log/containers -type l -lname "$data/*" -delete 2>/dev/null || true
  [[ -f $before/absent ]] || return 0
  while read -r folder; do rm -rf --one-file-system "$folder"; done <"$before/absent"
}

restore_settings() {
  [[ ! -f $before/settings ]] || sysctl -q -e -p "$before/settings"
}
