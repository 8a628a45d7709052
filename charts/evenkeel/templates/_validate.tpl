{{- /* What a schema cannot say, or not in words that help. */ -}}
{{- define "evenkeel.validate" -}}
{{- if not .Values.policies }}
  {{- fail "these are the values of an older chart alone: upgrade with --reset-then-reuse-values instead of --reuse-values" }}
{{- end }}
{{- if not .Values.crds.keep }}
  {{- fail "crds.keep: false is not possible any more: removing the release would have deleted every Server object. Leave crds.keep out; docs/install.md says how to remove the definitions by hand" }}
{{- end }}
{{- if and .Values.namespaces .Values.watchNamespaces }}
  {{- fail "namespaces is the former name of watchNamespaces: give watchNamespaces alone" }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
  {{- fail "serviceAccount.create is false: serviceAccount.name has to name an existing ServiceAccount" }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled }}
  {{- fail "metrics.podMonitor and metrics.serviceMonitor would count everything twice: enable one of them" }}
{{- end }}
{{- if and .Values.rbac.aggregate (include "evenkeel.watchNamespaces" . | fromJsonArray) }}
  {{- fail "rbac.aggregate needs ClusterRoles, and with watchNamespaces there are none: leave out one of the two" }}
{{- end }}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/part-of" "app.kubernetes.io/instance" "app.kubernetes.io/managed-by" "app.kubernetes.io/version" "helm.sh/chart" }}
  {{- if or (hasKey $.Values.labels $key) (hasKey $.Values.podLabels $key) }}
    {{- fail (printf "labels and podLabels: %s is the chart's own" $key) }}
  {{- end }}
{{- end }}
{{- end }}
