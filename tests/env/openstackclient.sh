#!/usr/bin/env bash
# Prints the path of the openstack command, installed once from the Python
# package index at the versions of openstackclient.constraints.txt.
# Status 3: cannot be had here.
set -euo pipefail
ME=openstackclient; cd "$(dirname "${BASH_SOURCE[0]}")"
. ./lib.sh

DIR="$CACHE/openstackclient-$(digest . openstackclient.sh openstackclient.constraints.txt)"
# Only a marked installation is whole; whatever else is there is made anew.
if [ ! -e "$DIR/.complete" ]; then
  lock "$DIR.lock"
  if [ ! -e "$DIR/.complete" ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || unavailable "this needs python3 with venv (Debian: python3-venv)"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
      unavailable "this needs Python 3.11 or newer (found: $(python3 --version))"
    client() {
      set -e
      rm -rf "$DIR"
      python3 -m venv "$DIR"
      "$DIR/bin/pip" install --no-input python-openstackclient -c openstackclient.constraints.txt
      touch "$DIR/.complete"
    }
    logged "installing the openstack command" "$DIR.log" client
  fi
fi
echo "$DIR/bin/openstack"
