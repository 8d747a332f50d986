# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the other files here
# The built-in node's names and numbers.
node=$SIMPLEPIPE_CACHE/node
run=$node/run       # pid files, sockets, containerd's state
logs=$node/logs     # one file a program
data=$node/data     # etcd, images, volumes
etc=$node/etc       # configuration files
pki=$node/pki       # keys, certificates, tokens
before=$node/before # what the host was like

# A name of our own for each thing outside that folder, so that down can tell ours from others'.
bridge=simplepipe0
network=simplepipe
cgroup=simplepipe

address=10.244.0.1 # of the bridge: the node's and the API server's
pod_range=10.244.0.0/24
service_range=10.96.0.0/16
dns_address=10.96.0.10
name=node
socket=$run/containerd.sock
