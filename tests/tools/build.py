"""Programs that are found, else built once from Go modules: the control plane's, helm, kube-score.

Versions are pinned by go.mod and go.sum of the folders here. `python -m tests.tools.build` builds
the control plane's and the chart's by hand, with `--planes` those of data planes, with `--tools`
the chart's alone; `--pin v1.34.4 v3.6.4` rewrites the pins of the control plane (Kubernetes, etcd).
The others' are changed by `go get -tool` there.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import ServerError

MODULE = Path(__file__).parent / "kubernetes"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
}
# Programs beside the control plane, each of a module of its own: name -> (folder, package, flags).
TOOLS = {
    # Without these it takes every cluster that it does not see for Kubernetes 1.20.
    "helm": (
        MODULE.parent / "helm",
        "helm.sh/helm/v3/cmd/helm",
        "-s -w -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1"
        " -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34"
        " -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1"
        " -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34",
    ),
    "kube-score": (
        MODULE.parent / "kube-score",
        "github.com/zegl/kube-score/cmd/kube-score",
        "-s -w",
    ),
}
# Data planes and what governs them: name -> as above; one to three minutes each on two cores.
PLANES = {
    name: (MODULE.parent / "planes" / folder, package, "-s -w")
    for name, folder, package in (
        ("skipper", "skipper", "github.com/zalando/skipper/cmd/skipper"),
        ("contour", "contour", "github.com/projectcontour/contour/cmd/contour"),
        ("nginx-ingress-controller", "nginx", "k8s.io/ingress-nginx/cmd/nginx"),
        ("pilot-discovery", "istio", "istio.io/istio/pilot/cmd/pilot-discovery"),
    )
}
PROGRESS_EVERY_S = 20.0


def programs() -> dict[str, Path]:
    """The control plane's programs: of KUBEBUILDER_ASSETS, else on PATH, else built.

    Raises ServerError that names the missing piece. A set KUBEBUILDER_ASSETS is taken at its
    word: a program missing there is an error, not a reason to look elsewhere.
    """
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        found = {name: Path(assets) / name for name in PACKAGES}
        missing = [name for name, path in found.items() if not os.access(path, os.X_OK)]
        if missing:
            raise ServerError(f"KUBEBUILDER_ASSETS={assets} has no {', '.join(missing)}")
        return found
    on_path = {name: shutil.which(name) for name in PACKAGES}
    if all(on_path.values()):
        return {name: Path(path) for name, path in on_path.items() if path}
    return built()


def tool(name: str) -> Path:
    """A program of TOOLS or PLANES: on PATH, else in the cache, else built (helm: two minutes).

    Raises ServerError that names the missing piece.
    """
    if on_path := shutil.which(name):
        return Path(on_path)
    folder, package, flags = (TOOLS | PLANES)[name]
    target = _kept(folder, (name, package, flags))
    with _locked(target):
        if not (target / name).exists():
            _build(name, package, target, folder, flags)
    return target / name


def cache() -> Path:
    """Where the control plane's programs are kept once they are built."""
    return _kept(MODULE, (PACKAGES, _link_flags()))


def _kept(folder: Path, how: object) -> Path:
    """A folder of the cache, by the hash of everything that its programs are built from."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256()
    for part in (folder / "go.mod", folder / "go.sum", *sorted(folder.rglob("*.go"))):
        digest.update(part.read_bytes())
    digest.update(repr(how).encode())
    return Path(base) / "serinus" / "tools" / digest.hexdigest()[:16]


def built() -> dict[str, Path]:
    """The programs in the cache; builds the missing ones first (once, ten minutes on two cores)."""
    target = cache()
    with _locked(target):
        for name, package in PACKAGES.items():
            if not (target / name).exists():
                _build(name, package, target, MODULE, _link_flags())
    return {name: target / name for name in PACKAGES}


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    target.mkdir(parents=True, exist_ok=True)
    with (target / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def go() -> str:
    """The path of the go command. Raises ServerError that says what it would be for."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise ServerError(
            "missing: Go 1.26 or newer, which builds the control plane's programs and helm, and "
            "fetches the meshes' CRDs. Without it set KUBEBUILDER_ASSETS to a folder with "
            f"{', '.join(PACKAGES)} (or put them on PATH), SERINUS_MESH_CRDS to one of CRDs, and "
            f"put {', '.join(TOOLS)} on PATH"
        )
    return found


