{{- define "serinus.coordinator.settings" -}}
SERINUS_CLUSTER: {{ .own.cluster | quote }}
{{- with .own.fleet }}
{{- if .url }}
SERINUS_FLEET_URL: {{ .url | quote }}
SERINUS_FLEET_USER: {{ .user | quote }}
{{- if .existingSecret }}
SERINUS_FLEET_PASSWORD_FILE: /etc/serinus/fleet/password
{{- end }}
{{- if .ca }}
SERINUS_FLEET_CA: /etc/serinus/fleet/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- end }}
