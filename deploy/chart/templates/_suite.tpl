{{/* How the services of the suite find and trust the bus, and what all of them are told. Takes the dict of _service.tpl. */}}

{{- define "serinus.bus.secret" -}}
{{- .root.Values.nats.auth.existingSecret | default (printf "%s-nats" (include "serinus.fullname" .root)) }}
{{- end }}

{{- define "serinus.bus.settings" -}}
{{- $nats := .root.Values.nats }}
{{- $secure := or (and $nats.enabled $nats.tls.enabled) (and (not $nats.enabled) $nats.external.ca) }}
{{- if $nats.enabled }}
SERINUS_NATS_URL: {{ ternary "tls" "nats" $nats.tls.enabled }}://{{ include "serinus.fullname" .root }}-nats:4222
SERINUS_STREAM_REPLICAS: {{ ternary 3 1 (ge (int $nats.replicas) 3) | quote }}
{{- else }}
SERINUS_NATS_URL: {{ $nats.external.url | quote }}
SERINUS_STREAM_REPLICAS: {{ $nats.external.replicas | quote }}
{{- end }}
SERINUS_NATS_USER: {{ .service }}
SERINUS_NATS_PASSWORD_FILE: /etc/serinus/bus/password
{{- if $secure }}
SERINUS_NATS_CA: /etc/serinus/bus/ca.crt
{{- end }}
{{- end }}

{{- define "serinus.bus.volume" -}}
{{- $nats := .root.Values.nats }}
{{- $ca := and (not $nats.enabled) $nats.external.ca }}
projected:
  sources:
    {{- if or $ca (ne .service "loadtester") }}
    - secret:
        name: {{ include "serinus.bus.secret" . }}
        items:
          {{- if ne .service "loadtester" }}
          - {key: {{ .service }}, path: password}
          {{- end }}
          {{- if $ca }}
          - {key: ca.crt, path: ca.crt}
          {{- end }}
    {{- end }}
    {{- if and $nats.enabled $nats.tls.enabled }}
    - secret:
        name: {{ $nats.tls.existingSecret | default (printf "%s-nats-tls" (include "serinus.fullname" .root)) }}
        items:
          - {key: ca.crt, path: ca.crt}
    {{- end }}
{{- end }}

{{- define "serinus.common.settings" -}}
{{- include "serinus.bus.settings" . }}
SERINUS_LOG_LEVEL: {{ .shared.logLevel | upper }}
{{- with .shared.namespace }}
SERINUS_NAMESPACE: {{ . }}
{{- end }}
{{- with .shared.otlpEndpoint }}
SERINUS_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Ports of the addresses of NATS servers: takes urls, comma separated, and the usual port. */}}
{{- define "serinus.bus.ports" -}}
{{- $ports := list }}
{{- range splitList "," .urls }}
{{- $url := urlParse (trim .) }}
{{- $usual := get (dict "ws" 80 "wss" 443) $url.scheme | default $.usual }}
{{- $ports = append $ports (regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default $usual | int) }}
{{- end }}
{{- uniq $ports | toYaml }}
{{- end }}

