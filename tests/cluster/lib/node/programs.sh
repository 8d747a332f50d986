# shellcheck shell=bash
# shellcheck disable=SC2154 # settings.sh has the variables
# How each program of the node is started and how one sees that it works.

kubectl() { command kubectl --kubeconfig "$pki/admin.kubeconfig" "$@"; }
images() { ctr --address "$socket" --namespace k8s.io images "$@"; }

start_containerd() {
  start containerd containerd --config "$etc/containerd.toml"
  wait_healthy containerd 30 ctr --address "$socket" version
}

# On sockets: no port to fight for. Relative, because a socket's path may not be longer than 107 bytes.
start_etcd() {
  cd "$run" || return
  start etcd etcd --name "$name" --data-dir "$data/etcd" --log-level warn --unsafe-no-fsync \
    --listen-client-urls unix://etcd.sock --advertise-client-urls unix://etcd.sock \
    --listen-peer-urls unix://peer.sock --initial-advertise-peer-urls unix://peer.sock \
    --initial-cluster "$name=unix://peer.sock"
  wait_healthy etcd 30 test -S etcd.sock
}

start_apiserver() {
  cd "$run" || return
  start kube-apiserver kube-apiserver --etcd-servers=unix://etcd.sock \
    --bind-address="$address" --advertise-address="$address" --secure-port=6443 \
    --service-cluster-ip-range="$service_range" --allow-privileged=true \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --token-auth-file="$pki/tokens.csv" --client-ca-file="$pki/ca.crt" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP
  wait_healthy kube-apiserver 60 kubectl get --raw /readyz
}

start_controllers() {
  start_with_kubeconfig kube-controller-manager controller-manager --use-service-account-credentials=true \
    --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
  start_with_kubeconfig kube-scheduler scheduler
  wait_healthy kube-controller-manager 60 curl -fsk https://127.0.0.1:10257/healthz
  wait_healthy kube-scheduler 60 curl -fsk https://127.0.0.1:10259/healthz
}

start_with_kubeconfig() {
  local program=$1 kubeconfig=$pki/$2.kubeconfig
  shift 2
  start "$program" "$program" --bind-address=127.0.0.1 --leader-elect=false --kubeconfig="$kubeconfig" \
    --authentication-kubeconfig="$kubeconfig" --authorization-kubeconfig="$kubeconfig" "$@"
}

start_kubelet() {
  start kubelet kubelet --config="$etc/kubelet.yaml" --kubeconfig="$pki/kubelet.kubeconfig" \
    --hostname-override="$name" --node-ip="$address" --root-dir="$data/kubelet" --cert-dir="$data/kubelet/pki"
  wait_healthy kubelet 60 curl -fs http://127.0.0.1:10248/healthz
  wait_healthy kubelet 60 kubectl wait --for=condition=Ready "node/$name" --timeout=5s
}

# Zero leaves the kernel's connection tracking limits as they are, which a sandbox's root may not change.
start_proxy() {
  start kube-proxy kube-proxy --kubeconfig="$pki/proxy.kubeconfig" --hostname-override="$name" \
    --proxy-mode=iptables --cluster-cidr="$pod_range" --bind-address="$address" \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s \
    --metrics-bind-address=127.0.0.1:10249 --healthz-bind-address=127.0.0.1:10256
  wait_healthy kube-proxy 60 curl -fs http://127.0.0.1:10256/healthz
}

# Asked through its Service, so that kube-proxy, the pod network and the image are seen to work together.
start_dns() {
  sed "s#\(coredns/coredns:\).*#\1$("$here/tools" --version coredns)#" "$here/manifests/coredns.yaml" |
    kubectl apply --server-side --force-conflicts -f -
  wait_until "CoreDNS answers" 120 bash -c "exec 3<>/dev/tcp/$dns_address/53" || {
    kubectl -n kube-system get pods,events
    return 1
  }
  kubectl -n kube-system rollout status deployment/coredns --timeout=60s
}
