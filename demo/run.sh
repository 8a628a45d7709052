#!/usr/bin/env bash
# The main job before your eyes: a real Kubernetes API, a simulated OpenStack, UpCloud and CloudDC on loopback, and the
# controller as a real process with the rights of its own ServiceAccount. Leaves the sandbox running until Ctrl-C.
#   DEMO_EXIT=1               end by itself; status 0 only if everything converged, on all three clouds
#   DEMO_KUBECONFIG=FILE      use this cluster instead of a fresh control plane (never taken from KUBECONFIG)
#   KUBEBUILDER_ASSETS=DIR    use these etcd and kube-apiserver instead of building them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$PWD/demo start=$SECONDS
run=$(mktemp -d "${TMPDIR:-/tmp}/evenkeel-demo.XXXXXX")
namespace=evenkeel-demo
pids=() # what has to run to the end
controller='' # the controller's process

say() { printf '\033[1m[%3ds]\033[0m %s\n' $((SECONDS - start)) "$*"; }
fail() { say "FAILED: $*"; for log in "$run"/*.log; do printf -- '--- the end of %s\n' "$log"; tail -n 15 "$log"; done; exit 1; }

cleanup() {
  local status=$? pid
  trap - EXIT INT TERM
  [ -z "$controller" ] || pids+=("$controller")
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

# start_cloud NAME ARGUMENTS...: a simulator, which prints the Secret and the ProviderConfig that open it.
declare -A address
start_cloud() {
  local name=$1 manifests=$run/$1.yaml; shift
  "$binary" sim "$name" --listen 127.0.0.1:0 --name "$name" --namespace "$namespace" "$@" >"$manifests" 2>"$run/$name.log" &
  pids+=($!)
  for _ in $(seq 100); do grep -q '^kind: ProviderConfig' "$manifests" && break; sleep 0.1; done
  address[$name]=$(sed -n 's|^# simulated [^:]*: \(http://[^/]*\)/.*|\1|p' "$manifests")
  [ -n "${address[$name]}" ] || fail "the simulator of $name did not start"
  kube apply -f "$manifests" >/dev/null
}

step_clouds() {
  say "starting the simulated clouds: OpenStack, UpCloud, CloudDC"
  start_cloud openstack
  start_cloud upcloud --create-ms 4000
  start_cloud clouddc --install-ms 6000
}

step_controller() {
  say "starting the controller"
  KUBECONFIG=$run/controller.kubeconfig "$binary" run --allow-insecure-endpoints --admin-address 127.0.0.1:0 \
    --lease-namespace evenkeel-system >>"$run/controller.log" 2>&1 &
  controller=$!
}

columns='N:.metadata.name,C:.spec.providerConfigRef.name,D:.status.power.desired,P:.status.power.observed,S:.status.size,R:.status.conditions[?(@.type=="Ready")].status,W:.status.conditions[?(@.type=="Ready")].reason,A:.status.addresses[0].address,G:.metadata.generation,O:.status.observedGeneration'
now='' # the last look at the servers: a line for each, with these columns; empty if the look failed
look() { now=$(kube -n "$namespace" get servers --no-headers --request-timeout=10s -o custom-columns="$columns" 2>/dev/null) || now=''; }

line='      %-9s %-10s %-8s %-13s %-10s %-6s %-22s %s\n'
header() { # shellcheck disable=SC2059
  printf "$line" NAME PROVIDER DESIRED POWER SIZE READY REASON ADDRESS
}
shown=
show() { # the lines that differ from those shown before
  local rows
  rows=$(awk -v line="$line" 'NF { gsub("<none>", "-"); printf line, $1, $2, $3, $4, $5, $6, $7, $8 }' <<<"$now")
  grep -vxF -f <(printf '%s\n' "${shown:--}") <<<"$rows" | sed '/^$/d' || true
  shown=$rows
}

# until_true WHAT COMMAND...: shows the table as it changes until the command succeeds, for three minutes at most.
until_true() {
  local what=$1 limit=$((SECONDS + 180)); shift
  header
  while look; show; ! "$@"; do
    ((SECONDS < limit)) || fail "not within three minutes: $what"
    alive
    sleep 0.5
  done
  say "   $what: done"
}
clouds_alive() { for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || fail "a process ended before its time"; done; }
alive() { clouds_alive; kill -0 "$controller" 2>/dev/null || fail "the controller ended before its time"; }
# Whoever plays with the sandbox may kill the controller: what it knew is in the cluster, and another one goes on with that.
revive() {
  kill -0 "$controller" 2>/dev/null && return
  wait "$controller" 2>/dev/null || true
  controller=''
  say "the controller has ended; another one is started in ten seconds"
  sleep 10
  step_controller
  say "its process id is $controller; it acts when the lease of the other one has run out"
}

webs=(os-web up-web dc-web) batches=(os-batch up-batch dc-batch)
# are POWER NAME...: all of them are so by wish and in truth, and Ready in the generation that they have now.
are() {
  local power=$1 name; shift
  for name; do
    awk -v n="$name" -v p="$power" '$1 == n && $3 == p && $4 == p && $6 == "True" && $9 == $10 { ok = 1 } END { exit !ok }' <<<"$now" || return 1
  done
}
sized() { awk -v n="$1" -v s="$2" '$1 == n && $5 == s { ok = 1 } END { exit !ok }' <<<"$now"; }
created() { are Running "${webs[@]}" && are Stopped "${batches[@]}"; }
resized() { sized os-web m1.medium && sized up-web 1xCPU-2GB && are Running "${webs[@]}"; }
put_back() { # each of them, says an event
  local names name
  are Running "${webs[@]}" || return 1
  names=$(kube -n "$namespace" get events.events.k8s.io -o jsonpath='{.items[?(@.reason=="DriftCorrected")].regarding.name}')
  for name in "${webs[@]}"; do [[ " $names " == *" $name "* ]] || return 1; done
}
deleted() { are Running "${webs[@]}" && ! grep -q -- '-batch ' <<<"$now"; }

patch() { # patch SPEC NAME...
  local spec=$1 name; shift
  for name; do kube -n "$namespace" patch server "$name" --type merge -p "{\"spec\":$spec}" >/dev/null; done
}
stop_outside() { # stop_outside CLOUD PATH
  curl -fsS -X POST "${address[$1]}/_sim/$2/stop" >/dev/null
}

story() {
  say "create: on each cloud one server that runs, and one that is stopped on purpose"
  kube -n "$namespace" apply -f "$here/servers.yaml" >/dev/null
  until_true "all six are as declared" created
  kube -n "$namespace" get secret up-batch-login >/dev/null || fail "the password that UpCloud tells once was not kept"
  say "stop: the three that run are wished to be Stopped"
  patch '{"powerState":"Stopped"}' "${webs[@]}"
  until_true "they are stopped, and healthy" are Stopped "${webs[@]}"
  say "start: and Running again"
  patch '{"powerState":"Running"}' "${webs[@]}"
  until_true "they run" are Running "${webs[@]}"
  say "resize: OpenStack stops the guest for it, UpCloud does not; a machine of CloudDC is as large as it is"
  patch '{"size":{"name":"m1.medium"}}' os-web
  patch '{"size":{"name":"1xCPU-2GB"}}' up-web
  until_true "both have their new size and run" resized
  say "drift: somebody stops all three in their clouds"
  stop_outside openstack servers/os-web
  stop_outside upcloud servers/up-web
  stop_outside clouddc instances/dc-web
  until_true "they were put back" put_back
  say "delete: the batch servers go, and their cloud servers before them"
  kube -n "$namespace" delete server "${batches[@]}" --wait=false >/dev/null
  until_true "they are gone" deleted
  say "everything converged, on all three clouds"
}

step_build
step_cluster
step_install
step_clouds
step_controller
story
[ -z "${DEMO_EXIT:-}" ] || exit 0
cat <<END

The sandbox stays until Ctrl-C. In another terminal:

  export KUBECONFIG=$admin PATH=$(dirname "$(command -v kubectl)"):\$PATH
  kubectl -n $namespace get servers -o wide -w
  kubectl -n $namespace edit server os-web
  curl -s ${address[openstack]}/_sim/state                          # what the cloud has
  curl -s -X POST ${address[openstack]}/_sim/servers/os-web/pause   # meddle from outside
  curl -s -X POST ${address[upcloud]}/_sim/servers/up-web/stop
  curl -s -X POST ${address[clouddc]}/_sim/instances/dc-web/reboot

The controller's log: $run/controller.log
Its process id: $controller. Kill it (kill -9 $controller), and another one goes on from where it was ten seconds later.
END
while :; do clouds_alive; revive; sleep 1; done
