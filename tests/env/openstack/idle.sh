# shellcheck shell=bash
# Sourced by up.sh: ends control planes of other versions of these files that
# nobody has used for six hours, since each holds 1.8 GiB of memory.
idle() {
  local d
  for d in "$CACHE"/openstack-*/; do
    d=${d%/}
    if [ "$d" = "$RUN" ] || [ ! -e "$d/used" ] || [ -z "$(find "$d/used" -mmin +360)" ] || ! ls "$d/pids/"* >/dev/null 2>&1; then
      continue
    fi
    say "stopping $d, unused for six hours"
    OPENSTACK_RUN="$d" "$HERE/down.sh" 9>&- || true
  done
}
idle
