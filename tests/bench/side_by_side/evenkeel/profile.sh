# What side_by_side.sh needs to know of a controller: this one. Sourced by it, with $kubeconfig, $clouds (a clouds.yaml
# behind the counting proxy), $log and kube(). Another controller is another folder with the same functions.
name=evenkeel
kind=servers.evenkeel.dev

# Installs what the controller needs, starts it, and leaves its process id in $pid.
begin() {
  tests/env/kubernetes/install.sh "$kubeconfig" "$run/controller.kubeconfig"
  user=system:serviceaccount:evenkeel-system:evenkeel
  KUBECONFIG=$run/controller.kubeconfig "$binary" run --allow-insecure-endpoints --admin-address 127.0.0.1:0 >"$log" 2>&1 &
  pid=$!
  kube create secret generic clouds --from-file=clouds.yaml="$clouds" >/dev/null
  kube apply -f - >/dev/null <<'Y'
apiVersion: evenkeel.dev/v1alpha1
kind: ProviderConfig
metadata: {name: real}
spec:
  openstack: {secretRef: {name: clouds}, cloud: demo}
  requests: {perSecond: 50, burst: 100, inFlight: 20}
  maxCreatesInFlight: 50
Y
  kube wait --for=condition=Ready providerconfig/real --timeout=60s >/dev/null
}

# The manifest of one server, on standard output.
manifest() {
  cat <<Y
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: $1}
spec:
  providerConfigRef: {name: real}
  size: {name: m1.tiny}
  image: {name: cirros}
  deletion: {powerOff: None}
Y
}

# Waits until servers, given by name, are as declared.
ready() { kube wait --for=condition=Ready "${@/#/server/}" --timeout=600s >/dev/null; }

# The cloud's id of a server.
id_of() { kube get server "$1" -o jsonpath='{.status.id}'; }
