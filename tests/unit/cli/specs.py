"""Manifests and series for rehearsals."""

from pathlib import Path

SPEC = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  provider: istio
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis:
    interval: 10s
    threshold: 2
    stepWeight: 10
    maxWeight: 50
    metrics:
      - {name: request-success-rate, interval: 30s, thresholdRange: {min: 97}}
"""
JUDGED = SPEC.replace("thresholdRange: {min: 97}", "judge: {}").replace(
    "interval: 30s", "interval: 10s"
)
SCORED = (
    SPEC.partition("    metrics:")[0]
    + """\
    score: {}
    metrics:
      - name: cpu
        query: cpu_{{ side }}
        interval: 10s
        judge: {kind: mann-whitney, groups: [load]}
      - name: lost
        query: lost{pod=~"{{ target }}-.*"}
        samplesQuery: sent{pod=~"{{ target }}-.*"}
        interval: 10s
        judge: {}
"""
)


def a_canary(folder: Path, text: str = SPEC) -> str:
    path = folder / "canary.yaml"
    path.write_text(text)
    return str(path)
