#!/usr/bin/env bash
# Brings up Keystone, Glance, Placement, Neutron and Nova on loopback; returns
# when a client can create servers, and prints the path of clouds.yaml. It
# installs, configures and starts what is missing, so that it can be run, and
# interrupted, at any moment; the services stay up for the next run.
#   up.sh            everything
#   up.sh NAME...    some services that down.sh NAME... has stopped
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
T=$SECONDS STARTED=$(date +%s) CHANGED=
# The long parts run as children that an interruption of this script ends.
child() { "$@" & p=$!; trap 'kill $p 2>/dev/null; say "interrupted; run it again to go on"; exit 130' INT TERM HUP; wait $p; trap - INT TERM HUP; }
child "$HERE/provision.sh" >/dev/null
mkdir -p "$ETC" "$LOGS" "$PIDS" "$DATA" "$RUN/locks" "$RUN/started"
lock "$RUN/lock"
touch "$RUN/used"
. "$HERE/idle.sh"
choose_ports; ports
. "$HERE/configure.sh"
. "$HERE/schemas.sh"
export OS_KEYSTONE_CONFIG_DIR="$ETC/keystone" OS_GLANCE_CONFIG_DIR="$ETC/glance" \
  OS_PLACEMENT_CONFIG_DIR="$ETC/placement" OS_NOVA_CONFIG_DIR="$ETC/nova" \
  OS_NEUTRON_CONFIG_DIR="$ETC/neutron" OS_NEUTRON_CONFIG_FILES=neutron.conf
export PATH="$VENV/bin:$PATH" PYTHONWARNINGS=ignore PYTHONUNBUFFERED=1
PY="$VENV/bin/python"; cp "$HERE/serve.py" "$RUN/serve.py" # the checkout may go, or be one of two
http() { curl -s -o /dev/null -m 20 "http://$IP:$1"; }

# service NAME CONFIGURATION COMMAND...: a running one whose configuration has
# changed since it was started is started again.
service() {
  local n="$1" conf="$2" now; shift 2
  [ -z "$ONLY" ] || [[ " $ONLY " = *" $n "* ]] || return 0
  now=$({ echo "$*"; cat "$conf" "$RUN/serve.py"; } | sha256sum | cut -c1-12)
  if alive "$n" && [ "$(cat "$RUN/started/$n" 2>/dev/null)" != "$now" ]; then
    say "restarting $n: its configuration changed"; stop 5 "$n"
  fi
  alive "$n" && return 0
  echo "$now" > "$RUN/started/$n"; CHANGED=1
  spawn "$n" "$@"
}
wsgi() { # wsgi NAME CONFIGURATION MODULE PORT [THREADS]
  service "$1" "$2" "$PY" "$RUN/serve.py" "${@:3}"
}
ONLY="$*"

