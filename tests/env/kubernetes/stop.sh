#!/usr/bin/env bash
# stop.sh RUN           end what start.sh started in RUN, and only that; the data stay
# stop.sh RUN NAME...   end some of: controller-manager apiserver etcd
set -euo pipefail
ME=kubernetes
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
[ $# -ge 1 ] || { echo "usage: stop.sh RUN [NAME...]" >&2; exit 2; }
[ -d "$1/pids" ] || { say "nothing was started in $1"; exit 0; }
RUN=$(cd "$1" && pwd); shift
# shellcheck disable=SC2034
PIDS="$RUN/pids"
if [ $# -gt 0 ]; then stop 3 "$@"; exit; fi
stop 3 controller-manager apiserver
stop 3 etcd
