# shellcheck shell=bash
# Keys, certificates and kubeconfigs of a cluster, in the current folder. Elliptic curves: made in milliseconds.

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

make_authority() {
  openssl req -x509 "${new_key[@]}" -keyout ca.key -out ca.crt -days 3650 -subj "/CN=simplepipe" \
    -addext "keyUsage=critical,keyCertSign,digitalSignature" 2>/dev/null
}

# issue NAME SUBJECT EXTENSION...
issue() {
  local name=$1 subject=$2 extension extensions=()
  shift 2
  for extension; do extensions+=(-addext "$extension"); done
  openssl req -x509 -CA ca.crt -CAkey ca.key "${new_key[@]}" -keyout "$name.key" -out "$name.crt" -days 3650 \
    -subj "$subject" -addext "basicConstraints=critical,CA:FALSE" "${extensions[@]}" 2>/dev/null
}

make_service_account_key() {
  openssl ecparam -name prime256v1 -genkey -noout -out sa.key
  openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
}

# Users log in by token. make_user NAME USER GROUP SERVER: a line of tokens.csv and NAME.kubeconfig
make_user() {
  local name=$1 user=$2 group=$3 server=$4 token
  token=$(openssl rand -hex 16)
  echo "$token,$user,$name,\"$group\"" >>tokens.csv
  cat >"$name.kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: simplepipe
  cluster: {server: "$server", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: $name
  user: {token: $token}
contexts:
- name: simplepipe
  context: {cluster: simplepipe, user: $name}
current-context: simplepipe
EOF
}
