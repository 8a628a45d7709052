# shellcheck shell=bash
# Sourced by up.sh: makes the databases, each once. A schema's migrations cannot
# be resumed, so that one whose making was cut off is dropped and made again.

sql() { mariadb --no-defaults -uroot -S "$MYSOCK" "$@"; }
step() { # step NAME COMMAND...: run once; the mark is in $DATA
  local n="$1"; shift
  [ -e "$DATA/.done-$n" ] && return 0
  "$@" >>"$LOGS/setup-$n.log" 2>&1 || { say "step $n failed, the end of $LOGS/setup-$n.log:"
    tail -n 15 "$LOGS/setup-$n.log" >&2; return 1; }
  touch "$DATA/.done-$n"
}
fresh() { # fresh DATABASE...
  local d
  for d in "$@"; do sql -e "drop database if exists $d; create database $d character set utf8mb4" || return 1; done
}
keystone_schema() {
  local manage=(keystone-manage --config-file "$ETC/keystone/keystone.conf")
  fresh keystone && "${manage[@]}" db_sync &&
    "${manage[@]}" fernet_setup --keystone-user root --keystone-group root &&
    "${manage[@]}" credential_setup --keystone-user root --keystone-group root &&
    "${manage[@]}" bootstrap --bootstrap-password "$PW" --bootstrap-region-id RegionOne \
      --bootstrap-public-url "$KS" --bootstrap-internal-url "$KS" --bootstrap-admin-url "$KS"
}
NOVA_MANAGE=(nova-manage --config-file "$ETC/nova/nova.conf")
nova_schema() {
  fresh nova nova_api nova_cell0 && "${NOVA_MANAGE[@]}" api_db sync &&
    "${NOVA_MANAGE[@]}" cell_v2 map_cell0 --database_connection "$(db nova_cell0)" &&
    "${NOVA_MANAGE[@]}" cell_v2 create_cell --name cell1 &&
    "${NOVA_MANAGE[@]}" db sync
}
placement_schema() { fresh placement && placement-manage --config-dir "$ETC/placement" db sync; }
glance_schema() { fresh glance && glance-manage --config-file "$ETC/glance/glance-api.conf" db_sync; }
neutron_schema() { fresh neutron && neutron-db-manage --config-file "$ETC/neutron/neutron.conf" upgrade heads; }

schemas() {
  local b status=0
  # Two at a time: this is Python starting up, most of it.
  { step placement placement_schema && step glance glance_schema && step neutron neutron_schema; } & b=$!
  step keystone keystone_schema && step nova nova_schema || status=1
  wait $b && return $status
}
schemas_made() { local s; for s in keystone nova placement glance neutron; do [ -e "$DATA/.done-$s" ] || return 1; done; }
