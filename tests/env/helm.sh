#!/usr/bin/env bash
# Prints the path of helm, built once from its published Go module as pinned by helm/go.mod and helm/go.sum.
# EVENKEEL_HELM names one of your own instead. Status 3: cannot be had here.
set -euo pipefail
ME=helm; cd "$(dirname "${BASH_SOURCE[0]}")"
. ./lib.sh

if [ -n "${EVENKEEL_HELM:-}" ]; then
  [ -x "$EVENKEEL_HELM" ] || { say "EVENKEEL_HELM=$EVENKEEL_HELM is no program"; exit 2; }
  echo "$EVENKEEL_HELM"; exit
fi
VERSION=$(sed -n 's/^require helm.sh\/helm\/v3 \(v3\.[0-9.]*\)$/\1/p' helm/go.mod)
DIR="$CACHE/helm-$(digest . helm.sh helm/go.{mod,sum} helm/tools.go)"
if [ ! -x "$DIR/helm" ]; then
  command -v go >/dev/null || unavailable "helm has to be built, and go is missing: install Go 1.26 or newer, or set EVENKEEL_HELM"
  lock "$DIR.lock"
  if [ ! -x "$DIR/helm" ]; then
    mkdir -p "$DIR"
    # Without these stamps `helm template` and `helm lint` believe in a Kubernetes of long ago: it is the one of its client.
    minor=$(sed -n 's/^\s*k8s.io\/client-go v0\.\([0-9]*\)\..*/\1/p' helm/go.mod | head -n 1)
    stamps="-X helm.sh/helm/v3/internal/version.version=$VERSION"
    for package in pkg/chartutil pkg/lint/rules; do
      stamps+=" -X helm.sh/helm/v3/$package.k8sVersionMajor=1 -X helm.sh/helm/v3/$package.k8sVersionMinor=$minor"
    done
    logged "building helm $VERSION" "$DIR/build.log" \
      env CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off go build -C helm -trimpath -o "$DIR/helm.new" \
      -ldflags "-s -w $stamps" helm.sh/helm/v3/cmd/helm \
      || { say "is the Go module proxy reachable? (go env GOPROXY: $(go env GOPROXY))"; exit 1; }
    mv "$DIR/helm.new" "$DIR/helm"
  fi
fi
echo "$DIR/helm"
