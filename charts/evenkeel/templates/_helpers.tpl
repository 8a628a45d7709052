{{- define "evenkeel.labels" -}}
app.kubernetes.io/name: evenkeel
app.kubernetes.io/part-of: evenkeel
{{- end }}

{{- define "evenkeel.managedLabels" -}}
{{ include "evenkeel.labels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "evenkeel.rules" -}}
- apiGroups: [evenkeel.dev]
  resources: [servers, servergroups, providerconfigs]
  verbs: [get, list, watch]
# Finalizers.
- apiGroups: [evenkeel.dev]
  resources: [servers, servergroups]
  verbs: [update, patch]
- apiGroups: [evenkeel.dev]
  resources: [servers/status, servergroups/status, providerconfigs/status]
  verbs: [update, patch]
# Only those that an object names; there is no list of them and no watch.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# For spec.credentialsSecretName alone: one is made where there is none, and only one whose ownerReference names the
# Server is written again. Nothing else is ever written; take these two away where no Server uses that field.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