def environment() -> dict[str, str]:
    """For every call of go: no workspace, no C compiler, paths left out of what is built."""
    return os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-trimpath"}


def source(folder: Path, module: str) -> Path:
    """The files of a module that a go.mod pins, downloaded when they are not in Go's module cache.

    Raises ServerError.
    """
    done = subprocess.run(
        [go(), "mod", "download", "-json", module],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    if "Dir" not in found:
        why = found.get("Error") or done.stderr.strip()
        raise ServerError(f"cannot download {module}: {why}")
    return Path(found["Dir"])


def _link_flags() -> str:
    """Without these the API server calls itself v0.0.0 and refuses its own feature gates."""
    match = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\S*)", (MODULE / "go.mod").read_text())
    if match is None:
        raise ServerError(f"{MODULE / 'go.mod'} does not pin k8s.io/kubernetes")
    version, major, minor = match.groups()
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    package = "k8s.io/component-base/version"
    return "-s -w " + " ".join(f"-X {package}.{key}={value}" for key, value in values.items())


def _build(name: str, package: str, target: Path, folder: Path, flags: str) -> None:
    began = time.monotonic()
    _say(f"building {name} (once; kept in {target})")
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        output, log = Path(scratch) / name, Path(scratch) / "log"
        argv = [go(), "build", "-v", "-buildvcs=false", f"-ldflags={flags}"]
        with log.open("wb") as words:
            process = subprocess.Popen(
                ["nice", *argv, "-o", str(output), package],
                cwd=folder, env=environment(),
                stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            )  # fmt: skip
            try:
                while (code := _poll(process)) is None:
                    compiled = log.read_bytes().count(b"\n")
                    _say(f"  {name}: {compiled} packages, {time.monotonic() - began:.0f} s")
            finally:
                process.kill()
                process.wait()
        if code:
            raise ServerError(f"go build of {name}: exit {code}\n{log.read_text()[-3000:]}")
        output.replace(target / name)
    _say(f"built {name} in {time.monotonic() - began:.0f} s")


def _poll(process: subprocess.Popen[bytes]) -> int | None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(PROGRESS_EVERY_S)
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def pin(kubernetes: str, etcd: str) -> None:
    """Rewrites go.mod and go.sum for these releases, from the Go module proxy.

    Kubernetes' own go.mod points at folders of its repository; every one of them is published as
    a module of its own (v0.x for v1.x), which is what the replacements say.
    """

    def run(*words: str) -> str:
        done = subprocess.run(
            [go(), *words],
            cwd=MODULE, env=environment(), check=True, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        return done.stdout

    for part in ("go.mod", "go.sum"):
        (MODULE / part).unlink(missing_ok=True)
    run("mod", "init", "serinus/tests/tools/kubernetes")
    source = json.loads(run("mod", "download", "-json", f"k8s.io/kubernetes@{kubernetes}"))["GoMod"]
    text = Path(source).read_text()
    edits = [
        "-go=1.24.0",
        *(f"-godebug={word}" for word in re.findall(r"^godebug (\S+)", text, re.M)),
    ]
    published = "v0" + kubernetes.removeprefix("v1")
    staged = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", text, re.M)
    edits.extend(f"-replace={module}={module}@{published}" for module in staged)
    run("mod", "edit", *edits)
    versions = {name: etcd if name == "etcd" else kubernetes for name in PACKAGES}
    run("get", "-tool", *(f"{PACKAGES[name]}@{version}" for name, version in versions.items()))
    run("mod", "tidy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pin", nargs=2, metavar=("KUBERNETES", "ETCD"))
    parser.add_argument("--planes", action="store_true", help="the programs of data planes only")
    parser.add_argument("--tools", action="store_true", help="helm and kube-score only")
    options = parser.parse_args()
    if options.pin:
        pin(*options.pin)
    try:
        if options.planes or options.tools:
            print(*map(tool, PLANES if options.planes else TOOLS), sep="\n")
            return
        for path in (built() if options.pin else programs()).values():
            print(path)
        for name in TOOLS:
            print(tool(name))
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
