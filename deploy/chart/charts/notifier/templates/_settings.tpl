{{/* Addresses with passwords in them by the names of their keys in the Secret. */}}
{{- define "serinus.notifier.secrets" -}}
{{- with .shared.slack.url }}
slack-url: {{ . | quote }}
{{- end }}
{{- with .shared.slack.token }}
slack-token: {{ . | quote }}
{{- end }}
{{- with .shared.msteams.url }}
msteams-url: {{ . | quote }}
{{- end }}
{{- with .shared.eventWebhook }}
event-webhook: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "serinus.notifier.settings" -}}
{{- $keys := include "serinus.notifier.secrets" . | fromYaml | keys | sortAlpha }}
{{- if .own.secret.name }}
{{- $keys = .own.secret.keys }}
{{- end }}
SERINUS_NO_CROSS_NAMESPACE_REFS: {{ .shared.noCrossNamespaceRefs | quote }}
SERINUS_LABELLED_SECRETS_ONLY: {{ .shared.labelledSecretsOnly | quote }}
{{- range $keys }}
SERINUS_{{ . | upper | replace "-" "_" }}_FILE: /etc/serinus/channels/{{ . }}
{{- end }}
{{- with .shared.clusterName }}
SERINUS_CLUSTER_NAME: {{ . | quote }}
{{- end }}
{{- with .shared.slack.channel }}
SERINUS_SLACK_CHANNEL: {{ . | quote }}
{{- end }}
{{- with .shared.slack.user }}
SERINUS_SLACK_USER: {{ . | quote }}
{{- end }}
{{- with .shared.slack.proxyUrl | default .shared.slack.proxy }}
SERINUS_SLACK_PROXY_URL: {{ . | quote }}
{{- end }}
{{- with .shared.msteams.proxyUrl }}
SERINUS_MSTEAMS_PROXY_URL: {{ . | quote }}
{{- end }}
{{- with .own.dashboardUrl }}
SERINUS_DASHBOARD_URL: {{ . | quote }}
{{- end }}
{{- end }}
