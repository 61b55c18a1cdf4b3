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

{{- /* The file of `lynceus agent --config`. */}}
{{- define "lynceus.config" -}}
{{- $values := .Values -}}
{{- $config := pick $values "default" "detail" "capture" -}}
{{- range $name := list "envAttributes" "labelAttributes" "annotationAttributes" "keepInstrumented" -}}
{{- with get $values $name }}{{ $_ := set $config $name . }}{{ end -}}
{{- end -}}
{{- range $name, $value := $values.limits -}}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $config $name (int64 $value) }}{{ end -}}
{{- end -}}
{{- with $values.otlp.metricsEndpoint }}{{ $_ := set $config "otlpMetrics" . }}{{ end -}}
{{- with $values.admin.port }}{{ $_ := set $config "admin" (printf "[::]:%d" (int .)) }}{{ end -}}
{{- toYaml $config }}
{{- end }}
