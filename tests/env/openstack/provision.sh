#!/usr/bin/env bash
# Installs what the control plane needs: MariaDB and RabbitMQ from Debian, the
# services from the Python package index at the versions of constraints.txt.
# Prints the run directory. Status 3: cannot be had here.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
[ "$(id -u)" = 0 ] || unavailable "this has to run as root (Debian packages, and services that drop no rights)"
# shellcheck disable=SC1091
os=$(. /etc/os-release 2>/dev/null && echo "${ID:-}") || os=
{ [ "$os" = debian ] && command -v apt-get >/dev/null; } || unavailable "this needs Debian 12 (found: ${os:-unknown})"
# A unix socket's path is limited to 107 bytes.
[ ${#MYSOCK} -le 100 ] || unavailable "$RUN is too long a path for a socket: set OPENSTACK_RUN to a shorter one"
mkdir -p "$RUN" "$LOGS"
lock "$RUN/provision.lock"

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
need=()
for p in mariadb-server rabbitmq-server; do installed $p || need+=("$p"); done
command -v curl >/dev/null || need+=(curl)
python3 -c 'import ensurepip, venv' 2>/dev/null || need+=(python3 python3-venv)
if [ ${#need[@]} -gt 0 ]; then
  debian "$LOGS/apt.log" "${need[@]}"
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  unavailable "this needs Python 3.11 or newer (found: $(python3 --version))"

# Only a marked installation is whole; whatever else is there is made anew
# (pip keeps what it has downloaded).
if [ ! -e "$VENV/.complete" ]; then
  services() {
    set -e
    rm -rf "$VENV" "$RUN/plugins.build"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --no-input -r "$HERE/requirements.txt" -c "$HERE/constraints.txt"
    site="$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    # Nova loads drivers from below nova.virt only; Neutron's needs an entry point.
    cp "$HERE/plugins/testbed_fake.py" "$site/nova/virt/testbed_fake.py"
    cp -r "$HERE/plugins" "$RUN/plugins.build"
    "$VENV/bin/pip" install --no-input --no-deps --no-build-isolation "$RUN/plugins.build"
    rm -rf "$RUN/plugins.build"
    touch "$VENV/.complete"
  }
  logged "installing Keystone, Nova, Placement, Glance, Neutron from Python packages (2 min)" "$LOGS/pip.log" services
fi
echo "$RUN"
