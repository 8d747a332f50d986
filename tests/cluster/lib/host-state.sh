# shellcheck shell=bash
# shellcheck disable=SC2154 # $here is the caller's
# What the host looks like to somebody who wonders what a node has left behind.
source "$here/lib/node/settings.sh"
source "$here/lib/node/host.sh"

host_state() {
  echo "# processes"
  ps -eo stat=,comm=,args= | awk '$1 !~ /^Z/ && $2 ~ /^(kube|etcd|containerd|runc|pause|coredns)/' |
    grep -E "$node/|containerd|pause|coredns" | sort || true
  echo "# mounts"
  cut -d' ' -f1-3 /proc/mounts | sort
  echo "# network"
  ip netns list | sort
  ip -o link | cut -d: -f2 | sort
  ip -o -4 address | awk '{ print $2, $4 }' | sort
  rules iptables-save
  rules ip6tables-save
  echo "# settings"
  sysctl -e "${settings[@]}" 2>/dev/null
  sysctl -a 2>/dev/null | grep -E '^net\.ipv4\.conf\.(all|default)\.|^net\.ipv6\.conf\.(all|default)\.'
  echo "# cgroups"
  find /sys/fs/cgroup -maxdepth 2 -type d | sort
  echo "# files"
  find /etc /opt /run /usr/libexec /usr/lib/cni /var/lib /var/log -xdev -maxdepth 3 \
    -not -path '/var/lib/apt/*' -not -path '/var/lib/dpkg/*' -not -path '/run/user/*' | sort
  find "$SIMPLEPIPE_CACHE" -maxdepth 1 -name 'node*'
}

# Without counters, dates, and tables that are empty: the kernel keeps a table once it was looked at.
rules() {
  "$1" | sed -E 's/\[[0-9]+:[0-9]+\]//; /^#/d' | awk '
    /^\*/ { table = $0; next }
    /^COMMIT/ { next }
    /^:/ && $2 != "-" && $2 == "ACCEPT" { next }
    { print table, $0 }' | sort
}
