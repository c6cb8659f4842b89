"""The real ingress-nginx controller: its own configuration and Lua, in Debian's nginx.

What it needs and no registry has is stood in for, see `tests/tools/planes/nginx`: the library that
picks the next endpoint of one Service (in turn, here as there), and those that nothing here uses.
Which Service a request goes to, canary or not, is decided by the controller's own code.

The controller's paths are fixed. It runs in a mount namespace in which they lead to its folder.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.servers.control_plane import ControlPlane
from tests.servers.process import Child, answers, free_ports
from tests.tools import build, debian

NAMESPACE = "ingress-nginx"
CLASS = "nginx"
CONTROLLER = "k8s.io/ingress-nginx"
MODULE = "k8s.io/ingress-nginx"
# In place of libraries that no registry has.
OURS = build.PLANES["nginx-ingress-controller"][0] / "lua"
PACKAGES = (
    "nginx",
    "libnginx-mod-http-lua",
    "libnginx-mod-http-headers-more-filter",
    "libnginx-mod-stream",
    "lua-resty-core",
    "lua-resty-lrucache",
    "lua-cjson",
    "lua-nginx-cookie",
    "lua-nginx-dns",
)
MODULES = ("ndk_http", "ngx_http_lua", "ngx_http_headers_more_filter", "ngx_stream")
# Connections beside HTTP need a module that Debian does not have. What the controller says of them
# is taken and forgotten.
STREAMS = re.compile(r"^stream {.*?^}$", re.MULTILINE | re.DOTALL)
NO_STREAMS = """\
stream {
    server {
        listen 127.0.0.1:{{ .StreamPort }};
        proxy_pass 127.0.0.1:{{ .StatusPort }};
    }
}"""
MODULES_IN = "/usr/lib/nginx/modules"
PLACES = {
    "nginx": "/etc/nginx",
    "controller": "/etc/ingress-controller",
    "tmp": "/tmp/nginx",
    "log": "/var/log/nginx",
}


class Nginx:
    """A running controller with its nginx: `url` takes traffic."""

    def __init__(self, folder: Path, plane: ControlPlane) -> None:
        self.folder = folder
        self._plane = plane
        self._program = build.tool("nginx-ingress-controller")
        self._child: Child | None = None
        ports = free_ports(8)
        self._web, self._health = ports[:2]
        names = ("https", "ssl-passthrough-proxy", "default-server", "status", "stream", "profiler")
        self._ports = dict(zip(names, ports[2:], strict=True))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._web}"

    def start(self) -> None:
        """Returns when nginx has its first configuration; routes follow. Raises ServerError."""
        if not Path(MODULES_IN, "ngx_http_lua_module.so").exists():
            debian.install(PACKAGES)
        self._lay_out()
        self._apply()
        mounts = "".join(f"mount --bind {self.folder / k} {v} && " for k, v in PLACES.items())
        flags = [
            f"--kubeconfig={self._plane.kubeconfig()}",
            f"--configmap={NAMESPACE}/controller",
            f"--http-port={self._web}",
            f"--healthz-port={self._health}",
            "--healthz-host=127.0.0.1",
            f"--internal-logger-address=127.0.0.1:{free_ports(1)[0]}",
            *(f"--{name}-port={port}" for name, port in self._ports.items()),
            "--enable-metrics=false",
            "--update-status=false",
            "--disable-leader-election",
            "--disable-sync-events",
            "--post-shutdown-grace-period=0",
        ]
        made = " ".join(PLACES.values())
        shell = f'mkdir -p {made} && {mounts}exec "$0" "$@"'
        # With processes of its own, nginx cannot outlive it.
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        argv = [*own, "sh", "-c", shell, str(self._program), *flags]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "NGINX_BINARY": "/usr/sbin/nginx",
            "POD_NAME": "controller",
            "POD_NAMESPACE": NAMESPACE,
        }
        self._child = Child("ingress-nginx", argv, self.folder / "controller.log", environment)
        ready = f"http://127.0.0.1:{self._health}/healthz"
        self._child.wait_until(answers(ready), "is healthy")

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()

    def _lay_out(self) -> None:
        """The folders that stand where the controller looks for its files."""
        for name in PLACES:
            (self.folder / name).mkdir()
        for name in ("geoip", "telemetry"):
            (self.folder / "controller" / name).mkdir()
        source = build.source(OURS.parent, MODULE) / "rootfs" / "etc" / "nginx"
        nginx = self.folder / "nginx"
        for folder in (source, OURS.parent):
            shutil.copytree(
                folder / "lua", nginx / "lua", copy_function=shutil.copyfile, dirs_exist_ok=True
            )
        (nginx / "template").mkdir()
        template = (source / "template" / "nginx.tmpl").read_text()
        (nginx / "template" / "nginx.tmpl").write_text(STREAMS.sub(NO_STREAMS, template))
        shutil.copyfile("/etc/nginx/mime.types", nginx / "mime.types")
        shutil.copyfile(source / "nginx.conf", nginx / "nginx.conf")

    def _apply(self) -> None:
        """What belongs to the controller in the cluster: its class, settings and its own pod."""
        modules = "".join(f"load_module {MODULES_IN}/{name}_module.so;\n" for name in MODULES)
        here = {"namespace": NAMESPACE, "name": "controller"}
        container = {"name": "controller", "image": "example.test/controller:1"}
        manifests = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": CLASS},
                "spec": {"controller": CONTROLLER},
            },
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": here,
                # Debian's nginx has modules in files of their own, and no HTTP/2 in this spelling.
                "data": {"main-snippet": modules, "use-http2": "false", "worker-processes": "1"},
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": here,
                "spec": {"containers": [container]},
            },
        ]
        file = self.folder / "controller.json"
        file.write_text("\n".join(map(json.dumps, manifests)))
        self._plane.kubectl("apply", "--server-side", f"--filename={file}")


@contextlib.contextmanager
def nginx(folder: Path, plane: ControlPlane) -> Iterator[Nginx]:
    """A running ingress-nginx that reads its routes as the administrator of `plane`."""
    server = Nginx(folder, plane)
    try:
        server.start()
        yield server
    finally:
        server.stop()
