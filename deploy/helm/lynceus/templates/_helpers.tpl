{{- define "lynceus.agent" -}}
{{- $release := contains "lynceus" .Release.Name | ternary .Release.Name (printf "%s-lynceus" .Release.Name) -}}
{{- .Values.fullnameOverride | default $release | trunc 57 | trimSuffix "-" }}-agent
{{- end }}

{{- define "lynceus.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "lynceus.agent" .) }}
{{- end }}

{{- /* What a DaemonSet selects by cannot change: nothing here may depend on a version. */}}
{{- define "lynceus.selector" -}}
app.kubernetes.io/name: lynceus
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: agent
{{- end }}

{{- define "lynceus.labels" -}}
{{ include "lynceus.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "lynceus.pairs" -}}
{{- $pairs := list -}}
{{- range $name, $value := . -}}
{{- $pairs = append $pairs (printf "%s=%s" $name (toString $value)) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end }}

{{- /* The command line, as YAML. */}}
{{- define "lynceus.arguments" -}}
- agent
- --default={{ .Values.default }}
- --detail={{ .Values.detail }}
{{- range .Values.envAttributes }}
- {{ printf "--env-attribute=%s" . | quote }}
{{- end }}
{{- range .Values.labelAttributes }}
- {{ printf "--label-attribute=%s" . | quote }}
{{- end }}
{{- range .Values.annotationAttributes }}
- {{ printf "--annotation-attribute=%s" . | quote }}
{{- end }}
{{- if .Values.keepInstrumented }}
- --keep-instrumented
{{- end }}
{{- range $name, $value := .Values.limits }}
{{- if not (kindIs "invalid" $value) }}
- --{{ kebabcase $name }}={{ int64 $value }}
{{- end }}
{{- end }}
- --capture={{ .Values.capture }}
{{- with .Values.otlp.metricsEndpoint }}
- {{ printf "--otlp-metrics=%s" . | quote }}
{{- end }}
{{- with .Values.admin.port }}
- {{ printf "--admin=[::]:%d" (int .) | quote }}
{{- end }}
{{- if .Values.pin.enabled }}
- --pin=/host/sys/fs/bpf/{{ include "lynceus.agent" . }}
- --daemon-set={{ include "lynceus.agent" . }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
