#!/usr/bin/env bash
# The real promtool, which checks and tests the alerts: the one on the PATH, else Debian's package. Prints its path.
set -euo pipefail
ME=promtool; . "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lib.sh"
lock "$CACHE/promtool.lock"
if ! command -v promtool >/dev/null; then
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || unavailable "promtool; it needs root and Debian, or a promtool on the PATH"
  mkdir -p "$CACHE/log"
  export DEBIAN_FRONTEND=noninteractive
  install() { apt-get update -qq && apt-get install -y --no-install-recommends prometheus; }
  logged "installing Debian's prometheus" "$CACHE/log/promtool.log" install
fi
command -v promtool
