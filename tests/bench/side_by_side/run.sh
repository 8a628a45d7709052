#!/usr/bin/env bash
# The same work for a controller that is given by a profile, on the real kube-apiserver and the real Nova, through a
# counting proxy: one server, many, rest, a stop from outside, a lost reply, deletion. Prints cloud calls, API server
# writes (leases and events apart), seconds, memory and processor time of each phase. Asserts nothing.
#   tests/bench/side_by_side/run.sh [PROFILE]     a folder with profile.sh; evenkeel beside this file if absent
#   BINARY=FILE  MANY=50 servers at once  REST=300 seconds of rest
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
profile=$(cd "${1:-$here/evenkeel}" && pwd)
cd "$here/../../.."
many=${MANY:-50} rest=${REST:-300} binary=${BINARY:-${CARGO_TARGET_DIR:-target}/release/evenkeel}
run=$(mktemp -d "${TMPDIR:-/tmp}/evenkeel-side.XXXXXX")
pid='' proxy='' kubeconfig=$run/kubernetes/kubeconfig clouds=$run/clouds.yaml log=$run/controller.log
kube() { kubectl --kubeconfig "$kubeconfig" "$@"; }
say() { printf '%(%H:%M:%S)T %s\n' -1 "$*" >&2; }
# A watchman ends what was started when this script ends, however it ends.
# shellcheck disable=SC2016
setsid bash -c '
  while kill -0 "$1"; do sleep 1; done
  for f in controller proxy; do [ ! -s "$0/$f.pid" ] || kill "$(cat "$0/$f.pid")"; done
  tests/env/kubernetes/stop.sh "$0/kubernetes"' "$run" $$ >/dev/null 2>&1 </dev/null &
watchman=$!
cleanup() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  [ -z "$pid" ] || { kube delete "$kind" --all --timeout=300s >/dev/null 2>&1 || true; kill "$pid" 2>/dev/null || true; }
  [ -z "$proxy" ] || kill "$proxy" 2>/dev/null || true
  tests/env/kubernetes/stop.sh "$run/kubernetes" >/dev/null 2>&1 || true
  kill "$watchman" 2>/dev/null || true
  [ "$status" = 0 ] && rm -rf "$run" || say "logs are in $run"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say provisioning
eval "$(tests/env/provision.sh kubernetes openstack 2>/dev/null)"
PATH=$EVENKEEL_KUBE_BIN:$PATH
python=$(dirname "$OS_CLIENT_CONFIG_FILE")/venv/bin/python
AUDIT_LOG=$run/audit.log tests/env/kubernetes/start.sh "$EVENKEEL_KUBE_BIN" "$run/kubernetes" >/dev/null 2>&1
: >"$run/calls"
"$python" "$here/proxy.py" "$OS_CLIENT_CONFIG_FILE" demo "$clouds" "$run/calls" &
proxy=$!
echo "$proxy" >"$run/proxy.pid"
for _ in $(seq 100); do [ -s "$clouds" ] && break; sleep 0.1; done
# shellcheck source=/dev/null
. "$profile/profile.sh"
begin
echo "$pid" >"$run/controller.pid"

calls() { wc -l <"$run/calls"; }
writes() {
  grep '"stage":"ResponseComplete"' "$run/audit.log" | grep -F "\"username\":\"$user\"" |
    grep -E '"verb":"(create|update|patch|delete)"' | grep -cvE '"resource":"(leases|events)"' || true
}
cpu() { awk '{sub(/.*\) /, ""); printf "%.2f", ($12 + $13) / 100}' "/proc/$pid/stat"; }
mib() { awk '/VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$pid/status"; }
begin_phase() { c=$(calls) w=$(writes) u=$(cpu) t=$EPOCHREALTIME; }
end_phase() { # end_phase WORDS: one row of the table
  local row
  row=$("$python" -c "print(f'| $1 | {$EPOCHREALTIME - $t:.1f} | {$(calls) - $c} | {$(writes) - $w} | {$(cpu) - $u:.2f} | $(mib) |')")
  echo "$row" >>"$run/table"; say "$row"
  # What was asked, ids apart.
  tail -n +$((c + 1)) "$run/calls" | sed -E 's/[0-9a-f]{8}-[0-9a-f-]{27}/ID/g' | sort | uniq -c | sort -rn | head -n 8 >&2
}
names() { seq -f "$1-%g" "$2"; }
apply() { for n in "$@"; do manifest "$n"; done | kube apply -f - >/dev/null; }
nova() { "$python" "$here/nova.py" "$OS_CLIENT_CONFIG_FILE" demo "$@"; }

# The first server after a start pays for Nova's own warming up.
apply warm-1; ready warm-1
say "one server"
begin_phase; apply one-1; ready one-1; end_phase "1 server, apply to ready"
say "$many servers"
mapfile -t fleet < <(names many "$many")
begin_phase; apply "${fleet[@]}"; ready "${fleet[@]}"; end_phase "$many servers, apply to ready"
begin_phase; sleep 30; end_phase "settling, 30 s"
begin_phase; sleep "$rest"; end_phase "$((many + 2)) servers at rest for $rest s"
begin_phase; nova stop "$(id_of one-1)"; nova await "$(id_of one-1)" ACTIVE 120 || say "it was not put back within 120 s"
end_phase "a stop from outside, to running again"
begin_phase; kill -USR1 "$proxy"; apply lost-1; ready lost-1; end_phase "1 server, the reply to its creation lost"
say "servers of the lost reply in the cloud: $(nova count lost-1)"
begin_phase; for n in "${fleet[@]}"; do echo "$n"; done | xargs kubectl --kubeconfig "$kubeconfig" delete "$kind" >/dev/null
end_phase "$many servers deleted"
printf '%s on %s; load %s\n\n| %s | seconds | cloud calls | API server writes | CPU s | MiB |\n| --- | ---: | ---: | ---: | ---: | ---: |\n' \
  "$name" "$(date -u +%F)" "$(cut -d' ' -f1 /proc/loadavg)" "phase"
cat "$run/table"
