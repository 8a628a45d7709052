#!/usr/bin/env bash
# Prints a directory that holds etcd, kube-apiserver, kube-controller-manager
# and kubectl. They are taken from KUBEBUILDER_ASSETS when it is set, else
# built, once, from their published Go modules as pinned by the go.mod and
# go.sum beside this file. Status 3: cannot be had here.
set -euo pipefail
ME=kubernetes; cd "$(dirname "${BASH_SOURCE[0]}")"
. ../lib.sh

KUBE=$(sed -n 's/^\s*k8s.io\/kubernetes \(v1\.[0-9.]*\)$/\1/p' controlplane/go.mod | head -n 1)
ALL=(etcd kube-apiserver kube-controller-manager kubectl)
KEY=$(digest . provision.sh {etcd,controlplane}/go.{mod,sum} etcd/main.go controlplane/{apiserver,controller-manager}/main.go)
DIR="$CACHE/kubernetes-$KEY"

build() { # build NAME: into $DIR, never half written
  local module=controlplane package minor stamp=k8s.io/component-base/version client=k8s.io/client-go/pkg/version
  [ -x "$DIR/$1" ] && return 0
  command -v go >/dev/null || unavailable "$1 has to be built, and go is missing: install Go 1.25 or newer," \
    "or set KUBEBUILDER_ASSETS to a directory with ${ALL[*]}"
  case $1 in
    etcd) module=etcd package=. ;;
    kube-apiserver) package=./apiserver ;;
    kube-controller-manager) package=./controller-manager ;;
    kubectl) package=k8s.io/kubernetes/cmd/kubectl ;;
  esac
  minor=${KUBE#v1.}; minor=${minor%%.*}
  # Without these stamps the programs call themselves v0.0.0 and clients refuse or warn.
  rm -rf "$DIR/building"; mkdir -p "$DIR/building"
  logged "building $1" "$DIR/build.log" \
    env CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off go build -C "$module" -trimpath -o "$DIR/building/$1" \
    -ldflags "-s -w -X $stamp.gitVersion=$KUBE -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $client.gitVersion=$KUBE" "$package" \
    || { say "is the Go module proxy reachable? (go env GOPROXY: $(go env GOPROXY))"; exit 1; }
  mv "$DIR/building/$1" "$DIR/$1"
}
build_all() { # under a lock, so that two runs at once build once
  local n missing=0
  for n in "$@"; do [ -x "$DIR/$n" ] || missing=1; done
  ((missing)) || return 0
  lock "$DIR.lock"
  mkdir -p "$DIR"
  say "building what is missing of: $* (about 5 min on 2 cores the first time; kept in $DIR)"
  for n in "$@"; do build "$n"; done
  rm -rf "$DIR/building"
}

own=${KUBEBUILDER_ASSETS:-}
if [ -n "$own" ]; then
  for n in etcd kube-apiserver kubectl; do
    [ -x "$own/$n" ] || { say "KUBEBUILDER_ASSETS=$own has no $n"; exit 2; }
  done
  own=$(cd "$own" && pwd)
  if [ ! -x "$own/kube-controller-manager" ]; then
    # setup-envtest carries none. One of another minor version serves for what
    # is needed of it (garbage collection, namespaces, service accounts).
    say "KUBEBUILDER_ASSETS=$own has no kube-controller-manager: ours, $KUBE, goes with it"
    build_all kube-controller-manager
    mix="$DIR-with-$(printf %s "$own" | sha256sum | cut -c1-8)"
    mkdir -p "$mix"
    for n in etcd kube-apiserver kubectl; do ln -sfn "$own/$n" "$mix/$n"; done
    ln -sfn "$DIR/kube-controller-manager" "$mix/kube-controller-manager"
    own=$mix
  fi
  echo "$own"
  exit
fi
build_all "${ALL[@]}"
echo "$DIR"
