{{/*
What one service of the suite is made of. Everything here takes a dict:
  root     the chart's own scope, for .Release and .Chart
  service  the service's name
  own      the values of that service
  shared   the values of the suite; empty where a service is installed by itself
  name     the name of its objects
*/}}

{{- define "serinus.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "serinus.fullname" -}}
{{- $name := include "serinus.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "serinus.selector" -}}
app.kubernetes.io/name: {{ .service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: serinus
{{- end }}

{{- define "serinus.labels" -}}
{{ include "serinus.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "serinus.image" -}}
{{- $image := .shared.image | default .own.image }}
{{- /* A values file of Flagger's may name Flagger's image, which has none of our services in it. */}}
{{- $foreign := hasSuffix "flagger" $image.repository }}
{{- $below := ternary "serinus" $image.repository (or $foreign (empty $image.repository)) }}
{{- $repository := .own.image.repository | default (printf "%s/%s" $below .service) }}
{{- $tag := .own.image.tag | default (ternary "" $image.tag $foreign) | default .root.Chart.AppVersion }}
{{- printf "%s:%s" $repository $tag }}
{{- end }}

{{- define "serinus.account" -}}
{{- $account := .shared.serviceAccount | default dict }}
{{- if .own.serviceAccountName }}
{{- .own.serviceAccountName }}
{{- else if and $account (not $account.create) }}
{{- $account.name }}
{{- else if $account.name }}
{{- printf "%s-%s" $account.name .service }}
{{- else }}
{{- .name }}
{{- end }}
{{- end }}

{{/* What a pod of ours may not do, the same for all: the restricted Pod Security Standard. */}}
{{- define "serinus.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "serinus.containerSecurity" -}}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "runAsNonRoot" true "capabilities" (dict "drop" (list "ALL")) }}
{{- range list (.shared.securityContext | default dict) (.own.securityContext | default dict) }}
{{- if .enabled }}
{{- $context = mergeOverwrite $context (deepCopy (.context | default dict)) }}
{{- end }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{/* Where its pods may run, and with which priority. */}}
{{- define "serinus.scheduling" -}}
{{- with .own.podPriorityClassName | default .shared.podPriorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with merge dict (.own.nodeSelector | default dict) (.shared.nodeSelector | default dict) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.affinity | default .shared.affinity }}
affinity:
  {{- tpl (toYaml .) $.root | nindent 2 }}
{{- end }}
{{- with concat (.shared.tolerations | default list) (.own.tolerations | default list) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if gt (int .replicas) 1 }}
topologySpreadConstraints:
  {{- if .shared.topologySpreadConstraints }}
  {{- toYaml .shared.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "serinus.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "serinus.pullSecrets" -}}
{{- with (.shared.image | default .own.image).pullSecret }}
imagePullSecrets:
  - name: {{ . }}
{{- end }}
{{- end }}

{{/* More of the dict: replicas, settings (name: text), fields (name: path in the
pod), secrets (name: a Secret's name and key), files (path: source of a volume),
token (of the cluster). */}}
{{- define "serinus.deployment" -}}
{{- $settings := merge (dict) (.own.settings | default dict) .settings }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
    {{- with .shared.deploymentLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .shared.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ .replicas }}
  selector:
    matchLabels:
      {{- include "serinus.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "serinus.labels" . | nindent 8 }}
        {{- with merge dict (.own.podLabels | default dict) (.shared.podLabels | default dict) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with merge dict (.own.podAnnotations | default dict) (.shared.podAnnotations | default dict) (.checksums | default dict) }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "serinus.account" . }}
      automountServiceAccountToken: {{ .token }}
      enableServiceLinks: false
      {{- include "serinus.pullSecrets" . | nindent 6 }}
      {{- include "serinus.scheduling" . | nindent 6 }}
      securityContext:
        {{- include "serinus.podSecurity" . | nindent 8 }}
      containers:
        - name: {{ .service }}
          image: {{ include "serinus.image" . | quote }}
          imagePullPolicy: {{ .own.image.pullPolicy | default (.shared.image | default dict).pullPolicy | default "IfNotPresent" }}
          env:
            {{- range $variable, $field := .fields }}
            - name: {{ $variable }}
              valueFrom:
                fieldRef:
                  fieldPath: {{ $field }}
            {{- end }}
            {{- range $variable, $secret := .secrets }}
            - name: {{ $variable }}
              valueFrom:
                secretKeyRef:
                  {{- toYaml $secret | nindent 18 }}
            {{- end }}
            {{- range $variable, $text := $settings }}
            - name: {{ $variable }}
              value: {{ $text | toString | quote }}
            {{- end }}
            {{- with concat (.shared.env | default list) (.own.env | default list) }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: http-metrics
              containerPort: 8080
            {{- range $port, $number := .ports }}
            - name: {{ $port }}
              containerPort: {{ $number }}
            {{- end }}
          # Starting is work for a processor; where that is scarce, whoever is ended for taking long begins
          # anew and takes longer still. So nobody asks whether it lives before it has answered once.
          startupProbe:
            httpGet: {path: /livez, port: http-metrics}
            periodSeconds: 1
            timeoutSeconds: 5
            failureThreshold: 300
          livenessProbe:
            httpGet: {path: /livez, port: http-metrics}
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /readyz, port: http-metrics}
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml (.shared.resources | default .own.resources) | nindent 12 }}
          securityContext:
            {{- include "serinus.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- range $volume, $source := .files }}
            - name: {{ $volume }}
              mountPath: /etc/serinus/{{ $volume }}
              readOnly: true
            {{- end }}
            {{- with concat (.shared.additionalVolumeMounts | default list) (.own.volumeMounts | default list) }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 256Mi
        {{- range $volume, $source := .files }}
        - name: {{ $volume }}
          {{- toYaml $source | nindent 10 }}
        {{- end }}
        {{- with concat (.shared.additionalVolumes | default list) (.own.volumes | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{- define "serinus.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "serinus.account" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
  {{- with merge dict (.annotations | default dict) ((.shared.serviceAccount | default dict).annotations | default dict) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{/* More of the dict: rules, namespace ("" for the whole cluster), suffix of the name. */}}
{{- define "serinus.rights" -}}
{{- $cluster := ternary "Cluster" "" (empty .namespace) }}
{{- $name := printf "%s%s%s" (ternary (printf "%s-" .root.Release.Namespace) "" (empty .namespace)) .name (.suffix | default "") }}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}Role
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}RoleBinding
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $cluster }}Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "serinus.account" . }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* A budget that never lets a node drain helps nobody: the only pod may always go. */}}
{{- define "serinus.budget" -}}
{{- $budget := .own.podDisruptionBudget | default .shared.podDisruptionBudget }}
{{- if $budget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "serinus.labels" . | nindent 4 }}
spec:
  {{- if gt (int .replicas) (int $budget.minAvailable) }}
  minAvailable: {{ $budget.minAvailable }}
  {{- else }}
  maxUnavailable: 1
  {{- end }}
  selector:
    matchLabels:
      {{- include "serinus.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* More of the dict: ports (name: number) that everybody may reach beside health and metrics. */}}
{{- define "serinus.networkPolicy" -}}
{{- $policy := .own.networkPolicy | default .shared.networkPolicy }}
{{- if $policy.enabled }}
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
  {{- $egress := (.shared.networkPolicy | default dict).egress | default dict }}
  policyTypes: [Ingress{{ if $egress.enabled }}, Egress{{ end }}]
  ingress:
    - ports:
        - port: http-metrics
        {{- range $port, $number := .ports }}
        - port: {{ $port }}
        {{- end }}
  {{- if $egress.enabled }}
  egress:
    {{- include "serinus.egress" . | trim | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
