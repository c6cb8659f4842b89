"""What a user would write: a workload, its route, and an ordinary Canary."""

from __future__ import annotations

NAME = "hello"
NAMESPACE = "default"
GOOD = "hello:2.0"
BAD = "hello:3.0-errors10"
BAD_ERROR_RATE = 0.10
INTERVAL_S = 10
STEPS = (20, 40, 60)

# What hooks may run: the smoke test below needs a shell.
RULES = '[{"namespace": "default", "canary": "hello", "types": ["bash"], "shell": true}]'

WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
  labels: {app: hello}
spec:
  replicas: 2
  selector:
    matchLabels: {app: hello}
  template:
    metadata:
      labels: {app: hello}
    spec:
      containers:
        - name: hello
          image: hello:1.0
          ports:
            - {name: http, containerPort: 9898}
          readinessProbe:
            httpGet: {path: /healthz, port: 9898}
            periodSeconds: 1
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata:
  name: hello
spec:
  entryPoints: [web]
  routes:
    - match: PathPrefix(`/`)
      kind: Rule
      services:
        - {name: hello, kind: TraefikService}
"""

CANARY = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata:
  name: hello
spec:
  provider: traefik
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: hello
  progressDeadlineSeconds: 60
  service:
    port: 80
    targetPort: 9898
  analysis:
    interval: 10s
    threshold: 2
    stepWeight: 20
    maxWeight: 60
    metrics:
      - name: request-success-rate
        interval: 10s
        thresholdRange: {min: 99}
      - name: request-duration
        interval: 10s
        thresholdRange: {max: 500}
    webhooks:
      - name: smoke-test
        type: pre-rollout
        url: ${loadtester}/
        timeout: 10s
        metadata:
          type: bash
          cmd: |
            exec 3<>/dev/tcp/${host}/${port}
            printf 'GET /healthz HTTP/1.0\\r\\nHost: hello\\r\\n\\r\\n' >&3
            grep -q '200 OK' <&3
      - name: promotion-gate
        type: confirm-promotion
        url: ${loadtester}/gate/approve
"""
