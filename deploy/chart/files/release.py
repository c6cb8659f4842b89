"""Releases something, as `helm test` does: a small service gets a Canary, then a new revision.

It needs no mesh and no metrics server: the provider is `kubernetes`, pods are judged by their
readiness and, where there is a load tester, by a hook that asks the new one for a page. Exit status
0 means that the new revision was promoted. Everything it made is removed again.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
NAMESPACE, NAME, IMAGE = (os.environ[word] for word in ("NAMESPACE", "NAME", "IMAGE"))
TESTER = os.environ.get("TESTER", "")
PORT = 9898
INITIALIZED_S, RELEASED_S, GONE_S = 90, 90, 60
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
CANARIES = f"/apis/flagger.app/v1beta1/namespaces/{NAMESPACE}/canaries"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def ask(verb, path, body=None, kind="application/json"):
    """The answer of the API server; None where there is no such thing."""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    with open(f"{ACCOUNT}/token", encoding="ascii") as file:
        headers = {"Authorization": f"Bearer {file.read()}", "Content-Type": kind}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"https://{host}:{port}{path}", data=data, headers=headers, method=verb
    )
    trust = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    try:
        with urllib.request.urlopen(request, timeout=10, context=trust) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise SystemExit(f"{verb} {path}: {error.code} {error.read().decode()[:500]}") from None


def deployment(revision):
    """One pod of an image that is there anyway, serving an empty page."""
    labels = {"app": NAME}
    serve = f"import http.server as h; h.test(h.SimpleHTTPRequestHandler, port={PORT})"
    container = {
        "name": "web",
        "image": IMAGE,
        "command": ["python", "-c", serve],
        "workingDir": "/tmp",  # noqa: S108  (the pod's own)
        "env": [{"name": "REVISION", "value": revision}],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"memory": "128Mi"},
        },
        "securityContext": RESTRICTED,
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": security,
        "containers": [container],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": labels},
        "spec": spec,
    }


def canary():
    """Two looks at the new revision, ten seconds apart."""
    hook = {
        "name": "a page of the new revision",
        "type": "rollout",
        "url": TESTER,
        "timeout": "10s",
        "metadata": {
            "type": "cmd",
            "cmd": f"curl -sf -o /dev/null http://{NAME}-canary.{NAMESPACE}:{PORT}/",
        },
    }
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": NAME},
        "spec": {
            "provider": "kubernetes",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "progressDeadlineSeconds": 60,
            "service": {"port": PORT},
            "analysis": {
                "interval": "10s",
                "threshold": 2,
                "iterations": 2,
                "webhooks": [hook] if TESTER else [],
            },
        },
    }


def until(what, seconds, done, failed=()):
    """Waits for a phase of the Canary and prints every phase on the way."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        status = (ask("GET", f"{CANARIES}/{NAME}") or {}).get("status") or {}
        phase = status.get("phase", "not looked at yet")
        if phase != last:
            print(f"{phase}", flush=True)
            last = phase
        if phase in done:
            return
        if phase in failed:
            conditions = status.get("conditions") or [{}]
            raise SystemExit(f"{what}: {phase}: {conditions[0].get('message', '')}")
        time.sleep(1)
    raise SystemExit(
        f"{what}: not within {seconds} s, last phase: {last}. "
        f"kubectl -n {NAMESPACE} describe canary {NAME}, and the logs of the suite, say why"
    )


def gone():
    """Removes what was made; returns when the Canary's finalizer, if any, has let go."""
    ask("DELETE", f"{CANARIES}/{NAME}")
    end = time.monotonic() + GONE_S
    while ask("GET", f"{CANARIES}/{NAME}") and time.monotonic() < end:
        time.sleep(1)
    ask("DELETE", f"{DEPLOYMENTS}/{NAME}")


def main():
    """Initialise, release, tidy up."""
    gone()  # of a test that was cut off
    try:
        ask("POST", DEPLOYMENTS, deployment("1"))
        ask("POST", CANARIES, canary())
        until("the first revision", INITIALIZED_S, {"Initialized"}, {"Failed"})
        fresh = [
            {"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "2"}
        ]
        ask("PATCH", f"{DEPLOYMENTS}/{NAME}", fresh, "application/json-patch+json")
        until("the second revision", RELEASED_S, {"Progressing"}, {"Failed"})
        until("the second revision", RELEASED_S, {"Succeeded"}, {"Failed"})
        primary = ask("GET", f"{DEPLOYMENTS}/{NAME}-primary")
        env = primary["spec"]["template"]["spec"]["containers"][0]["env"]
        if env[0]["value"] != "2":
            raise SystemExit(f"the primary does not run the second revision: {env}")
        print("released")
    finally:
        gone()


if __name__ == "__main__":
    sys.exit(main())
