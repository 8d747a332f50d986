# shellcheck shell=bash
# shellcheck disable=SC2154 # settings.sh has the variables
# The files that the node's programs read.

write_config() {
  mkdir -p "$run" "$logs" "$data" "$etc/cni"
  chmod 700 "$node"
  write_containerd_config
  write_cni_config
  write_kubelet_config
  [[ -d $pki ]] || write_credentials
}

write_containerd_config() {
  cat >"$etc/containerd.toml" <<EOF
version = 2
root = "$data/containerd"
state = "$run/containerd"

[grpc]
  address = "$socket"

[plugins."io.containerd.internal.v1.opt"]
  path = "$data/opt"

[plugins."io.containerd.grpc.v1.cri"]
  # In a sandbox root may lack the right to lower a process's out-of-memory score.
  restrict_oom_score_adj = true
  # Else they would lie in /run/netns between others'.
  netns_mounts_under_state_dir = true
  sandbox_image = "$pause_image"
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$etc/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "$run/runc"
      SystemdCgroup = false
EOF
}

write_cni_config() {
  cat >"$etc/cni/10-bridge.conflist" <<EOF
{
  "cniVersion": "0.4.0",
  "name": "$network",
  "plugins": [
    {
      "type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "dataDir": "$run/addresses",
        "ranges": [[{"subnet": "$pod_range", "rangeStart": "${pod_range%.*}.10", "gateway": "$address"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
EOF
}

write_kubelet_config() {
  cat >"$etc/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
healthzBindAddress: 127.0.0.1
containerRuntimeEndpoint: unix://$socket
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
# Both are fine for a node that lives for a test.
failCgroupV1: false
failSwapOn: false
clusterDNS: [$dns_address]
clusterDomain: cluster.local
enforceNodeAllocatable: [pods]
# No eviction for a full disk, no collection of images: what was imported can't be pulled again.
evictionHard: {memory.available: 100Mi}
imageGCHighThresholdPercent: 100
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
podLogsDir: $data/pod-logs
volumePluginDir: $data/volume-plugins
# Shorter than usual, so that tests see a change soon.
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
EOF
}

write_credentials() (
  set -e
  server=https://$address:6443
  rm -rf "$pki.new"
  mkdir -p "$pki.new"
  cd "$pki.new" || exit
  umask 077
  make_authority
  issue apiserver /CN=kube-apiserver extendedKeyUsage=serverAuth \
    "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:${service_range%.*}.1,IP:$address"
  issue kubelet "/O=system:nodes/CN=system:node:$name" extendedKeyUsage=serverAuth "subjectAltName=DNS:$name,IP:$address"
  issue kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
  make_service_account_key
  make_user admin admin system:masters "$server"
  make_user controller-manager system:kube-controller-manager "" "$server"
  make_user scheduler system:kube-scheduler "" "$server"
  make_user kubelet "system:node:$name" system:nodes "$server"
  make_user proxy system:kube-proxy "" "$server"
  mv "$pki.new" "$pki"
)
