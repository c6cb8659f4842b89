{{/* The bus. Takes the dict of _service.tpl, `users` of deploy/nats, and `names` of more users. In a fleet:
`cluster`, our name in it, `rights` of one cluster, `hub` and `leaf` of the values. */}}

{{- define "serinus.nats.inFleet" -}}
{{- if or .hub.clusters .leaf.url }}yes{{ end }}
{{- end }}

{{/* The variable with the password of a cluster. */}}
{{- define "serinus.nats.variable" -}}
SERINUS_FLEET_{{ . | upper | replace "-" "_" }}_PASSWORD
{{- end }}

{{/* Clusters meet in an account of its own: nothing of the ring leaves it. */}}
{{- define "serinus.nats.fleet" -}}
accounts {
  FLEET {
    users: [
      {
        user: fleet
        password: $SERINUS_FLEET_PASSWORD
        {{- .rights | replace "CLUSTER" .cluster | nindent 8 }}
      }
      {{- range .hub.clusters }}
      {
        user: {{ . }}
        password: ${{ include "serinus.nats.variable" . }}
        {{- $.rights | replace "CLUSTER" . | nindent 8 }}
      }
      {{- end }}
    ]
  }
  RING {
    jetstream: enabled
    {{- .users | nindent 4 }}
  }
}
leafnodes {
  {{- if .hub.clusters }}
  listen: "0.0.0.0:7422"
  # Leaves know the address that was given to them, and no other way around it.
  no_advertise: true
  {{- if .hub.tls.enabled }}
  tls {
    cert_file: "/etc/serinus/hub/tls.crt"
    key_file: "/etc/serinus/hub/tls.key"
  }
  {{- end }}
  {{- else }}
  reconnect: "1s"
  remotes: [
    {
      url: $SERINUS_LEAF_URL
      account: FLEET
      {{- if .leaf.ca }}
      tls { ca_file: "/etc/serinus/leaf/ca.crt" }
      {{- end }}
    }
  ]
  {{- end }}
}
{{- end }}

{{- define "serinus.nats.config" -}}
{{- $cluster := gt (int .own.replicas) 1 }}
server_name: {{ ternary "$SERINUS_SERVER_NAME" "$POD_NAME" (not (empty (include "serinus.nats.inFleet" .))) }}
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
jetstream {
  store_dir: "/data"
  max_file_store: {{ .own.storageLimit }}
}
{{- if .own.tls.enabled }}
tls {
  cert_file: "/etc/serinus/tls/tls.crt"
  key_file: "/etc/serinus/tls/tls.key"
}
{{- end }}
{{- if $cluster }}
cluster {
  # Those of two clusters that meet must differ.
  name: {{ .name }}{{ if include "serinus.nats.inFleet" . }}-{{ .cluster }}{{ end }}
  listen: "0.0.0.0:6222"
  # Clients know one name only, which is in the certificate.
  no_advertise: true
  authorization {
    user: cluster
    password: $SERINUS_CLUSTER_PASSWORD
  }
  {{- if .own.tls.enabled }}
  tls {
    cert_file: "/etc/serinus/tls/tls.crt"
    key_file: "/etc/serinus/tls/tls.key"
    ca_file: "/etc/serinus/tls/ca.crt"
    verify: true
  }
  {{- end }}
}
{{- end }}
{{- if include "serinus.nats.inFleet" . }}
{{ include "serinus.nats.fleet" . }}
{{- else }}
authorization {
  {{- .users | nindent 2 }}
}
{{- end }}
{{- end }}

