#!/usr/bin/env bash
# The table of docs/performance.md, P1 to P13, as Markdown on standard output and as JSON in target/performance.json:
# the release binary over HTTP against simulators, then the hot paths alone. About a quarter of an hour on two cores.
#   tests/bench/run.sh [PART...]   footprint quiet outage large shared memory bounds plans; all if absent
#   BINARY=FILE   measure this binary instead of building one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo=${CARGO:-cargo} target=${CARGO_TARGET_DIR:-target}
if [ -z "${BINARY:-}" ]; then
  "$cargo" build --locked --release
  BINARY=$target/release/evenkeel
fi
# What plays the cloud and the cluster is built as the tests are.
executable() { # executable CARGO-ARGUMENTS: builds one and prints where it is
  "$cargo" "$@" --locked --features sim --no-run --message-format json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
case " ${*:-plans} " in *" plans "*) CAMPAIGN_BINARY=$(executable test --test virtual_time) && export CAMPAIGN_BINARY ;; esac
export BINARY JSON=${JSON:-$target/performance.json}
"$(executable bench --profile dev --bench performance)" "$@"
[ $# != 0 ] || { echo; "$cargo" bench --locked --features sim --bench hot_paths; }
