{{- /* What tells our objects from others. The selector of the Deployment is the first of them alone, for ever. */ -}}
{{- define "evenkeel.labels" -}}
app.kubernetes.io/name: evenkeel
app.kubernetes.io/part-of: evenkeel
{{- end }}

{{- define "evenkeel.managedLabels" -}}
{{ include "evenkeel.labels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Labels and annotations of an object. */ -}}
{{- define "evenkeel.marks" -}}
labels:
  {{- include "evenkeel.managedLabels" . | nindent 2 }}
{{- with .Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "evenkeel.serviceAccount" -}}
{{ .Values.serviceAccount.name | default "evenkeel" }}
{{- end }}

{{- define "evenkeel.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* The namespaces that are served, as JSON. */ -}}
{{- define "evenkeel.watchNamespaces" -}}
{{ .Values.watchNamespaces | default .Values.namespaces | toJson }}
{{- end }}

{{- define "evenkeel.env" -}}
- name: EVENKEEL_LEASE_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: EVENKEEL_ADMIN_ADDRESS
  value: 0.0.0.0:8080
- name: EVENKEEL_LOG_FORMAT
  value: {{ .Values.logFormat }}
{{- with include "evenkeel.watchNamespaces" . | fromJsonArray }}
- name: EVENKEEL_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- if .Values.shareAccounts }}
- name: EVENKEEL_SHARE_ACCOUNTS
  value: "true"
{{- end }}
{{- if .Values.consoleOutput.enabled }}
- name: EVENKEEL_CONSOLE_OUTPUT
  value: "true"
{{- end }}
{{- with .Values.logLevel }}
- name: RUST_LOG
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "evenkeel.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "evenkeel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* What the controller does where it serves; the subcommand `doctor` asks for the same. */ -}}
{{- define "evenkeel.rules" -}}
- apiGroups: [evenkeel.dev]
  resources: [servers, servergroups, providerconfigs]
  verbs: [get, list, watch]
- apiGroups: [evenkeel.dev]
  resources: [serveractions]
  verbs: [list, watch]
# Finalizers; of a ServerAction also the Server that owns it.
- apiGroups: [evenkeel.dev]
  resources: [servers, servergroups, serveractions]
  verbs: [patch]
# Those whose spec.ttlAfterFinished is over.
- apiGroups: [evenkeel.dev]
  resources: [serveractions]
  verbs: [delete]
- apiGroups: [evenkeel.dev]
  resources: [servers/status, servergroups/status, serveractions/status, providerconfigs/status]
  verbs: [update]
# Only those that an object names; there is no list of them and no watch.
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.rbac.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get]
{{- if .Values.rbac.writeSecrets }}
# For spec.credentialsSecretName and remoteConsole alone: one is made where there is none, and only one whose ownerReference
# names the object is written again. Nothing else is ever written; take these two away where neither is used.
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.rbac.secretNames }}
  # A name cannot be required of what does not exist yet.
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [update]
  {{- else }}
  verbs: [create, update]
  {{- end }}
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.consoleOutput.enabled }}
# For consoleOutput alone.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
{{- end }}
{{- end }}

{{- define "evenkeel.subject" -}}
- kind: ServiceAccount
  name: {{ include "evenkeel.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
