#!/usr/bin/env bash
# The real promtool, which checks and tests the alerts: the one on the PATH, else Debian's package. Prints its path.
set -euo pipefail
ME=promtool; . "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lib.sh"
lock "$CACHE/promtool.lock"
if ! command -v promtool >/dev/null; then
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || unavailable "promtool; it needs root and Debian, or a promtool on the PATH"
  debian "$CACHE/log/promtool.log" prometheus
fi
command -v promtool
