#!/usr/bin/env bash
# Prints the path of a program that says the kstatus of objects by the library of Flux, built once from its published
# Go module as pinned by the go.mod and go.sum beside this file. Status 3: cannot be had here.
set -euo pipefail
ME=kstatus; cd "$(dirname "${BASH_SOURCE[0]}")"
. ../lib.sh

DIR="$CACHE/kstatus-$(digest . provision.sh go.mod go.sum main.go)"
if [ ! -x "$DIR/kstatus" ]; then
  command -v go >/dev/null || unavailable "kstatus has to be built, and go is missing: install Go 1.26 or newer"
  lock "$DIR.lock"
  if [ ! -x "$DIR/kstatus" ]; then
    mkdir -p "$DIR"
    logged "building kstatus" "$DIR/build.log" \
      env CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off go build -trimpath -ldflags '-s -w' -o "$DIR/building" . ||
      { say "is the Go module proxy reachable? (go env GOPROXY: $(go env GOPROXY))"; exit 1; }
    mv "$DIR/building" "$DIR/kstatus"
  fi
fi
echo "$DIR/kstatus"