{{/* One rule of a policy: takes ports, protocols, and peers (empty: any address). */}}
{{- define "serinus.egress.rule" }}
- ports:
    {{- range $port := .ports }}
    {{- range $.protocols | default (list "TCP") }}
    - {port: {{ $port }}, protocol: {{ . }}}
    {{- end }}
    {{- end }}
  {{- with .peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* NATS servers of the user's own: takes urls, the usual port, and peers. */}}
{{- define "serinus.egress.bus" -}}
{{- include "serinus.egress.rule" (dict "ports" (include "serinus.bus.ports" . | fromYamlArray) "peers" .peers) }}
{{- end }}

{{/* What a service may reach. Behind a Service are pods: their addresses and ports count. */}}
{{- define "serinus.egress" -}}
{{- $egress := .shared.networkPolicy.egress }}
{{- include "serinus.egress.rule" (merge (dict "protocols" (list "UDP" "TCP")) $egress.dns) }}
{{- if .token }}
{{- include "serinus.egress.rule" $egress.apiServer }}
{{- end }}
{{- $inside := dict }}
{{- if .shared.nats.enabled }}
{{- $_ := set $inside "nats" (ternary 6222 4222 (eq .service "nats")) }}
{{- else }}
{{- include "serinus.egress.bus" (dict "urls" .shared.nats.external.url "usual" 4222 "peers" $egress.bus.peers) }}
{{- end }}
{{- if eq .service "analyzer" }}
{{- if .shared.loadtester.enabled }}
{{- $_ := set $inside "loadtester" 9090 }}
{{- end }}
{{- if .shared.coordinator.enabled }}
{{- $_ := set $inside "coordinator" 8090 }}
{{- end }}
{{- if .shared.prometheus.install }}
{{- $_ := set $inside "prometheus" 9090 }}
{{- end }}
{{- end }}
{{- range $service, $port := $inside }}
{{- $labels := include "serinus.selector" (dict "root" $.root "service" $service) | fromYaml }}
{{- include "serinus.egress.rule" (dict "ports" (list $port) "peers" (list (dict "podSelector" (dict "matchLabels" $labels)))) }}
{{- end }}
{{- if and (eq .service "coordinator") .own.fleet.url }}
{{- include "serinus.egress.bus" (dict "urls" .own.fleet.url "usual" 4222 "peers" $egress.bus.peers) }}
{{- end }}
{{- if and (eq .service "nats") .shared.fleet.leaf.url }}
{{- include "serinus.egress.bus" (dict "urls" .shared.fleet.leaf.url "usual" 7422 "peers" $egress.bus.peers) }}
{{- end }}
{{- with concat $egress.to.all (get $egress.to .service) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What a schema cannot say. */}}
{{- define "serinus.checks" -}}
{{- if and .Values.slack.url (not .Values.slack.channel) }}
{{- fail "slack.channel: required where slack.url is set" }}
{{- end }}
{{- if and (not .Values.nats.enabled) (not .Values.nats.external.url) }}
{{- fail "nats.external.url: required where nats.enabled is false; e.g. nats://nats.messaging:4222" }}
{{- end }}
{{- if and (not .Values.nats.enabled) (not .Values.nats.auth.existingSecret) }}
{{- fail "nats.auth.existingSecret: required where nats.enabled is false; a Secret with a password for each of watcher, analyzer, router, notifier, loadtester" }}
{{- end }}
{{- if and .Values.fleet.hub.clusters .Values.fleet.leaf.url }}
{{- fail "fleet.leaf.url: a hub is no leaf; leave it out, or fleet.hub.clusters" }}
{{- end }}
{{- if or .Values.fleet.hub.clusters .Values.fleet.leaf.url }}
{{- if not (and .Values.nats.enabled .Values.coordinator.enabled) }}
{{- fail "fleet: needs coordinator.enabled and nats.enabled; for NATS servers of yours set coordinator.fleet" }}
{{- end }}
{{- if .Values.coordinator.fleet.url }}
{{- fail "coordinator.fleet.url: clusters meet by fleet.hub or fleet.leaf; leave one of both out" }}
{{- end }}
{{- if has .Values.coordinator.cluster (append .Values.fleet.hub.clusters "local") }}
{{- fail (printf "coordinator.cluster: %q is no name of this cluster's own in the fleet; write one like eu-west-1" .Values.coordinator.cluster) }}
{{- end }}
{{- end }}
{{- with .Values.fleet.hub }}
{{- if and .clusters .tls.enabled (not .tls.existingSecret) (not .tls.hosts) }}
{{- fail "fleet.hub.tls.hosts: required without fleet.hub.tls.existingSecret; the names by which leaves reach the hub" }}
{{- end }}
{{- end }}
{{- if and .Values.fleet.leaf.url (not .Values.fleet.leaf.existingSecret) }}
{{- fail "fleet.leaf.existingSecret: required with fleet.leaf.url; the hub's NOTES say how to fetch it" }}
{{- end }}
{{- if and .Values.networkPolicy.egress.enabled (not .Values.networkPolicy.enabled) }}
{{- fail "networkPolicy.egress.enabled: needs networkPolicy.enabled" }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.name: required where serviceAccount.create is false" }}
{{- end }}
{{- if dig "controlplane" "kubeconfig" "secretName" "" .Values.AsMap }}
{{- fail "controlplane.kubeconfig: a mesh whose control plane is in another cluster is not supported; install the suite where the mesh's objects are" }}
{{- end }}
{{- end }}

{{/* Flagger's default affinity names its own template. */}}
{{- define "flagger.name" -}}
{{- include "serinus.name" . }}
{{- end }}
