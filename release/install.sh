#!/usr/bin/env bash
# install.sh IMAGE [FOLDER]: everything of deploy/default (or another folder of deploy/) in one text, with that image. What is
# applied before and stays has no image: kubectl kustomize deploy/protection, deploy/foundation.
set -euo pipefail
image=${1:?usage: install.sh IMAGE [FOLDER]}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kubectl kustomize "${2:-deploy/default}" | sed "s|^\( *- *\)\{0,1\}\( *\)image: evenkeel:[^ ]*$|\1\2image: $image|"
