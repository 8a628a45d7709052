#!/usr/bin/env bash
# install.sh KUBECONFIG OUT: everything of deploy/foundation and deploy/default but the Deployment, and with the admission policies unbound (what
# the controller itself does of a protected object is to be seen), into the cluster of an administrator's KUBECONFIG, for a controller that runs as a process beside it. Writes to OUT a kubeconfig with a token of the
# controller's own ServiceAccount, good for 8 hours. A Deployment that is in the cluster already is left alone.
set -euo pipefail
admin=$1 out=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
kube() { kubectl --kubeconfig "$admin" "$@"; }

for part in foundation default; do
  kubectl kustomize "$root/deploy/$part"
  echo ---
done |
  awk 'BEGIN { RS = ORS = "---\n" } ("\n" $0) !~ /\nkind: (Deployment|ValidatingAdmissionPolicyBinding)\n/' |
  kube apply -f - >/dev/null
# `kubectl wait` refuses an object that has no status yet.
for _ in $(seq 10); do
  established=0
  kube wait --for=condition=Established crd/servers.evenkeel.dev crd/providerconfigs.evenkeel.dev crd/servergroups.evenkeel.dev crd/serveractions.evenkeel.dev \
    --timeout=30s >/dev/null 2>&1 && { established=1; break; }
  sleep 1
done
[ "$established" = 1 ] || { echo "the definitions are not established" >&2; exit 1; }
token=$(kube -n evenkeel-system create token evenkeel --duration 8h)
(umask 077 && kube config view --raw --flatten --minify >"$out")
kubectl --kubeconfig "$out" config set-credentials evenkeel --token "$token" >/dev/null
kubectl --kubeconfig "$out" config set-context --current --user evenkeel >/dev/null
# The administrator's own credentials have no place in it.
for user in $(kubectl --kubeconfig "$out" config view -o jsonpath='{.users[*].name}'); do
  [ "$user" = evenkeel ] || kubectl --kubeconfig "$out" config unset "users.$user" >/dev/null
done
