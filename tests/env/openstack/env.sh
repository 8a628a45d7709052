# shellcheck shell=bash
# Sourced by the scripts here: where things live and which ports are used.
# Every value can be set from the environment.
ME=openstack; HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$HERE/../lib.sh"

# Services, data and configuration live in one directory, by default outside
# the checkout and named after what decides the installation and the data.
export OPENSTACK_RUN="${OPENSTACK_RUN:-$CACHE/openstack-$(digest "$HERE" requirements.txt constraints.txt \
  plugins/pyproject.toml plugins/testbed_fake.py plugins/testbed_openstack/{__init__,mech}.py \
  provision.sh schemas.sh seed.py)}"
RUN="$OPENSTACK_RUN"; VENV="$RUN/venv"; ETC="$RUN/etc"; LOGS="$RUN/logs"; PIDS="$RUN/pids"; DATA="$RUN/data"
MYSOCK="$RUN/mysql.sock"; IP=127.0.0.1

# Ten ports from one on, below the range that the kernel hands out. Each run
# directory has its own, so that several can be up at once; they are kept in
# it, since Keystone's catalogue names them.
ports() {
  PORT="$(cat "$RUN/port")"
  export KEYSTONE_PORT=$PORT NOVA_PORT=$((PORT + 1)) GLANCE_PORT=$((PORT + 2)) PLACEMENT_PORT=$((PORT + 3)) \
    NEUTRON_PORT=$((PORT + 4))
  AMQP_PORT=$((PORT + 5)) AMQP_DIST_PORT=$((PORT + 6)) EPMD_PORT=$((PORT + 7))
}
choose_ports() { # once
  local base i busy
  if [ -s "$RUN/port" ]; then
    [ -z "${OPENSTACK_PORT:-}" ] || [ "$OPENSTACK_PORT" = "$(cat "$RUN/port")" ] || {
      say "$RUN was made with OPENSTACK_PORT=$(cat "$RUN/port"); down.sh --wipe first, or use another OPENSTACK_RUN"; exit 2; }
    return 0
  fi
  base=${OPENSTACK_PORT:-$((15000 + 0x$(printf %s "$RUN" | sha256sum | cut -c1-4) % 480 * 10))}
  while :; do
    busy=
    for ((i = 0; i < 8; i++)); do if tcp $((base + i)); then busy=$((base + i)); fi; done
    [ -n "$busy" ] || break
    [ -z "${OPENSTACK_PORT:-}" ] || { say "port $busy is in use"; exit 1; }
    base=$((15000 + (base - 15000 + 10) % 4800))
  done
  echo "$base" > "$RUN/port.new"; mv "$RUN/port.new" "$RUN/port"
}

# How many fake hypervisors (nova-compute processes). Three lets a
# three-member anti-affinity group fit and a fourth member fail.
COMPUTES="${COMPUTES:-3}"
# Seconds a Keystone token lives.
TOKEN_TTL="${TOKEN_TTL:-3600}"
# Seconds a service trusts a token it has checked. -1: it asks each time, so
# that a revoked token is refused at once, and everything is slower.
TOKEN_CACHE="${TOKEN_CACHE:-300}"
# Seconds between SHELVED and SHELVED_OFFLOADED (0: at once, -1: never).
SHELVED_OFFLOAD="${SHELVED_OFFLOAD:-0}"
# Seconds for which Nova keeps what was deleted (0: not at all). nova-api alone reads it, at its start.
RECLAIM="${RECLAIM:-0}"
# Seconds between Nova's looks at what the hypervisor says about power
# (Nova's own default is 600).
POWER_SYNC="${POWER_SYNC:-20}"
# The password of every account: this is a throw-away cloud on loopback.
export OPENSTACK_PW=testbed; PW=$OPENSTACK_PW
# Everything is on loopback: never through a proxy.
export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
