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

{{/* Labels of every object. Those of the chart count more than those of people: objects are found by them. */}}
{{- define "operator.labels" -}}
{{- $own := include "operator.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_") -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $own (default dict .Values.commonLabels)) -}}
{{- end -}}

{{- define "operator.podLabels" -}}
{{- toYaml (merge (include "operator.labels" . | fromYaml) (default dict .Values.podLabels)) -}}
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
{{- with default $image.registry $context.Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default $context.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Not empty where a kind of others is to be made: list of the context, what values say, and the kind. */}}
{{- define "operator.renders" -}}
{{- $context := index . 0 -}}
{{- $render := index . 1 -}}
{{- $known := $context.Capabilities.APIVersions.Has (index . 2) -}}
{{- if or (eq $render "always") (and (eq $render "auto") $known) }}yes{{ end -}}
{{- end -}}

{{/* A security context: list of the chart's context and the values. OpenShift gives each namespace users of its own. */}}
{{- define "operator.securityContext" -}}
{{- $context := index . 0 -}}
{{- $security := default dict (index . 1) -}}
{{- if include "operator.renders" (list $context $context.Values.openshift.adapt "security.openshift.io/v1") -}}
{{- $security = omit $security "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- with $security }}{{ toYaml . }}{{ end -}}
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
# Secrets that users name are read when they are needed; of all others only metadata is watched, which Kubernetes cannot
# grant apart. Those of tokens and of brokers' state are made, and put right again. None is deleted.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
# What a broker runs on: made, put right again, and left to Kubernetes to delete with its owner.
- apiGroups: [""]
  resources: [services, persistentvolumeclaims, configmaps]
  verbs: [list, watch, create, patch]
# The pods of a broker.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch]
# Migrations and syncs of brokers with a database; those that are over are deleted.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, delete]
# What stands around it, as far as a PackageBroker asks for it. One of the name that is there already is looked at before
# anything is made; what is no longer asked for is deleted. `spec.expose.ingress` and `spec.networkPolicy`:
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# `spec.autoscaling`, in the same way.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# What keeps nodes from being emptied of all pods of a broker at once, in the same way.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# `spec.expose.gateway`, in the same way.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# `spec.monitoring`, in the same way.
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
