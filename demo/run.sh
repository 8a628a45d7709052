#!/usr/bin/env bash
# The main job before your eyes: a real Kubernetes API, a simulated OpenStack on loopback, and the controller
# as a real process with the rights of its own ServiceAccount. Leaves the sandbox running until Ctrl-C.
#   DEMO_EXIT=1               end by itself; status 0 only if everything converged
#   DEMO_KUBECONFIG=FILE      use this cluster instead of a fresh control plane (never taken from KUBECONFIG)
#   KUBEBUILDER_ASSETS=DIR    use these etcd and kube-apiserver instead of building them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$PWD/demo start=$SECONDS
run=$(mktemp -d "${TMPDIR:-/tmp}/evenkeel-demo.XXXXXX")
namespace=evenkeel-demo
pids=()

say() { printf '\033[1m[%3ds]\033[0m %s\n' $((SECONDS - start)) "$*"; }
fail() { say "FAILED: $*"; for log in "$run"/*.log; do printf -- '--- the end of %s\n' "$log"; tail -n 15 "$log"; done; exit 1; }

cleanup() {
  local status=$? pid
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [ -n "${DEMO_KUBECONFIG:-}" ]; then
    kube delete namespace "$namespace" --wait=false >/dev/null 2>&1 || true
  else
    tests/env/kubernetes/stop.sh "$run/kubernetes" >/dev/null 2>&1 || true
  fi
  rm -rf "$run"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

kube() { kubectl --kubeconfig "$admin" "$@"; }

step_build() {
  say "building the controller (a few minutes the first time)"
  cargo build --locked --features sim >"$run/build.log" 2>&1 || fail "the controller did not build"
  binary=${CARGO_TARGET_DIR:-target}/debug/evenkeel
}

step_cluster() {
  if [ -n "${DEMO_KUBECONFIG:-}" ]; then
    admin=$DEMO_KUBECONFIG
    command -v kubectl >/dev/null || fail "DEMO_KUBECONFIG needs kubectl on the PATH"
    say "using the cluster of $admin"
  else
    say "provisioning etcd, kube-apiserver, kube-controller-manager, kubectl (8 minutes the first time, then cached)"
    local bin
    bin=$(tests/env/kubernetes/provision.sh | tail -n 1)
    PATH=$bin:$PATH
    say "starting the control plane"
    tests/env/kubernetes/start.sh "$bin" "$run/kubernetes" >"$run/kubernetes.log" 2>&1 || fail "no control plane"
    admin=$run/kubernetes/kubeconfig
  fi
}

step_install() {
  say "installing the definitions and the rights of the controller's ServiceAccount"
  tests/env/kubernetes/install.sh "$admin" "$run/controller.kubeconfig"
  kube create namespace "$namespace" --dry-run=client -o yaml | kube apply -f - >/dev/null
}

step_cloud() {
  say "starting the simulated OpenStack"
  "$binary" sim openstack --listen 127.0.0.1:0 --name cloud --namespace "$namespace" >"$run/cloud.yaml" 2>"$run/cloud.log" &
  pids+=($!)
  for _ in $(seq 100); do grep -q '^kind: ProviderConfig' "$run/cloud.yaml" && break; sleep 0.1; done
  cloud=$(sed -n 's|^# simulated OpenStack: \(http://[^/]*\)/.*|\1|p' "$run/cloud.yaml")
  [ -n "$cloud" ] || fail "the simulator did not start"
  kube apply -f "$run/cloud.yaml" >/dev/null
}

step_controller() {
  say "starting the controller"
  KUBECONFIG=$run/controller.kubeconfig "$binary" run --allow-insecure-endpoints --admin-address 127.0.0.1:0 \
    --lease-namespace evenkeel-system >"$run/controller.log" 2>&1 &
  pids+=($!)
}

columns='NAME:.metadata.name,DESIRED:.status.power.desired,POWER:.status.power.observed,SIZE:.status.size,READY:.status.conditions[?(@.type=="Ready")].status,REASON:.status.conditions[?(@.type=="Ready")].reason,ADDRESS:.status.addresses[0].address'
last=
table() {
  local now
  now=$(kube -n "$namespace" get servers -o custom-columns="$columns" 2>/dev/null | sed 's/^/      /')
  [ "$now" = "$last" ] || { printf '%s\n' "$now"; last=$now; }
}

# until_true WHAT COMMAND...: shows the table as it changes until the command succeeds, for two minutes at most.
until_true() {
  local what=$1 limit=$((SECONDS + 120)); shift
  while ! "$@" >/dev/null 2>&1; do
    table
    ((SECONDS < limit)) || fail "not within two minutes: $what"
    for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || fail "a process ended before its time"; done
    sleep 0.5
  done
  table
  say "   $what: done"
}
# server NAME JSONPATH: one field of a server; is NAME JSONPATH VALUE: whether it has a value.
server() { kube -n "$namespace" get server "$1" -o "jsonpath=$2"; }
is() { [ "$(server "$1" "$2")" = "$3" ]; }
ready() { # every generation seen, Ready, and in this power state
  is "$1" '{.status.conditions[?(@.type=="Ready")].status}' True &&
    [ "$(server "$1" '{.status.observedGeneration}')" = "$(server "$1" '{.metadata.generation}')" ] &&
    is "$1" '{.status.power.observed}' "$2"
}
all_ready() { ready web-1 Running && ready web-2 Running && ready batch Stopped; }
put_back() { [ "$(kube -n "$namespace" get events.events.k8s.io -o jsonpath='{.items[*].reason}' | tr ' ' '\n' | grep -c DriftCorrected)" -gt 0 ] && ready web-1 Running; }
deleted() { ! kube -n "$namespace" get server batch; }
patch() { kube -n "$namespace" patch server "$1" --type merge -p "$2" >/dev/null; }

story() {
  say "create: two running servers, and one that is stopped on purpose"
  kube -n "$namespace" apply -f "$here/servers.yaml" >/dev/null
  until_true "all three are as declared" all_ready
  say "stop: web-2 is wished to be Stopped"
  patch web-2 '{"spec":{"powerState":"Stopped"}}'
  until_true "web-2 is stopped, and healthy" ready web-2 Stopped
  say "resize: web-1 is to be an m1.medium (resize.when: StopIfNeeded)"
  patch web-1 '{"spec":{"size":{"name":"m1.medium"}}}'
  until_true "web-1 is an m1.medium and runs" eval 'is web-1 "{.status.size}" m1.medium && ready web-1 Running'
  say "drift: somebody stops web-1 in the cloud"
  curl -fsS -X POST "$cloud/_sim/servers/web-1/stop" >/dev/null
  until_true "web-1 was put back" put_back
  say "delete: batch goes, and its cloud server before it"
  kube -n "$namespace" delete server batch --wait=false >/dev/null
  until_true "batch is gone" deleted
  say "everything converged"
}

step_build
step_cluster
step_install
step_cloud
step_controller
story
[ -z "${DEMO_EXIT:-}" ] || exit 0
cat <<END

The sandbox stays until Ctrl-C. In another terminal:

  export KUBECONFIG=$admin PATH=$(dirname "$(command -v kubectl)"):\$PATH
  kubectl -n $namespace get servers -w
  kubectl -n $namespace edit server web-1
  curl -s $cloud/_sim/state                            # what the cloud has
  curl -s -X POST $cloud/_sim/servers/web-1/pause      # meddle from outside

The controller's log: $run/controller.log
END
while :; do
  for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || fail "a process ended before its time"; done
  sleep 1
done