{{/* A password per user; those of an earlier release stay. They begin with a letter: a number would be read as one. */}}
{{- define "serinus.nats.passwords" -}}
{{- $old := lookup "v1" "Secret" .root.Release.Namespace .name | default dict }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
data:
  {{- range concat (list "watcher" "analyzer" "router" "notifier" "loadtester" "coordinator" "tap" "cluster") (ternary (list "fleet") list (not (empty (include "serinus.nats.inFleet" .)))) }}
  {{ . }}: {{ dig "data" . (printf "s%s" (randAlphaNum 31) | b64enc) $old }}
  {{- end }}
{{- end }}

{{- define "serinus.nats.certificate" -}}
{{- $name := printf "%s-tls" .name }}
{{- $data := (lookup "v1" "Secret" .root.Release.Namespace $name | default dict).data }}
{{- if not $data }}
{{- $hosts := list "localhost" .name (printf "%s.%s" .name .root.Release.Namespace) (printf "%s.%s.svc" .name .root.Release.Namespace) (printf "*.%s-peers" .name) (printf "*.%s-peers.%s.svc" .name .root.Release.Namespace) }}
{{- $authority := genCA (printf "%s.%s" .name .root.Release.Namespace) 3650 }}
{{- $signed := genSignedCert .name (list "127.0.0.1") $hosts 3650 $authority }}
{{- $data = dict "ca.crt" ($authority.Cert | b64enc) "tls.crt" ($signed.Cert | b64enc) "tls.key" ($signed.Key | b64enc) }}
{{- end }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
type: kubernetes.io/tls
data:
  {{- toYaml $data | nindent 2 }}
{{- end }}

{{/* What each cluster needs to join, in a Secret of its own; and the certificate that they see. */}}
{{- define "serinus.nats.hub" -}}
{{- $ns := .root.Release.Namespace }}
{{- $authority := "" }}
{{- if and .hub.tls.enabled (not .hub.tls.existingSecret) }}
{{- $data := (lookup "v1" "Secret" $ns (printf "%s-hub-tls" .name) | default dict).data }}
{{- if not $data }}
{{- $made := genCA (printf "%s-hub.%s" .name $ns) 3650 }}
{{- $signed := genSignedCert (printf "%s-hub" .name) list (concat .hub.tls.hosts (list (printf "%s-hub" .name) (printf "%s-hub.%s.svc" .name $ns))) 3650 $made }}
{{- $data = dict "ca.crt" ($made.Cert | b64enc) "tls.crt" ($signed.Cert | b64enc) "tls.key" ($signed.Key | b64enc) }}
{{- end }}
{{- $authority = get $data "ca.crt" }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}-hub-tls
  namespace: {{ $ns }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
type: kubernetes.io/tls
data:
  {{- toYaml $data | nindent 2 }}
{{- end }}
{{- range ternary .hub.clusters list .hub.createSecrets }}
{{- $name := printf "%s-fleet-%s" $.prefix . }}
{{- $old := lookup "v1" "Secret" $ns $name | default dict }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
  namespace: {{ $ns }}
  labels:
    {{- include "serinus.labels" $ | nindent 4 }}
data:
  user: {{ b64enc . }}
  password: {{ dig "data" "password" (printf "s%s" (randAlphaNum 31) | b64enc) $old }}
  {{- with $authority }}
  ca.crt: {{ . }}
  {{- end }}
{{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}-hub
  namespace: {{ $ns }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
  {{- with .hub.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .hub.service.type }}
  selector:
    {{- include "serinus.selector" . | nindent 4 }}
  ports:
    - name: tcp-leaves
      port: {{ .hub.service.port }}
      targetPort: leaves
---
{{- end }}

{{- define "serinus.nats" -}}
{{- $config := include "serinus.nats.config" . }}
{{- $cluster := gt (int .own.replicas) 1 }}
{{- /* Those that keep streams together know each other by name, and a fleet gives them other names. */}}
{{- $there := dig "data" "nats-server.conf" "" (lookup "v1" "ConfigMap" .root.Release.Namespace .name | default dict) }}
{{- if and $cluster $there (ne (contains "SERINUS_SERVER_NAME" $there) (not (empty (include "serinus.nats.inFleet" .)))) }}
{{- fail (printf "fleet: with nats.replicas above 1 its servers get other names; remove statefulset/%s and its volumes first: that costs the history of a week, never a rollout" .name) }}
{{- end }}
{{- $scope := merge (dict "replicas" .own.replicas) . }}
{{- if not .own.auth.existingSecret }}
{{ include "serinus.nats.passwords" . }}
---
{{- end }}
{{- if and .own.tls.enabled (not .own.tls.existingSecret) }}
{{ include "serinus.nats.certificate" . }}
---
{{- end }}
{{- if .hub.clusters }}
{{ include "serinus.nats.hub" . }}
{{- end }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
data:
  nats-server.conf: |
    {{- $config | nindent 4 }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "serinus.selector" . | nindent 4 }}
  ports:
    - name: tcp-nats
      port: 4222
      targetPort: nats
---
# Servers find each other by it, before they are ready.
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}-peers
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "serinus.selector" . | nindent 4 }}
  ports:
    - name: tcp-routes
      port: 6222
      targetPort: routes
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
spec:
  serviceName: {{ .name }}-peers
  replicas: {{ .own.replicas }}
  podManagementPolicy: Parallel
  {{- if $cluster }}
  # One server catches up before the next one goes.
  minReadySeconds: 15
  {{- end }}
  selector:
    matchLabels:
      {{- include "serinus.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "serinus.labels" . | nindent 8 }}
        {{- with .own.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ $config | sha256sum }}
        {{- with .own.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- include "serinus.pullSecrets" . | nindent 6 }}
      {{- include "serinus.scheduling" $scope | nindent 6 }}
      securityContext:
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        {{- include "serinus.podSecurity" . | nindent 8 }}
      containers:
        - name: nats
          image: {{ printf "%s:%s" .own.image.repository .own.image.tag | quote }}
          imagePullPolicy: {{ .shared.image.pullPolicy }}
          args:
            - --config
            - /etc/serinus/config/nats-server.conf
            {{- if $cluster }}
            - --routes
            - {{ include "serinus.nats.routes" . | quote }}
            {{- end }}
          env:
            - name: POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            {{- if include "serinus.nats.inFleet" . }}
            # Hub and leaves tell each other apart by it.
            - name: SERINUS_SERVER_NAME
              value: $(POD_NAME)-{{ .cluster }}
            {{- end }}
            {{- range concat (list "watcher" "analyzer" "router" "notifier" "loadtester" "tap") .names (ternary (list "cluster") list $cluster) (ternary (list "fleet") list (not (empty (include "serinus.nats.inFleet" .)))) }}
            - name: SERINUS_{{ upper . }}_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ $.own.auth.existingSecret | default $.name }}
                  key: {{ . }}
            {{- end }}
            {{- range .hub.clusters }}
            - name: {{ include "serinus.nats.variable" . }}
              valueFrom:
                secretKeyRef:
                  name: {{ $.prefix }}-fleet-{{ . }}
                  key: password
            {{- end }}
            {{- with .leaf.url }}
            {{- range list "user" "password" }}
            - name: SERINUS_LEAF_{{ upper . }}
              valueFrom:
                secretKeyRef:
                  name: {{ $.leaf.existingSecret }}
                  key: {{ . }}
            {{- end }}
            # Kubernetes puts both in; the quotes are for the configuration, which takes the text as it is.
            - name: SERINUS_LEAF_URL
              value: {{ printf "\"%s\"" (replace "://" "://$(SERINUS_LEAF_USER):$(SERINUS_LEAF_PASSWORD)@" .) | quote }}
            {{- end }}
          ports:
            - name: nats
              containerPort: 4222
            {{- if .hub.clusters }}
            - name: leaves
              containerPort: 7422
            {{- end }}
            - name: routes
              containerPort: 6222
            - name: monitor
              containerPort: 8222
          # None of them asks for a leader of the cluster: a new one has none before all of its servers
          # run, and Kubernetes would wait for the first of them. Services ask for themselves.
          startupProbe:
            httpGet:
              path: "/healthz?js-enabled-only=true"
              port: monitor
            periodSeconds: 1
            timeoutSeconds: 5
            failureThreshold: 300
          livenessProbe:
            httpGet:
              path: /
              port: monitor
            periodSeconds: 30
            timeoutSeconds: 5
          readinessProbe:
            httpGet:
              path: "/healthz?js-enabled-only=true"
              port: monitor
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .own.resources | nindent 12 }}
          securityContext:
            {{- include "serinus.containerSecurity" (dict "own" dict "shared" dict) | nindent 12 }}
          volumeMounts:
            - name: config
              mountPath: /etc/serinus/config
              readOnly: true
            {{- if .own.tls.enabled }}
            - name: tls
              mountPath: /etc/serinus/tls
              readOnly: true
            {{- end }}
            {{- if include "serinus.nats.hubSecret" . }}
            - name: hub
              mountPath: /etc/serinus/hub
              readOnly: true
            {{- end }}
            {{- if and .leaf.url .leaf.ca }}
            - name: leaf
              mountPath: /etc/serinus/leaf
              readOnly: true
            {{- end }}
            - name: data
              mountPath: /data
      volumes:
        - name: config
          configMap:
            name: {{ .name }}
        {{- if .own.tls.enabled }}
        - name: tls
          secret:
            secretName: {{ .own.tls.existingSecret | default (printf "%s-tls" .name) }}
        {{- end }}
        {{- with include "serinus.nats.hubSecret" . }}
        - name: hub
          secret:
            secretName: {{ . }}
        {{- end }}
        {{- if and .leaf.url .leaf.ca }}
        - name: leaf
          secret:
            secretName: {{ .leaf.existingSecret }}
            items:
              - {key: ca.crt, path: ca.crt}
        {{- end }}
        {{- if not .own.persistence.enabled }}
        - name: data
          emptyDir:
            sizeLimit: {{ .own.storageLimit }}
        {{- end }}
  {{- if .own.persistence.enabled }}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .own.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .own.persistence.size }}
  {{- end }}
