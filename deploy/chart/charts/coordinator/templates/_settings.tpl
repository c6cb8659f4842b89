{{- define "serinus.coordinator.settings" -}}
SERINUS_CLUSTER: {{ .own.cluster | quote }}
{{- if or .shared.fleet.hub.clusters .shared.fleet.leaf.url }}
{{- $bus := include "serinus.bus.settings" . | fromYaml }}
SERINUS_FLEET_URL: {{ $bus.SERINUS_NATS_URL | quote }}
SERINUS_FLEET_USER: fleet
SERINUS_FLEET_PASSWORD_FILE: /etc/serinus/fleet/password
{{- if $bus.SERINUS_NATS_CA }}
SERINUS_FLEET_CA: /etc/serinus/fleet/ca.crt
{{- end }}
{{- else }}
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
{{- end }}
