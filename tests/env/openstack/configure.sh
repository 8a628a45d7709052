# shellcheck shell=bash
# Sourced by up.sh: writes the configuration of every service, each time.
db() { printf 'mysql+pymysql://root@localhost/%s?unix_socket=%s&charset=utf8mb4' "$1" "$MYSOCK"; }
AMQP="rabbit://openstack:$PW@$IP:$AMQP_PORT/"
KS="http://$IP:$KEYSTONE_PORT/v3"

account() { # account SECTION...: the credentials the services use among themselves
  local s; for s in "$@"; do cat <<END

[$s]
auth_type = password
auth_url = $KS
www_authenticate_uri = $KS
username = service
password = $PW
project_name = service
user_domain_id = default
project_domain_id = default
region_name = RegionOne
service_token_roles = service
service_token_roles_required = false
token_cache_time = $TOKEN_CACHE
END
  done
}
common() { cat <<END
[oslo_concurrency]
lock_path = $RUN/locks

[oslo_messaging_notifications]
driver = noop

[oslo_messaging_rabbit]
rabbit_quorum_queue = false
END
}

mkdir -p "$ETC"/{keystone,glance,placement,neutron,nova}
mkdir -p "$DATA"/{fernet,credential,images,staging,tasks,neutron,nova}

cat > "$ETC/my.cnf" <<END
[mariadbd]
datadir = $DATA/mysql
socket = $MYSOCK
pid-file = $RUN/mysql.pid
skip-networking
skip-name-resolve
max_connections = 400
innodb_buffer_pool_size = 256M
# written at each commit, so that a killed server loses nothing, but not synced
innodb_flush_log_at_trx_commit = 2
innodb_log_file_size = 64M
performance_schema = off
transaction-isolation = READ-COMMITTED
character-set-server = utf8mb4
END

cat > "$ETC/rabbitmq.conf" <<END
listeners.tcp.1 = $IP:$AMQP_PORT
default_user = openstack
default_pass = $PW
log.file.level = warning
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
END

cat > "$ETC/keystone/keystone.conf" <<END
[DEFAULT]
log_file = $LOGS/keystone.log
[database]
connection = $(db keystone)
[token]
provider = fernet
expiration = $TOKEN_TTL
[fernet_tokens]
key_repository = $DATA/fernet
[fernet_receipts]
key_repository = $DATA/fernet
[credential]
key_repository = $DATA/credential
END

cat > "$ETC/placement/placement.conf" <<END
[DEFAULT]
log_file = $LOGS/placement.log
[api]
auth_strategy = keystone
[placement_database]
connection = $(db placement)
$(account keystone_authtoken)
END

cat > "$ETC/glance/glance-api.conf" <<END
[DEFAULT]
log_file = $LOGS/glance.log
enabled_backends = fs:file
worker_self_reference_url = http://$IP:$GLANCE_PORT
[database]
connection = $(db glance)
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = $DATA/images
[os_glance_staging_store]
filesystem_store_datadir = $DATA/staging
[os_glance_tasks_store]
filesystem_store_datadir = $DATA/tasks
[paste_deploy]
flavor = keystone
config_file = $VENV/etc/glance/glance-api-paste.ini
$(common)
$(account keystone_authtoken)
END

cat > "$ETC/neutron/neutron.conf" <<END
[DEFAULT]
log_file = $LOGS/neutron.log
state_path = $DATA/neutron
api_paste_config = $VENV/etc/neutron/api-paste.ini
auth_strategy = keystone
core_plugin = ml2
service_plugins =
transport_url = $AMQP
dhcp_agent_notification = false
notify_nova_on_port_status_changes = true
notify_nova_on_port_data_changes = true
[database]
connection = $(db neutron)
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers = testbed
extension_drivers = port_security
$(common)
$(account keystone_authtoken nova placement)
END

cat > "$ETC/nova/nova.conf" <<END
[DEFAULT]
transport_url = $AMQP
my_ip = $IP
host = controller
state_path = $DATA/nova
compute_driver = testbed_fake.TestbedDriver
allow_resize_to_same_host = false
shelved_offload_time = $SHELVED_OFFLOAD
reclaim_instance_interval = $RECLAIM
report_interval = 3
sync_power_state_interval = $POWER_SYNC
service_down_time = 20
instance_usage_audit = false
# nothing to drain: let down.sh be quick
graceful_shutdown_timeout = 25
manager_shutdown_timeout = 1
[testbed_fake]
control_file = $RUN/fake.json
control_dir = $RUN/fake.d
[api]
auth_strategy = keystone
[api_database]
connection = $(db nova_api)
max_pool_size = 10
[database]
connection = $(db nova)
max_pool_size = 10
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 10
[filter_scheduler]
build_failure_weight_multiplier = 0
[notifications]
notification_format = unversioned
[compute]
consecutive_build_service_disable_threshold = 0
[vnc]
enabled = false
$(common)
$(account keystone_authtoken placement neutron glance service_user)
send_service_user_token = true
END
cp "$VENV/etc/nova/api-paste.ini" "$ETC/nova/"
for i in $(seq "$COMPUTES"); do
  mkdir -p "$DATA/nova-compute$i"
  cat > "$ETC/nova/compute$i.conf" <<END
[DEFAULT]
host = compute$i
state_path = $DATA/nova-compute$i
log_file = $LOGS/nova-compute$i.log
END
done
mkdir -p "$RUN/fake.d"; [ -e "$RUN/fake.json" ] || echo '{}' > "$RUN/fake.json"
