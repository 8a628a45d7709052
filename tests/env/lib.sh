# shellcheck shell=bash
# Sourced by the scripts of tests/env: messages, locks, and processes that
# outlive the script that started them but are never confused with another's.
# The sourcing script sets ME (its name in messages) and, before it uses
# spawn, alive or stop, PIDS (the directory of its pid files) and LOGS.

CACHE="${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/evenkeel"

# Progress goes to stderr: stdout carries results only.
say() { printf '%(%H:%M:%S)T %s: %s\n' -1 "$ME" "$*" >&2; }
# Status 3 says "cannot be had on this machine", with what it would need.
unavailable() { say "not available here: $*"; exit 3; }
elapsed() { local s=$((SECONDS - $1)); if ((s < 60)); then echo "${s} s"; else echo "$((s / 60)) min $((s % 60)) s"; fi; }

# digest DIR FILE...: a short name for the contents of these files.
digest() { (cd "$1" && shift && sha256sum -- "$@" | sha256sum | cut -c1-12); }

# lock FILE: this script's children hold it too, so that work which survives
# its killed script is waited for; daemons do not (see spawn).
lock() {
  mkdir -p "$(dirname "$1")"; exec 9>"$1"
  flock -n 9 || { say "waiting for another run of the same to finish"; flock 9; }
}

# logged LABEL LOG COMMAND...: run it with a sign of life every 20 seconds; on
# failure show the end of its log.
logged() {
  local label="$1" log="$2" t=$SECONDS p status=0 n=0; shift 2
  say "$label"
  set -m; "$@" </dev/null >>"$log" 2>&1 & p=$!; set +m # its own process group
  # shellcheck disable=SC2064
  trap "kill -TERM -- -$p 2>/dev/null; say 'interrupted; run it again to go on'; exit 130" INT TERM HUP
  while kill -0 "$p" 2>/dev/null; do
    sleep 0.2; n=$((n + 1))
    ((n % 100)) || say "$label: $(elapsed "$t") so far"
  done
  wait "$p" || status=$?
  trap - INT TERM HUP
  if ((status)); then say "$label: FAILED, the end of $log:"; tail -n 20 "$log" >&2; return "$status"; fi
  say "$label: done in $(elapsed "$t")"
}

# debian LOG PACKAGE...: installs packages of Debian. One script at a time: apt waits for no other one's lists. No daemon
# of theirs is started.
debian() {
  local log="$1"; shift
  mkdir -p "$CACHE" "$(dirname "$log")"
  packages() {
    local policy=/usr/sbin/policy-rc.d status=0
    export DEBIAN_FRONTEND=noninteractive
    exec 7>"$CACHE/debian.lock"; flock 7
    # One that an earlier, killed run of this has left is ours to remove too.
    [ -e $policy ] || printf '#!/bin/sh\n# temporary: evenkeel tests/env\nexit 101\n' > $policy
    chmod 755 $policy
    dpkg --configure -a || true # where an earlier run was cut off
    apt-get -o DPkg::Lock::Timeout=300 update &&
      apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" || status=$?
    if grep -q 'temporary: evenkeel' $policy; then rm -f $policy; fi
    return $status
  }
  logged "installing from Debian: $*" "$log" packages "$@"
}

# A pid file holds "<pid> <start time>", so that a recycled pid is never
# taken for the process, let alone signalled.
start_time() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
alive() { # alive NAME
  local p t
  [ -s "$PIDS/$1" ] || return 1
  read -r p t < "$PIDS/$1" || return 1
  [ -n "$t" ] && [ "$(start_time "$p")" = "$t" ] && [ "$(sed 's/^.*) //' "/proc/$p/stat" 2>/dev/null | cut -c1)" != Z ]
}

# spawn NAME COMMAND...: in its own session, output to LOGS/NAME.log. The child
# writes its own pid file before it becomes the command, so that there is no
# moment at which it runs unrecorded; and it drops every inherited descriptor
# except 8 (a claim on ports that is to live as long as the process).
spawn() {
  local n="$1" i; shift
  alive "$n" && return 0
  rm -f "$PIDS/$n"
  # shellcheck disable=SC2016
  setsid bash -c '
    echo "$$ $(sed "s/^.*) //" /proc/$$/stat | cut -d" " -f20)" > "$0.new" && mv "$0.new" "$0"
    for f in /proc/$$/fd/*; do
      f=${f##*/}; if [ "$f" -gt 2 ] && [ "$f" != 8 ]; then eval "exec $f>&-"; fi
    done
    exec "$@"' "$PIDS/$n" "$@" >>"$LOGS/$n.log" 2>&1 </dev/null &
  for ((i = 0; i < 100; i++)); do [ -s "$PIDS/$n" ] && return 0; sleep 0.05; done
  say "$n was not started, see $LOGS/$n.log"; return 1
}

# stop GRACE NAME...: TERM, then KILL to the whole group of what is left.
stop() {
  local grace="$1" n p i left; shift
  for n in "$@"; do
    if alive "$n"; then
      read -r p _ < "$PIDS/$n"
      kill -TERM "$p" 2>/dev/null || true
      kill -CONT -- "-$p" 2>/dev/null || true # a stopped process does not hear TERM
    fi
  done
  for ((i = 0; i < grace * 10; i++)); do
    left=0
    for n in "$@"; do if alive "$n"; then left=1; fi; done
    ((left)) || break
    sleep 0.1
  done
  for n in "$@"; do
    if alive "$n"; then read -r p _ < "$PIDS/$n"; kill -KILL -- "-$p" 2>/dev/null || true; fi
    rm -f "$PIDS/$n"
  done
}

# wait_for SECONDS WHAT COMMAND...
wait_for() {
  local until=$((SECONDS + $1)) what="$2"; shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= until)); then say "gave up waiting for $what (see $LOGS)"; return 1; fi
    sleep 0.2
  done
}
tcp() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
