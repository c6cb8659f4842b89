{{/*
The load tester, in the suite or by itself. Takes the dict of _service.tpl and:
  bus      settings of its connection to NATS
  files    volumes of that connection
  secrets  its password
What is secret is in its environment: commands that it runs could read files.
*/}}

{{/* A duration such as 1h or 90m in seconds. */}}
{{- define "serinus.seconds" -}}
{{- $units := dict "h" 3600 "m" 60 "s" 1 }}
{{- $seconds := 0 }}
{{- range regexFindAll "[0-9]+[hms]" . -1 }}
{{- $seconds = add $seconds (mul (int (regexFind "[0-9]+" .)) (get $units (regexFind "[hms]" .))) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- define "serinus.loadtester.settings" -}}
SERINUS_LOG_LEVEL: {{ .shared.logLevel | default .own.logLevel | upper }}
SERINUS_TIMEOUT_S: {{ include "serinus.seconds" .own.cmd.timeout | quote }}
SERINUS_OPEN: {{ .own.open | quote }}
{{- with .own.cmd.namespaceRegexp }}
SERINUS_NAMESPACE_REGEXP: {{ . | quote }}
{{- end }}
{{- with .own.rules }}
SERINUS_RULES: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "serinus.loadtester" -}}
{{- $token := .own.token.existingSecret | default .name }}
{{- $secrets := .secrets | default dict }}
{{- if not .own.open }}
{{- $secrets = set $secrets "SERINUS_TOKEN" (dict "name" $token "key" "token") }}
{{- end }}
{{- $settings := merge dict (include "serinus.loadtester.settings" . | fromYaml) (.bus | default dict) }}
{{- $more := dict "settings" $settings "secrets" $secrets "files" (.files | default dict) "replicas" .own.replicaCount "token" .own.rbac.create "ports" (dict "hooks" 9090) "annotations" .own.rbac.serviceAccountAnnotations }}
{{- $scope := merge (dict) $more . }}
{{- if and (gt (int .own.replicaCount) 1) (not (get (.bus | default dict) "SERINUS_NATS_URL")) }}
{{- fail "replicaCount of the load tester: more than one need NATS, where gates are kept; set natsUrl" }}
{{- end }}
{{- range list "appmesh" "istio" }}
{{- if (get $.own . | default dict).enabled }}
{{- fail (printf "%s.enabled: no routes of a mesh come with this chart; call the load tester's Service" .) }}
{{- end }}
{{- end }}
{{ include "serinus.deployment" $scope }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
spec:
  type: {{ .own.service.type }}
  selector:
    {{- include "serinus.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .own.service.port }}
      targetPort: hooks
{{- if not (or .own.open .own.token.existingSecret) }}
---
{{- $old := lookup "v1" "Secret" .root.Release.Namespace .name | default dict }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
data:
  token: {{ dig "data" "token" (randAlphaNum 32 | b64enc) $old }}
{{- end }}
{{- if not .own.serviceAccountName }}
---
{{ include "serinus.serviceAccount" $scope }}
{{- end }}
{{- if .own.rbac.create }}
---
{{ include "serinus.rights" (merge (dict "rules" .own.rbac.rules "namespace" (ternary "" .root.Release.Namespace (eq .own.rbac.scope "cluster"))) $scope) }}
{{- end }}
---
{{ include "serinus.budget" $scope }}
---
{{ include "serinus.networkPolicy" $scope }}
{{- end }}