# Whoever stopped a process for a test and died has left it stopped.
for f in "$PIDS"/*; do
  n=$(basename "$f"); if alive "$n"; then read -r p _ < "$f"; kill -CONT -- "-$p" 2>/dev/null || true; fi
done

# ---- database and message bus ---------------------------------------------
if [ ! -d "$DATA/mysql" ]; then
  say "creating the database"
  rm -rf "$DATA/mysql.new"
  mariadb-install-db --no-defaults --user=root --datadir="$DATA/mysql.new" \
    --auth-root-authentication-method=normal --skip-test-db >"$LOGS/mysql-install.log" 2>&1
  mv "$DATA/mysql.new" "$DATA/mysql"
fi
service mariadb /dev/null mariadbd --defaults-file="$ETC/my.cnf" --user=root
mkdir -p "$DATA/rabbit"
service epmd /dev/null epmd -port "$EPMD_PORT" -address "$IP"
if ! alive rabbitmq; then wait_for 10 epmd tcp "$EPMD_PORT"; fi
service rabbitmq /dev/null env HOME="$DATA/rabbit" RABBITMQ_NODENAME=testbed@localhost \
  RABBITMQ_CONF_ENV_FILE="$ETC/none" RABBITMQ_CONFIG_FILE="$ETC/rabbitmq.conf" \
  RABBITMQ_MNESIA_BASE="$DATA/rabbit" RABBITMQ_LOG_BASE="$LOGS" RABBITMQ_LOGS="$LOGS/rabbit.log" \
  RABBITMQ_ENABLED_PLUGINS_FILE="$DATA/rabbit/plugins" RABBITMQ_DIST_PORT="$AMQP_DIST_PORT" \
  RABBITMQ_PID_FILE="$RUN/rabbit.pid" ERL_EPMD_PORT="$EPMD_PORT" ERL_EPMD_ADDRESS="$IP" \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none" \
  /usr/lib/rabbitmq/bin/rabbitmq-server
wait_for 60 MariaDB sql -e 'select 1' || {
  say "if its data are damaged (a crash of the machine): $HERE/down.sh --wipe, and again"; exit 1; }
if ! schemas_made; then say "creating the schemas (1 min)"; child schemas; fi
TS=$SECONDS

# ---- services ---------------------------------------------------------------
wait_for 90 RabbitMQ tcp "$AMQP_PORT"
wsgi keystone "$ETC/keystone/keystone.conf" keystone.wsgi.api "$KEYSTONE_PORT"
wait_for 60 Keystone http "$KEYSTONE_PORT/v3"
[ -s "$RUN/clouds.yaml" ] || rm -f "$DATA/.done-seed-identity"
step seed-identity "$PY" "$HERE/seed.py" identity
NOVA="$ETC/nova/nova.conf"
wsgi placement "$ETC/placement/placement.conf" placement.wsgi.api "$PLACEMENT_PORT"
service nova-conductor "$NOVA" nova-conductor --config-file "$NOVA" --log-file "$LOGS/nova-conductor.log"
wsgi glance "$ETC/glance/glance-api.conf" glance.wsgi.api "$GLANCE_PORT"
wsgi neutron "$ETC/neutron/neutron.conf" neutron.wsgi.api "$NEUTRON_PORT"
service nova-scheduler "$NOVA" nova-scheduler --config-file "$NOVA" --log-file "$LOGS/nova-scheduler.log"
[ -n "$ONLY" ] || wait_for 60 Placement http "$PLACEMENT_PORT/"
for i in $(seq "$COMPUTES"); do
  service "nova-compute$i" "$NOVA" nova-compute --config-file "$NOVA" --config-file "$ETC/nova/compute$i.conf"
done
wsgi nova-api "$NOVA" nova.wsgi.osapi_compute "$NOVA_PORT" 12
if [ -n "$ONLY" ]; then
  for n in $ONLY; do
    alive "$n" || { say "$n: no such service, or it died (see $LOGS)"; exit 1; }
    case $n in
      nova-api) wait_for 60 Nova http "$NOVA_PORT/" ;;
      neutron) wait_for 60 Neutron http "$NEUTRON_PORT/" ;;
      glance) wait_for 60 Glance http "$GLANCE_PORT/" ;;
      placement) wait_for 60 Placement http "$PLACEMENT_PORT/" ;;
    esac
  done
  rm -f "$RUN/ready"
  say "$ONLY up in $(elapsed "$T")"; echo "$RUN/clouds.yaml"; exit
fi
wait_for 60 Glance http "$GLANCE_PORT/"
wait_for 90 Neutron http "$NEUTRON_PORT/v2.0/networks"
wait_for 60 Nova http "$NOVA_PORT/"
# The computes are asked about unless these very processes were ready before.
if [ -n "$CHANGED" ] || ! cat "$PIDS"/* | cmp -s - "$RUN/ready"; then
  "$PY" "$HERE/seed.py" ready "$COMPUTES" "$STARTED"
fi
for n in "$PIDS"/*; do alive "$(basename "$n")" || { say "$(basename "$n") died, see $LOGS"; exit 1; }; done
step discover "${NOVA_MANAGE[@]}" cell_v2 discover_hosts
step seed "$PY" "$HERE/seed.py" cloud
cat "$PIDS"/* > "$RUN/ready"
say "up in $(elapsed "$T") (services $((SECONDS - TS)) s of it): export OS_CLIENT_CONFIG_FILE=$RUN/clouds.yaml"
echo "$RUN/clouds.yaml"
