{{- define "serinus.watcher.settings" -}}
SERINUS_CONFIG_TRACKING: {{ .shared.configTracking.enabled | quote }}
{{- with .shared.selectorLabels }}
SERINUS_SELECTOR_LABELS: {{ . | quote }}
{{- end }}
{{- end }}
