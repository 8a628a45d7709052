#!/usr/bin/env bash
# Prints the path of a Python that has a cloud vendor's own client, installed
# once from the Python package index:  pythonclient.sh upcloud|huawei
# Every package is at the version of <name>client.constraints.txt.
# Status 3: cannot be had here.
set -euo pipefail
ME=pythonclient; cd "$(dirname "${BASH_SOURCE[0]}")"
. ./lib.sh
declare -A packages=([upcloud]=upcloud-api [huawei]="huaweicloudsdkclouddc huaweicloudsdkcore")
name=${1:-}
[ -n "${packages[$name]:-}" ] || { echo "usage: pythonclient.sh upcloud|huawei" >&2; exit 2; }
ME="${name}client"

DIR="$CACHE/${name}client-$(digest . pythonclient.sh "${name}client.constraints.txt")"
# Only a marked installation is whole; whatever else is there is made anew.
if [ ! -e "$DIR/.complete" ]; then
  lock "$DIR.lock"
  if [ ! -e "$DIR/.complete" ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || unavailable "this needs python3 with venv (Debian: python3-venv)"
    client() {
      set -e
      rm -rf "$DIR"
      python3 -m venv "$DIR"
      # shellcheck disable=SC2086
      "$DIR/bin/pip" install --no-input ${packages[$name]} -c "${name}client.constraints.txt"
      touch "$DIR/.complete"
    }
    logged "installing the $name client" "$DIR.log" client
  fi
fi
echo "$DIR/bin/python3"
