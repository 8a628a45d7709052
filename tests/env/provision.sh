#!/usr/bin/env bash
# Provisions the real parts that the tests run on, all at once, and says how
# long each took:  provision.sh [kubernetes] [openstack] [openstackclient]
#   [upcloudclient] [huaweiclient] [promtool] [helm] [argocd] [kstatus] [faketime]   (default: all).
# stdout carries settings for a shell to eval:
#   EVENKEEL_KUBE_BIN=...       directory of etcd, kube-apiserver, kube-controller-manager, kubectl
#   OS_CLIENT_CONFIG_FILE=...   clouds.yaml of the running OpenStack
#   EVENKEEL_OPENSTACK_CLIENT=...   the openstack command
#   EVENKEEL_UPCLOUD_CLIENT=...     a Python with UpCloud's own client
#   EVENKEEL_HELM=...           helm
#   EVENKEEL_HUAWEI_CLIENT=...      a Python with Huawei's own client for CloudDC
#   EVENKEEL_ARGOCD_BIN=...     directory of Argo CD's application controller and repository server
#   EVENKEEL_KSTATUS=...        the program that says what Flux makes of a status
#   EVENKEEL_PROMTOOL=...           promtool, which tests the alerts
#   EVENKEEL_FAKETIME=...       libfaketime, which sets the clock of one process
# Status 3: a part cannot be had on this machine (which one, and what it would
# need, is said); the settings of the other are printed nevertheless.
set -euo pipefail
ME=provision; HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/lib.sh"
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
all=(kubernetes openstack openstackclient upcloudclient huaweiclient promtool helm argocd kstatus faketime)
[ $# -gt 0 ] || set -- "${all[@]}"
declare -A job=()
declare -A command=([kubernetes]=kubernetes/provision.sh [openstack]=openstack/up.sh [openstackclient]=openstackclient.sh
  [upcloudclient]='pythonclient.sh upcloud' [huaweiclient]='pythonclient.sh huawei' [promtool]=promtool.sh [helm]=helm.sh
  [argocd]=argocd/provision.sh [kstatus]=kstatus/provision.sh [faketime]=faketime.sh)
declare -A setting=([kubernetes]=EVENKEEL_KUBE_BIN [openstack]=OS_CLIENT_CONFIG_FILE [openstackclient]=EVENKEEL_OPENSTACK_CLIENT
  [upcloudclient]=EVENKEEL_UPCLOUD_CLIENT [huaweiclient]=EVENKEEL_HUAWEI_CLIENT [promtool]=EVENKEEL_PROMTOOL
  [helm]=EVENKEEL_HELM [argocd]=EVENKEEL_ARGOCD_BIN [kstatus]=EVENKEEL_KSTATUS [faketime]=EVENKEEL_FAKETIME)
for part in "$@"; do
  [ -n "${command[$part]:-}" ] || { echo "usage: provision.sh ${all[*]/#/[}" | sed 's/\[\([a-z]*\)/[\1]/g' >&2; exit 2; }
done
run() { # run PART: leaves its result, status and time in $tmp
  local status=0 t=$SECONDS
  trap 'kill $p 2>/dev/null; wait $p; exit 130' INT TERM HUP
  # shellcheck disable=SC2086
  "$HERE"/${command[$1]} > "$tmp/$1.out" & p=$!
  wait $p || status=$?
  printf '%s %s\n' "$status" "$(elapsed $t)" > "$tmp/$1.end"
}
for part in "$@"; do run "$part" & job[$part]=$!; done
trap 'kill "${job[@]}" 2>/dev/null || true; wait; exit 130' INT TERM HUP
wait "${job[@]}" || true

worst=0
printf '\n%-15s %-18s %s\n' part took result >&2
for part in "$@"; do
  read -r status took < "$tmp/$part.end"; result=$(tail -n 1 "$tmp/$part.out")
  case $status in
    0) printf '%s=%q\n' "${setting[$part]}" "$result" ;;
    3) result='not available here, see above'; [ $worst != 0 ] || worst=3 ;;
    *) result="FAILED (status $status), see above"; worst=1 ;;
  esac
  printf '%-15s %-18s %s\n' "$part" "$took" "$result" >&2
done
exit $worst
