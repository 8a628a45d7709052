#!/usr/bin/env bash
# Ends what up.sh started, and only that.
#   down.sh              everything
#   down.sh NAME...      some services, e.g. nova-api, nova-compute2 (up.sh restarts them)
#   down.sh --wipe       everything, and delete the data (the installation stays)
#   down.sh --all        everything, of every run directory in the cache
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
down() { # services first, then the bus and the database
  local f n names=()
  for f in "$PIDS"/*; do
    n=$(basename "$f")
    case $n in '*' | mariadb | rabbitmq | epmd) ;; *) names+=("$n") ;; esac
  done
  stop 5 "${names[@]}"
  stop 20 rabbitmq mariadb
  stop 3 epmd
}
case "${1:-}" in
  --all)
    for PIDS in "$CACHE"/openstack-*/pids; do if [ -d "$PIDS" ]; then down; say "down: ${PIDS%/pids}"; fi; done
    exit ;;
  '' | --wipe) ;;
  *) [ -d "$PIDS" ] && stop 5 "$@"; exit ;;
esac
[ -d "$RUN" ] || { say "nothing there: $RUN"; exit 0; }
lock "$RUN/lock"
down
if [ "${1:-}" = --wipe ]; then
  rm -rf "$DATA" "$ETC" "$LOGS" "$PIDS" "$RUN"/{clouds.yaml,locks,fake.json,fake.d,started,ready,port}
fi
say "down: $RUN"
