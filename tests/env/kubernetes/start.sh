#!/usr/bin/env bash
# start.sh BIN RUN: etcd, kube-apiserver and kube-controller-manager on free
# loopback ports; returns when they serve and leaves RUN/kubeconfig (a member
# of system:masters). Run again on the same RUN it starts what is not running,
# with the same data, ports and credentials.
#   PORT=20000        the first of three ports (default: free ones are looked for)
#   AUDIT_LOG=FILE    one JSON line per request, level Metadata
#   APISERVER_FLAGS, CONTROLLER_MANAGER_FLAGS   more flags, split at blanks
set -euo pipefail
ME=kubernetes; HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../lib.sh"
[ $# = 2 ] || { echo "usage: start.sh BIN RUN" >&2; exit 2; }
command -v openssl >/dev/null || unavailable "openssl is missing"
BIN=$(cd "$1" && pwd); mkdir -p "$2"; RUN=$(cd "$2" && pwd)
PIDS="$RUN/pids"; LOGS="$RUN"; T=$SECONDS
umask 077; mkdir -p "$PIDS" "$RUN/pki"
[ -z "${AUDIT_LOG:-}" ] || case $AUDIT_LOG in /*) ;; *) AUDIT_LOG="$PWD/$AUDIT_LOG" ;; esac
cd "$RUN"
lock "$RUN/lock"

free() { ! tcp "$1" && ! tcp "$(($1 + 1))" && ! tcp "$(($1 + 2))"; }
# The claim is a lock on a file per port, inherited by etcd: parallel starts
# never choose the same one, and it ends with the process, however that ends.
claim() { mkdir -p "$CACHE/ports" && exec 8>"$CACHE/ports/$1" && flock -n 8; }
choose_port() {
  local i p
  for ((i = 0; i < 500; i++)); do
    p=$((20000 + RANDOM % 1000 * 10))
    if claim $p && free $p; then echo $p > port; return 0; fi
  done
  say "no three free ports between 20000 and 29999"; return 1
}
if alive etcd || alive apiserver; then p=$(cat port)
elif [ -n "${PORT:-}" ]; then
  if ! claim "$PORT" || ! free "$PORT"; then say "port $PORT, or one of the two after it, is in use"; exit 1; fi
  echo "$PORT" > port
elif [ -s port ] && claim "$(cat port)" && free "$(cat port)"; then :
else choose_port; fi
p=$(cat port); etcd=http://127.0.0.1:$((p + 1))

if [ ! -e pki/complete ]; then
  ec() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
  { ec pki/ca.key; ec pki/server.key; openssl genrsa -out pki/sa.key 2048
    openssl req -x509 -new -key pki/ca.key -days 3650 -subj /CN=test-ca -out pki/ca.crt \
      -addext keyUsage=critical,keyCertSign,digitalSignature
    openssl req -new -key pki/server.key -subj /CN=kube-apiserver -out pki/server.csr
    openssl x509 -req -in pki/server.csr -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -days 3650 -out pki/server.crt \
      -extfile <(printf 'subjectAltName=IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\nextendedKeyUsage=serverAuth\n')
  } >openssl.log 2>&1 || { say "openssl failed, see $RUN/openssl.log"; exit 1; }
  echo "$(openssl rand -hex 16),admin,admin,system:masters" > tokens.csv
  touch pki/complete
fi
cat > kubeconfig.new <<END
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$p", certificate-authority-data: $(base64 -w0 < pki/ca.crt)}}]
users: [{name: admin, user: {token: $(cut -d, -f1 tokens.csv)}}]
contexts: [{name: test, context: {cluster: test, user: admin, namespace: default}}]
current-context: test
END
mv kubeconfig.new kubeconfig

failed() { # show why, and leave nothing behind
  local n="$1"; say "$n ended or does not answer, the end of $RUN/$n.log:"; tail -n 15 "$RUN/$n.log" >&2
  stop 2 controller-manager apiserver; stop 2 etcd; exit 1
}
trap 'say interrupted; stop 2 controller-manager apiserver; stop 2 etcd; exit 130' INT TERM HUP
await() { # await SECONDS NAME COMMAND...: as long as NAME lives
  local until=$((SECONDS + $1)) n="$2"; shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= until)) || ! alive "$n"; then failed "$n"; fi
    sleep 0.1
  done
}
kubectl() { "$BIN/kubectl" --kubeconfig kubeconfig --request-timeout=5s "$@"; }

# Nothing here is to survive a crash of the machine: no fsync.
spawn etcd "$BIN/etcd" --data-dir data --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
  --listen-peer-urls "http://127.0.0.1:$((p + 2))" --initial-advertise-peer-urls "http://127.0.0.1:$((p + 2))" \
  --initial-cluster "default=http://127.0.0.1:$((p + 2))" --unsafe-no-fsync --log-level error
exec 8>&-
await 60 etcd tcp $((p + 1))

extra=()
if [ -n "${AUDIT_LOG:-}" ]; then
  printf '%s\n' 'apiVersion: audit.k8s.io/v1' 'kind: Policy' 'omitStages: [RequestReceived]' 'rules: [{level: Metadata}]' > audit-policy.yaml
  extra=(--audit-policy-file audit-policy.yaml --audit-log-path "$AUDIT_LOG" --audit-log-maxsize 4096)
fi
# shellcheck disable=SC2086
spawn apiserver "$BIN/kube-apiserver" --etcd-servers "$etcd" --bind-address 127.0.0.1 --external-hostname localhost --secure-port "$p" \
  --tls-cert-file pki/server.crt --tls-private-key-file pki/server.key --cert-dir pki \
  --service-cluster-ip-range 10.0.0.0/24 --service-account-issuer https://kubernetes.default.svc \
  --service-account-key-file pki/sa.key --service-account-signing-key-file pki/sa.key \
  --authorization-mode RBAC --token-auth-file tokens.csv --allow-privileged=true "${extra[@]}" ${APISERVER_FLAGS:-}
await 60 apiserver tcp "$p"
# No kubelet and no scheduler: what is stored is validated, but nothing runs it.
# shellcheck disable=SC2086
spawn controller-manager "$BIN/kube-controller-manager" --kubeconfig kubeconfig --leader-elect=false --secure-port 0 \
  --controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller \
  --service-account-private-key-file pki/sa.key --root-ca-file pki/ca.crt --use-service-account-credentials=false \
  --kube-api-qps 200 --kube-api-burst 400 ${CONTROLLER_MANAGER_FLAGS:-}
await 120 apiserver kubectl get --raw /readyz
# The account comes from the controller manager, so that this waits for it too.
await 120 controller-manager kubectl get serviceaccount default
say "up in $(elapsed "$T"): export KUBECONFIG=$RUN/kubeconfig"
