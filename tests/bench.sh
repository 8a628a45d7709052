#!/usr/bin/env bash
# The figures of the main job, on the real kube-apiserver and the real Nova: time to Ready for one server and for
# many at once, cloud calls and API server writes for each, the cost of servers at rest, how long a stop from
# outside stands, binary size and memory. Prints a table; asserts nothing.
#   BINARY=FILE   measure this binary instead of building one
#   MANY=50   how many at once       REST=60   seconds of watching servers at rest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
many=${MANY:-50} rest=${REST:-60}
run=$(mktemp -d "${TMPDIR:-/tmp}/evenkeel-bench.XXXXXX")
say() { printf '%(%H:%M:%S)T %s\n' -1 "$*" >&2; }
controller=
# A watchman ends what was started when this script ends, however it ends, SIGKILL too.
# shellcheck disable=SC2016
setsid bash -c '
  while kill -0 "$1"; do sleep 1; done
  [ ! -s "$0/controller.pid" ] || kill "$(cat "$0/controller.pid")"
  tests/env/kubernetes/stop.sh "$0/kubernetes"' "$run" $$ >/dev/null 2>&1 </dev/null &
watchman=$!
cleanup() {
  local status=$?
  # Whoever is impatient must not leave a control plane behind: from here on nothing cuts in.
  trap - EXIT
  trap '' INT TERM HUP
  if [ -n "$controller" ]; then
    say "deleting the servers that were made"
    kube delete servers --all --timeout=300s >/dev/null 2>&1 || true
    kill "$controller" 2>/dev/null || true; wait "$controller" 2>/dev/null || true
    rm -f "$run/controller.pid"
  fi
  tests/env/kubernetes/stop.sh "$run/kubernetes" >/dev/null 2>&1 || true
  kill "$watchman" 2>/dev/null || true
  [ "$status" = 0 ] && rm -rf "$run" || say "logs are in $run"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "provisioning"
eval "$(tests/env/provision.sh kubernetes openstack 2>/dev/null)"
PATH=$EVENKEEL_KUBE_BIN:$PATH
nova=$(dirname "$OS_CLIENT_CONFIG_FILE")
binary=${BINARY:-${CARGO_TARGET_DIR:-target}/release/evenkeel}
if [ -z "${BINARY:-}" ]; then
  say "building the release binary"
  cargo build --locked --release >"$run/build.log" 2>&1 || { tail -n 20 "$run/build.log" >&2; exit 1; }
fi
AUDIT_LOG=$run/audit.log tests/env/kubernetes/start.sh "$EVENKEEL_KUBE_BIN" "$run/kubernetes" >/dev/null 2>&1
admin=$run/kubernetes/kubeconfig
kube() { kubectl --kubeconfig "$admin" "$@"; }
tests/env/kubernetes/install.sh "$admin" "$run/controller.kubeconfig"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
KUBECONFIG=$run/controller.kubeconfig "$binary" run --allow-insecure-endpoints --admin-address "127.0.0.1:$port" >"$run/controller.log" 2>&1 &
controller=$!
echo "$controller" >"$run/controller.pid"

kube create secret generic clouds --from-file=clouds.yaml="$OS_CLIENT_CONFIG_FILE" >/dev/null
kube apply -f - >/dev/null <<'Y'
apiVersion: evenkeel.dev/v1alpha1
kind: ProviderConfig
metadata: {name: real}
spec:
  openstack: {secretRef: {name: clouds}, cloud: demo}
  requests: {perSecond: 50, burst: 100, inFlight: 20}
  maxCreatesInFlight: 50
Y
kube wait --for=condition=Ready providerconfig/real --timeout=60s >/dev/null

servers() { # servers PREFIX COUNT [NETWORK]
  local i
  for i in $(seq "$2"); do
    cat <<Y
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: $1-$i}
spec:
  providerConfigRef: {name: real}
  size: {name: m1.tiny}
  image: {name: cirros}
  deletion: {powerOff: None}
Y
  done
}
now() { date +%s.%N; }
since() { python3 -c "print(f'{$(now) - $1:.1f}')"; }
# Calls to the cloud, from the controller's own count.
calls() { curl -fsS "http://127.0.0.1:$port/metrics" | awk '/^evenkeel_cloud_requests/ {n += $NF} END {print n + 0}'; }
# Changes at the API server by the controller's account; leases and events apart.
writes() {
  grep '"stage":"ResponseComplete"' "$run/audit.log" | grep 'system:serviceaccount:evenkeel-system:evenkeel' |
    grep -E '"verb":"(create|update|patch|delete)"' | grep -cE '"resource":"servers"' || true
}
per() { python3 -c "print(f'{($2 - $1) / $3:.1f}')"; }
row() { printf '| %-44s | %10s | %-34s |\n' "$1" "$2" "$3" >>"$run/table"; say "$1: $2"; }