---
{{ include "serinus.budget" (merge (dict "own" (dict "podDisruptionBudget" (dict "enabled" .shared.podDisruptionBudget.enabled "minAvailable" .own.replicas))) $scope) }}
{{- if .shared.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "serinus.selector" . | nindent 6 }}
  policyTypes: [Ingress{{ if .shared.networkPolicy.egress.enabled }}, Egress{{ end }}]
  {{- if .shared.networkPolicy.egress.enabled }}
  egress:
    {{- include "serinus.egress" . | trim | nindent 4 }}
  {{- end }}
  ingress:
    - ports:
        - port: nats
      from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ .root.Release.Name }}
              app.kubernetes.io/part-of: serinus
        - podSelector:
            matchLabels:
              serinus.dev/bus: "true"
        {{- with .shared.networkPolicy.busPeers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- if .hub.clusters }}
    # From other clusters: who may come in is told by passwords.
    - ports:
        - port: leaves
    {{- end }}
    - ports:
        - port: routes
      from:
        - podSelector:
            matchLabels:
              {{- include "serinus.selector" . | nindent 14 }}
{{- end }}
{{- end }}

{{- define "serinus.nats.hubSecret" -}}
{{- if and .hub.clusters .hub.tls.enabled }}
{{- .hub.tls.existingSecret | default (printf "%s-hub-tls" .name) }}
{{- end }}
{{- end }}

{{/* Kubernetes puts the password in. */}}
{{- define "serinus.nats.routes" -}}
{{- $routes := list }}
{{- range until (int .own.replicas) }}
{{- $routes = append $routes (printf "nats://cluster:$(SERINUS_CLUSTER_PASSWORD)@%s-%d.%s-peers:6222" $.name . $.name) }}
{{- end }}
{{- join "," $routes }}
{{- end }}
