{{- define "serinus.analyzer.settings" -}}
{{- if .shared.prometheus.install }}
SERINUS_METRICS_SERVER: http://{{ include "serinus.fullname" .root }}-prometheus:9090
{{- else }}
SERINUS_METRICS_SERVER: {{ .shared.metricsServer | quote }}
{{- end }}
SERINUS_NO_CROSS_NAMESPACE_REFS: {{ .shared.noCrossNamespaceRefs | quote }}
SERINUS_LABELLED_SECRETS_ONLY: {{ .shared.labelledSecretsOnly | quote }}
SERINUS_DRY_RUN: {{ .shared.dryRun | quote }}
{{- with .shared.meshProvider }}
SERINUS_MESH_PROVIDER: {{ . | quote }}
{{- end }}
{{- with .shared.ingressAnnotationsPrefix }}
SERINUS_INGRESS_ANNOTATIONS_PREFIX: {{ . | quote }}
{{- end }}
{{- with .shared.ingressClass }}
SERINUS_INGRESS_CLASS: {{ . | quote }}
{{- end }}
{{- with .root.Values.loadtester }}
{{- if and .enabled (not .open) }}
SERINUS_LOADTESTER_URLS: {{ include "serinus.loadtester.urls" $ | quote }}
SERINUS_LOADTESTER_TOKEN_FILE: /etc/serinus/hooks/token
{{- end }}
{{- end }}
{{- end }}

{{/* Every spelling of its address, as hooks may use any. */}}
{{- define "serinus.loadtester.urls" -}}
{{- $port := .root.Values.loadtester.service.port }}
{{- $name := printf "http://%s-loadtester" (include "serinus.fullname" .root) }}
{{- $urls := list }}
{{- range list "" (printf ".%s" .root.Release.Namespace) (printf ".%s.svc" .root.Release.Namespace) (printf ".%s.svc.cluster.local" .root.Release.Namespace) }}
{{- $urls = append $urls (printf "%s%s:%v" $name . $port) }}
{{- end }}
{{- join "," $urls }}
{{- end }}