# The first server after a start pays for Nova's own warming up.
servers warm 1 | kube apply -f - >/dev/null; kube wait --for=condition=Ready server/warm-1 --timeout=120s >/dev/null
say "one server"
c=$(calls) w=$(writes) t=$(now)
servers one 1 | kube apply -f - >/dev/null
kube wait --for=condition=Ready server/one-1 --timeout=120s >/dev/null
row "one server, apply to Ready, s" "$(since "$t")" "Nova itself: see the next row"
created=$(kube get server one-1 -o jsonpath='{.status.id}')
floor=$("$nova/venv/bin/python" - "$OS_CLIENT_CONFIG_FILE" <<'P'
import sys, time, yaml, json, urllib.request as u
c = yaml.safe_load(open(sys.argv[1]))["clouds"]["demo"]; a = c["auth"]
body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": a["username"], "password": a["password"], "domain": {"id": "default"}}}},
        "scope": {"project": {"name": a["project_name"], "domain": {"id": "default"}}}}}
r = u.urlopen(u.Request(a["auth_url"] + "/auth/tokens", json.dumps(body).encode(), {"Content-Type": "application/json"}))
token, catalog = r.headers["X-Subject-Token"], json.load(r)["token"]["catalog"]
nova = next(e["url"] for s in catalog if s["type"] == "compute" for e in s["endpoints"] if e["interface"] == "public")
image = next(e["url"] for s in catalog if s["type"] == "image" for e in s["endpoints"] if e["interface"] == "public")
def call(m, url, b=None):
    q = u.Request(url, json.dumps(b).encode() if b else None, {"X-Auth-Token": token, "Content-Type": "application/json", "OpenStack-API-Version": "compute 2.79"}, method=m)
    t = u.urlopen(q).read(); return json.loads(t) if t else None
ref = next(i["id"] for i in call("GET", image + "/v2/images")["images"] if i["name"] == "cirros")
times = []
for _ in range(3):
    t = time.time()
    s = call("POST", nova + "/servers", {"server": {"name": "floor", "flavorRef": "1", "imageRef": ref, "networks": "none"}})["server"]["id"]
    while call("GET", f"{nova}/servers/{s}")["server"]["status"] != "ACTIVE": time.sleep(0.1)
    times.append(time.time() - t); call("DELETE", f"{nova}/servers/{s}")
print(f"{sorted(times)[1]:.1f}")
P
)
row "the same by Nova alone (median of 3), s" "$floor" "target: within 1 s of it"
row "  cloud calls, lists and all" "$(per "$c" "$(calls)" 1)" ""
row "  writes to Servers at the API server" "$(per "$w" "$(writes)" 1)" "target: at most 4 for a create"

say "$many servers at once"
c=$(calls) w=$(writes) t=$(now)
servers many "$many" | kube apply -f - >/dev/null
kube wait --for=condition=Ready servers --all --timeout=600s >/dev/null
row "$many servers at once, apply to all Ready, s" "$(since "$t")" "Nova's own floor: about 90 for 50"
row "  cloud calls for each, lists and all" "$(per "$c" "$(calls)" "$many")" "target: at most 3"
row "  writes for each" "$(per "$w" "$(writes)" "$many")" "target: at most 4"

say "at rest for $rest s"
c=$(calls) w=$(writes); sleep "$rest"
row "at rest for $rest s: cloud calls, all servers" "$(( $(calls) - c ))" "target: one list an interval (15 s)"
row "at rest for $rest s: writes to Servers" "$(( $(writes) - w ))" "target: 0"
row "resident memory, $((many + 2)) servers, MiB" "$(awk '/VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$controller/status")" ""

say "a stop from outside"
id=$(kube get server one-1 -o jsonpath='{.status.id}')
"$nova/venv/bin/python" - "$OS_CLIENT_CONFIG_FILE" "$id" <<'P'
import sys, yaml, json, urllib.request as u
c = yaml.safe_load(open(sys.argv[1]))["clouds"]["demo"]; a = c["auth"]
body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": a["username"], "password": a["password"], "domain": {"id": "default"}}}},
        "scope": {"project": {"name": a["project_name"], "domain": {"id": "default"}}}}}
r = u.urlopen(u.Request(a["auth_url"] + "/auth/tokens", json.dumps(body).encode(), {"Content-Type": "application/json"}))
token, catalog = r.headers["X-Subject-Token"], json.load(r)["token"]["catalog"]
nova = next(e["url"] for s in catalog if s["type"] == "compute" for e in s["endpoints"] if e["interface"] == "public")
u.urlopen(u.Request(f"{nova}/servers/{sys.argv[2]}/action", b'{"os-stop": null}', {"X-Auth-Token": token, "Content-Type": "application/json"}))
P
t=$(now)
kube wait --for='jsonpath={.status.conditions[?(@.type=="DriftDetected")].status}=True' server/one-1 --timeout=120s >/dev/null
kube wait --for=condition=Ready server/one-1 --timeout=120s >/dev/null
row "a stop from outside is put back after, s" "$(since "$t")" "target: within one interval (15 s)"
row "binary, MiB" "$(python3 -c "import os; print(f'{os.path.getsize(\"$binary\") / 2**20:.1f}')")" ""
printf '\n| %-44s | %10s | %-34s |\n| --- | --- | --- |\n' metric measured bound
cat "$run/table"
[ -n "$created" ]
