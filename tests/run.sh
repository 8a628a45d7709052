#!/usr/bin/env bash
# Runs a tier of tests and says how long each step took:  tests/run.sh fast|all
#   fast   what needs no provisioning: unit tests, tables, properties, scenarios in virtual time, model checking
#   all    also the real kube-apiserver, Nova, Argo CD and the vendors' clients (see tests/env/provision.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tier=${1:-fast}
cargo=${CARGO:-cargo}
start=$SECONDS
report=()

step() { # step NAME COMMAND...
  local name=$1 t=$SECONDS; shift
  printf '\n== %s\n' "$name"
  "$@"
  report+=("$(printf '%-32s %4d s' "$name" $((SECONDS - t)))")
}
check() { step "$1" "$cargo" test --locked --features sim "${@:2}"; }

step "format" "$cargo" fmt --check
step "build" "$cargo" test --locked --features sim --no-run
check "unit" --lib --bins
check "architecture, definitions, docs" --test architecture --test crds --test monitoring --test docs --test tls
check "scenarios in virtual time" --test virtual_time
check "counts of the hot paths" --test counts
check "model checking" --test model
if [ "$tier" = all ]; then
  settings=$(tests/env/provision.sh)
  eval "export $(echo "$settings" | tr '\n' ' ')"
  check "definitions on a real API server" --test apiserver
  check "chart, kustomize, policies, image" --test manifests
  check "alerts in the real promtool" --test promtool
  check "the openstack client" --test openstack_client
  check "the UpCloud client" --test upcloud_client
  check "the CloudDC client" --test clouddc_client
  # The life of a shop under Argo CD takes three minutes more: `make test-gitops`.
  check "Argo CD's scripts, kstatus" --test argocd -- --skip life
  check "scenarios on real parts" --test real
  step "clippy" "$cargo" clippy --locked --features sim --all-targets -- -D warnings
  step "demo" env DEMO_EXIT=1 demo/run.sh
fi
printf '\n%s\n' "${report[@]}"
printf '%-32s %4d s\n' "in all" $((SECONDS - start))
