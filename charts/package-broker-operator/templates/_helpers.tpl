{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The reference of an image: list of the chart's context and the image's values. */}}
{{- define "operator.image" -}}
{{- $context := index . 0 -}}
{{- $image := index . 1 -}}
{{- $repository := $image.repository -}}
{{- with $context.Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . $repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default $context.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Rules that the operator needs where it looks after brokers. Each says what for. */}}
{{- define "operator.rules" -}}
# What users declare: watched.
- apiGroups: [package.broker]
  resources: [packagebrokers, repositories, accesstokens]
  verbs: [list, watch]
# What is said of it.
- apiGroups: [package.broker]
  resources: [packagebrokers/status, repositories/status, accesstokens/status]
  verbs: [patch]
# Secrets that users name are read when they are needed; of all others only metadata is watched. Those of tokens and of
# brokers' state are made.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
# What a broker runs on.
- apiGroups: [""]
  resources: [services, persistentvolumeclaims, configmaps]
  verbs: [list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch]
# Migrations and syncs of brokers with a database.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, delete]
# What stands around it, as far as a PackageBroker asks for it. One of the name that is there already is looked at before
# anything is made; what is no longer asked for is deleted.
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
{{- if not .Values.watch.namespaces }}
# Brokers may take objects from namespaces with certain labels.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
# Pods are marked when their state has changed, so that their node looks at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch]
# Events tell of what changed.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
