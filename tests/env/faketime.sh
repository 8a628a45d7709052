#!/usr/bin/env bash
# libfaketime, with which the clock of one process is set: the FAKETIME_LIBRARY given, else Debian's. Prints its path.
set -euo pipefail
ME=faketime; . "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lib.sh"
lock "$CACHE/faketime.lock"
library() { dpkg -L libfaketime 2>/dev/null | grep -m 1 '/libfaketimeMT\.so\.1$'; }
if [ -n "${FAKETIME_LIBRARY:-}" ]; then
  [ -f "$FAKETIME_LIBRARY" ] || { say "there is no $FAKETIME_LIBRARY"; exit 1; }
  echo "$FAKETIME_LIBRARY"; exit
fi
if ! library >/dev/null; then
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || unavailable "libfaketime; it needs root and Debian, or FAKETIME_LIBRARY"
  debian "$CACHE/log/faketime.log" libfaketime
fi
library
