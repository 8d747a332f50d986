{{- define "simplepipe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains "simplepipe" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-simplepipe" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "simplepipe.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "simplepipe.selectorLabels" -}}
app.kubernetes.io/name: simplepipe
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Never managed-by: simplepipe. That is how the operator knows what it has made itself. */}}
{{- define "simplepipe.labels" -}}
{{ include "simplepipe.commonLabels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "simplepipe.commonLabels" -}}
{{ include "simplepipe.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "simplepipe.settings" -}}
{{- toYaml (merge (dict "leaseName" (include "simplepipe.fullname" .)) .Values.settings) }}
{{- end -}}

{{- define "simplepipe.serviceMonitor" -}}
{{- if eq (toString .Values.serviceMonitor.enabled) "auto" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor" }}yes{{ end -}}
{{- else if .Values.serviceMonitor.enabled }}yes{{ end -}}
{{- end -}}
