"""A throw-away Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager.

No scheduler and no node: `kubelet.py` plays both. Everybody who speaks to it has a user of their
own, so that the audit log tells whose requests are whose.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from tests.servers import crds
from tests.servers.process import Child, ServerError, free_ports, of_the_environment
from tests.tools import build

SERVICES = ("watcher", "analyzer", "router", "notifier", "loadtester")
USERS = ("admin", "kubelet", "controller-manager", "flagger", *SERVICES)
# Only what the tests need: each further controller costs start-up time and requests.
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "daemonset-controller",
    "statefulset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "endpointslice-controller",
)
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, nonResourceURLs: ["/livez"]}
- {level: None, users: [admin, kubelet, controller-manager, "system:apiserver"]}
- {level: Metadata}
"""
READY_WITHIN_S = 90.0


class Reference(msgspec.Struct, frozen=True, rename="camel"):
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class User(msgspec.Struct, frozen=True):
    username: str = ""


class Answer(msgspec.Struct, frozen=True):
    code: int = 0


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the audit log."""

    stage: str
    verb: str
    user: User
    path: str = msgspec.field(name="requestURI", default="")
    user_agent: str = ""
    object_ref: Reference = Reference()
    response_status: Answer = Answer()

    @property
    def counts(self) -> bool:
        """A watch counts when it starts, everything else when it is answered."""
        return (self.stage == "ResponseStarted") == (self.verb == "watch")


class ControlPlane:
    """The running programs of one control plane, and how to reach them.

    `kubeconfig(user)` and `token(user)` are for the names in USERS; all of them may do everything,
    what a service may do is the business of the chart's tests.
    """

    def __init__(
        self,
        folder: Path,
        controllers: Sequence[str] = CONTROLLERS,
        crds: Sequence[Path] = (),
    ) -> None:
        self.folder = folder
        self._controllers = controllers
        self._crds = crds
        self.certificate = folder / "server.crt"
        self.audit_log = folder / "audit.log"
        self._programs = build.programs()
        self._etcd_port, self._peer_port, port = free_ports(3)
        self.server = f"https://127.0.0.1:{port}"
        self._tokens = {user: secrets.token_hex(16) for user in USERS}
        self._children: dict[str, Child] = {}

    def token(self, user: str = "admin") -> str:
        return self._tokens[user]

    def kubeconfig(self, user: str = "admin") -> Path:
        return self.folder / f"{user}.kubeconfig"

    def child(self, program: str) -> Child:
        """The running program of that name, to pause, kill or read."""
        return self._children[program]

    def requests(self, user: str | None = None, since: int = 0) -> list[Request]:
        """What the services asked of the API server so far, in order; see `Request.counts`.

        `since` is a size of the audit log at an earlier time: what came before is left out.
        """
        decoder = msgspec.json.Decoder(Request)
        lines = self.audit_log.read_bytes()[since:].splitlines() if self.audit_log.exists() else []
        seen = [decoder.decode(line) for line in lines if line.endswith(b"}")]
        return [one for one in seen if one.counts and user in (None, one.user.username)]

    def start(self) -> None:
        """Returns when the API server is ready and every CRD is established.

        Raises ServerError, with the end of the log of the program that failed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        make_certificate(self.folder)
        self._write_access()
        self._launch("etcd", self._etcd_flags())
        self.start_api_server()
        # The garbage collector learns of new kinds only every 30 s: CRDs come before it.
        self.install_crds([*crds.files(), *self._crds])
        self._launch("kube-controller-manager", self._controller_manager_flags())

    def start_api_server(self) -> None:
        """Starts the API server (again, after its child was killed) and waits for /readyz."""
        child = self._launch("kube-apiserver", self._api_server_flags())
        child.wait_until(self.ready, "/readyz answers", READY_WITHIN_S)

    def ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificate))
        request = urllib.request.Request(
            f"{self.server}/readyz", headers={"Authorization": f"Bearer {self.token()}"}
        )
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(request, context=context, timeout=2) as answer,
        ):
            return bool(answer.status == 200)
        return False

    def kubectl(self, *words: str | Path, user: str = "admin") -> str:
        """Runs kubectl as `user`; its standard output. Raises ServerError with what it said."""
        argv = [
            of_the_environment("kubectl"),
            f"--kubeconfig={self.kubeconfig(user)}",
            *map(str, words),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise ServerError(f"kubectl {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def install_crds(self, files: Sequence[Path]) -> None:
        """Makes the CRDs in these files what they say and waits until all of them are served."""
        self.kubectl("apply", "--server-side", *(f"--filename={file}" for file in files))
        self.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=100s")

    def stop(self) -> None:
        """Ends everything at once: nothing of it is worth a tidy shutdown."""
        for child in reversed(self._children.values()):
            child.kill()

    def check(self) -> None:
        """Raises ServerError when a program ended by itself."""
        for name, child in self._children.items():
            if not child.running:
                raise ServerError(f"{name} ended by itself\n{child.tail()}")

    def _launch(self, program: str, flags: Sequence[str]) -> Child:
        child = Child(program, [self._programs[program], *flags], self.folder / f"{program}.log")
        self._children[program] = child
        return child

    def _write_access(self) -> None:
        rows = [f'{token},{user},{user},"system:masters"' for user, token in self._tokens.items()]
        (self.folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
        self._write_secret(self.folder / "tokens.csv", "\n".join(rows) + "\n")
        for user in USERS:
            text = json.dumps(kubeconfig(self.server, self.certificate, user, self.token(user)))
            self._write_secret(self.kubeconfig(user), text)

    @staticmethod
    def _write_secret(path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)

    def _etcd_flags(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peer_port))
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server_flags(self) -> list[str]:
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.server.rpartition(':')[2]}",
            f"--tls-cert-file={self.certificate}",
            f"--tls-private-key-file={self.folder / 'server.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.certificate}",
            f"--service-account-signing-key-file={self.folder / 'server.key'}",
            # A loopback address may not stand in an EndpointSlice. Without a network the server
            # would look in vain for another one to tell, so it gets one that is nobody's.
            "--endpoint-reconciler-type=none",
            "--advertise-address=192.0.2.1",
            # No pod ever runs, so none has to wait for its account's token.
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.folder / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--profiling=false",
        ]

    def _controller_manager_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig('controller-manager')}",
            f"--controllers={','.join(self._controllers)}",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
            # The default of 20 requests a second would make tests wait for it.
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
            "--concurrent-deployment-syncs=10",
            "--concurrent-replicaset-syncs=10",
            "--profiling=false",
        ]


@contextlib.contextmanager
def control_plane(
    folder: Path, controllers: Sequence[str] = CONTROLLERS, crds: Sequence[Path] = ()
) -> Iterator[ControlPlane]:
    """A running control plane with its files in `folder`; everything is ended at the end.

    `crds` are files of CRDs beyond those that every test's API server gets.
    """
    plane = ControlPlane(folder, controllers, crds)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def make_certificate(folder: Path) -> None:
    """One self-signed certificate for the loopback address, which is its own authority."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "30", "-subj", "/CN=kube-apiserver"]
    argv += ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")]
    # A Python that verifies strictly (3.13) wants an authority's certificate to say so.
    argv += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    argv += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        raise ServerError("missing: openssl (Debian: apt-get install openssl)") from None
    if done.returncode:
        raise ServerError(f"openssl: {done.stderr.strip()}")
    (folder / "server.key").chmod(0o600)


def kubeconfig(server: str, certificate: Path, user: str, token: str) -> dict[str, Any]:
    """A kubeconfig's document for one user."""
    data = base64.b64encode(certificate.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "tests", "cluster": {"server": server, "certificate-authority-data": data}}
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
        "current-context": "tests",
    }
