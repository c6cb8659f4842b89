{{- define "serinus.router.settings" -}}
SERINUS_CONFIG_TRACKING: {{ .shared.configTracking.enabled | quote }}
{{- with .shared.selectorLabels }}
SERINUS_SELECTOR_LABELS: {{ . | quote }}
{{- end }}
{{- with .shared.includeLabelPrefix }}
SERINUS_INCLUDE_LABEL_PREFIX: {{ . | quote }}
{{- end }}
{{- end }}
