{{- define "simplepipe.name" -}}
{{- .Values.nameOverride | default "simplepipe" -}}
{{- end -}}

{{- define "simplepipe.fullname" -}}
{{- $name := include "simplepipe.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "simplepipe.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "simplepipe.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Two names for one value: `replicas` was here first, and `replicaCount` is what other charts call it. */}}
{{- define "simplepipe.replicas" -}}
{{- $one := .Values.replicas -}}
{{- $other := .Values.replicaCount -}}
{{- if kindIs "invalid" $other -}}
{{- kindIs "invalid" $one | ternary 1 $one -}}
{{- else if kindIs "invalid" $one -}}
{{- $other -}}
{{- else if ne (int $one) (int $other) -}}
{{- fail (printf "replicas is %d and replicaCount is %d; they mean the same, so set only one of them" (int $one) (int $other)) -}}
{{- else -}}
{{- $one -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with include "simplepipe.registry" . -}}
{{- $repository = printf "%s/%s" . (include "simplepipe.withoutRegistry" $repository) -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* An image without a registry in its name may be one that only the nodes have, so it stays as it is. */}}
{{- define "simplepipe.gatewayImage" -}}
{{- $image := .Values.settings.gatewayImage -}}
{{- $path := include "simplepipe.withoutRegistry" $image -}}
{{- $registry := include "simplepipe.registry" . -}}
{{- if and $registry (ne $path $image) -}}
{{- printf "%s/%s" $registry $path -}}
{{- else -}}
{{- $image -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.registry" -}}
{{- (.Values.global).imageRegistry | default "" | trimSuffix "/" -}}
{{- end -}}

{{/* The first part of an image's name is a registry if it has a dot or a port, or is `localhost`: Docker's rule. */}}
{{- define "simplepipe.withoutRegistry" -}}
{{- regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" . "" -}}
{{- end -}}

{{/* A name that stands in both lists stands here once. */}}
{{- define "simplepipe.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (.Values.imagePullSecrets | default list) ((.Values.global).imagePullSecrets | default list) -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.selectorLabels" -}}
app.kubernetes.io/name: {{ include "simplepipe.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "simplepipe.labels" -}}
{{ include "simplepipe.labelsOf" (list . "operator") }}
{{- end -}}

{{/*
Of the root, a component and, if there are any, its own labels, which win over `commonLabels`.
Never managed-by: simplepipe. That is how the operator knows what it has made itself.
*/}}
{{- define "simplepipe.labelsOf" -}}
{{- $root := first . -}}
{{ include "simplepipe.selectorLabels" $root }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/component: {{ index . 1 }}
{{- range $label, $_ := $root.Values.commonLabels }}
{{- /* The last one would give the operator's rights to whoever has a role of the cluster. */}}
{{- if regexMatch "^(app.kubernetes.io/(name|instance|version|component|managed-by)|helm.sh/chart|rbac.authorization.k8s.io/.*)$" $label }}
{{- fail (printf "commonLabels: %s is a label that the chart itself sets; leave it out" $label) }}
{{- end }}
{{- end }}
{{- with mergeOverwrite (dict) ($root.Values.commonLabels | default dict) (index (append . dict) 2 | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "simplepipe.podSecurityContext" -}}
{{- include "simplepipe.mergedOver" (list .Values.podSecurityContext (include "simplepipe.securePod" .)) -}}
{{- end -}}

{{- define "simplepipe.securityContext" -}}
{{- include "simplepipe.mergedOver" (list .Values.securityContext (include "simplepipe.secureContainer" .)) -}}
{{- end -}}

{{- define "simplepipe.securePod" -}}
runAsNonRoot: true
{{- if ne .Values.settings.gatewayUserIds "cluster" }}
runAsUser: 65532
runAsGroup: 65532
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "simplepipe.secureContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Of values and the text of defaults: where there are no values, the text as it is. */}}
{{- define "simplepipe.mergedOver" -}}
{{- with first . -}}
{{- toYaml (mergeOverwrite (fromYaml (last $)) (deepCopy .)) -}}
{{- else -}}
{{- last . -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.probeTimings" -}}
{{- $timings := . -}}
{{- $lines := list -}}
{{- range list "initialDelaySeconds" "periodSeconds" "timeoutSeconds" "failureThreshold" "successThreshold" -}}
{{- $number := get $timings . -}}
{{- if not (has (kindOf $number) (list "string" "invalid")) -}}
{{- $lines = append $lines (printf "%s: %d" . (int $number)) -}}
{{- end -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- end -}}

{{/* Of a duration such as 1m30s. */}}
{{- define "simplepipe.seconds" -}}
{{- $hours := regexFind "[0-9]+h" . | trimSuffix "h" | int -}}
{{- $minutes := regexFind "[0-9]+m" . | trimSuffix "m" | int -}}
{{- $seconds := regexFind "[0-9]+s" . | trimSuffix "s" | int -}}
{{- add (mul 3600 $hours) (mul 60 $minutes) $seconds -}}
{{- end -}}

{{/* The operator takes a flag before a variable before its settings file. Other fields must not say otherwise. */}}
{{- define "simplepipe.checkExtras" -}}
{{- $followed := list "config" "listen" "leader-election" "lease-name" "lease-namespace" "identity" "gateway-user-ids" "shutdown-timeout-seconds" -}}
{{- $variables := list "POD_NAME" "POD_NAMESPACE" -}}
{{- range $followed -}}
{{- $variables = append $variables (printf "SIMPLEPIPE_%s" (. | upper | replace "-" "_")) -}}
{{- end -}}
{{- range .Values.extraArgs -}}
{{- if has (splitList "=" . | first | trimPrefix "--") $followed -}}
{{- fail (printf "extraArgs: %s: other fields of the chart follow this; use `settings`" .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if has .name $variables -}}
{{- fail (printf "extraEnv: %s: other fields of the chart follow this; use `settings`" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.settings" -}}
{{- $settings := dict "leaseName" (include "simplepipe.fullname" .) -}}
{{- if .Values.settings.gatewayImage -}}
{{- $_ := set $settings "gatewayImage" (include "simplepipe.gatewayImage" .) -}}
{{- end -}}
{{- toYaml (merge $settings .Values.settings) }}
{{- end -}}

{{- define "simplepipe.serviceMonitor" -}}
{{- if eq (toString .Values.serviceMonitor.enabled) "auto" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor" }}yes{{ end -}}
{{- else if .Values.serviceMonitor.enabled }}yes{{ end -}}
{{- end -}}
