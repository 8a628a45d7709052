#!/usr/bin/env bash
# Prints a directory that holds argocd-application-controller, argocd-repo-server, argocd-git-ask-pass, argocd-lua
# and Argo CD's definitions (*-crd.yaml), built once from the published Go module as pinned by the go.mod and go.sum
# beside this file; and sees to redis-server, git and gpg (Debian). Status 3: cannot be had here.
set -euo pipefail
ME=argocd; cd "$(dirname "${BASH_SOURCE[0]}")"
. ../lib.sh

DIR="$CACHE/argocd-$(digest . provision.sh go.mod go.sum main.go lua.go)"
NAMES=(argocd-repo-server argocd-git-ask-pass argocd-lua)

need=()
for pair in redis-server:redis-server git:git gpg:gnupg; do
  command -v "${pair%%:*}" >/dev/null || need+=("${pair#*:}")
done
if [ ${#need[@]} -gt 0 ]; then
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || unavailable "these are missing, and can be installed by root of a Debian only: ${need[*]}"
  debian "$CACHE/argocd-debian.log" "${need[@]}"
fi

# Only a marked directory is whole.
if [ ! -e "$DIR/.complete" ]; then
  command -v go >/dev/null || unavailable "this has to be built, and go is missing: install Go 1.25 or newer"
  lock "$DIR.lock"
  if [ ! -e "$DIR/.complete" ]; then
    mkdir -p "$DIR"
    export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
    logged "building Argo CD (about 5 min on 2 cores the first time; kept in $DIR)" "$DIR/build.log" \
      go build -trimpath -ldflags '-s -w' -o "$DIR/argocd-application-controller" . ||
      { say "is the Go module proxy reachable? (go env GOPROXY: $(go env GOPROXY))"; exit 1; }
    for n in "${NAMES[@]}"; do ln -sfn argocd-application-controller "$DIR/$n"; done
    install -m 644 "$(go list -m -f '{{.Dir}}' github.com/argoproj/argo-cd/v3)"/manifests/crds/*-crd.yaml "$DIR/"
    touch "$DIR/.complete"
  fi
fi
echo "$DIR"
