"""What meshes write is what their real CRDs know: a real API server tries every document.

In server-side apply with strict validation and as a dry run, so nothing stays behind. What comes
back is what was sent: nothing was unknown, nothing was pruned, and nothing was filled in that would
look like somebody's edit at the next reading.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.given import beginning
from tests.laws.strategies import routes_for, service_specs
from tests.laws.test_mesh_laws import STARTS
from tests.servers import crds
from tests.servers.control_plane import ControlPlane

from serinus.kube.refs import ref_of
from serinus.router.core.objects import Live
from serinus.router.meshes.catalog import MESHES

# The first test waits for all definitions.
pytestmark = pytest.mark.timeout(300)

Obj = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
GOLDENS = sorted((ROOT / "tests" / "unit" / "router" / "meshes" / "golden").glob("*/*.yaml"))
# Whose CRDs the rows need; one of two versions of the same names is a folder of its own.
FOLDERS = (
    "apisix",
    "appmesh",
    "appmesh/v1beta1",
    "contour",
    "gateway-api",
    "gloo",
    "istio",
    "knative",
    "kuma",
    "smi",
    "traefik",
)
# The one in Python takes seconds for them.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# App Mesh's older CRDs have the names of the newer ones, and an API server serves one of them; it
# would prune the older one's documents by the newer one's schema. Here they have another group.
OLDER = {"appmesh.k8s.aws/v1beta1": "older.appmesh.k8s.aws/v1beta1"}


def definitions() -> dict[str, Obj]:
    """The CRDs of the kinds in the catalog by name."""
    wanted = {(v.split("/")[0], kind) for row in MESHES.values() for v, kind in row.objects}
    found: dict[str, Obj] = {}
    for folder in FOLDERS:
        for file in crds.of_mesh(folder):
            for crd in filter(None, yaml.load_all(file.read_text(), LOADER)):
                spec = crd["spec"]
                if (spec["group"], spec["names"]["kind"]) not in wanted:
                    continue
                if folder == "appmesh/v1beta1":
                    spec["group"] = f"older.{spec['group']}"
                name = crd["metadata"]["name"] = f"{spec['names']['plural']}.{spec['group']}"
                found[name] = crd
    return found


class Referee:
    """An API server that is asked what it would make of a document."""

    def __init__(self, plane: ControlPlane) -> None:
        context = ssl.create_default_context(cafile=str(plane.certificate))
        address = urlsplit(plane.server)
        assert address.hostname
        self._http = http.client.HTTPSConnection(
            address.hostname, address.port, timeout=30, context=context
        )
        self._token = plane.token()
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def tried(self, obj: Obj) -> Obj:
        """The document as it would be stored. An AssertionError tells why it would not be."""
        meta = obj["metadata"]
        api_version = OLDER.get(obj["apiVersion"], obj["apiVersion"])
        base = f"/apis/{api_version}"
        plural, namespaced = self._resource(base, obj["kind"])
        where = f"/namespaces/{meta['namespace']}" if namespaced else ""
        asked = "dryRun=All&fieldValidation=Strict&force=true&fieldManager=serinus-router"
        path = f"{base}{where}/{plural}/{meta['name']}?{asked}"
        document = json.dumps({**obj, "apiVersion": api_version})
        status, found = self._ask("PATCH", path, document)
        assert status in (200, 201), f"{found.get('message')}\n{yaml.safe_dump(obj)}"
        return {**found, "apiVersion": obj["apiVersion"]}

    def close(self) -> None:
        self._http.close()

    def _resource(self, base: str, kind: str) -> tuple[str, bool]:
        if base not in self._kinds:
            _, listing = self._ask("GET", base)
            self._kinds[base] = {
                row["kind"]: (row["name"], row["namespaced"])
                for row in listing["resources"]
                if "/" not in row["name"]
            }
        return self._kinds[base][kind]

    def _ask(self, verb: str, path: str, body: str | None = None) -> tuple[int, Obj]:
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml"
        self._http.request(verb, path, body, headers)
        answer = self._http.getresponse()
        found: Obj = json.loads(answer.read())
        return answer.status, found


@pytest.fixture(scope="module")
def referee(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Referee]:
    """With the CRDs of every mesh in the catalog."""
    folder = tmp_path_factory.mktemp("mesh-crds")
    files = []
    for name, crd in definitions().items():
        files.append(folder / f"{name}.json")
        files[-1].write_text(json.dumps(crd))
    control_plane.install_crds(files)
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    (folder / "shop.yaml").write_text(yaml.safe_dump(shop))
    control_plane.kubectl("apply", "-f", str(folder / "shop.yaml"))  # others use that name, too
    referee = Referee(control_plane)
    yield referee
    referee.close()


def contains(found: Any, sent: Any) -> bool:
    """Whether everything that was sent is there."""
    if isinstance(sent, dict):
        return all(key in found and contains(found[key], one) for key, one in sent.items())
    if isinstance(sent, list):
        return len(found) == len(sent) and all(map(contains, found, sent))
    return bool(found == sent)


def accepted(referee: Referee, document: Obj, *, is_users: bool = False) -> None:
    """What comes back is what was sent, but for the API server's own bookkeeping.

    is_users  the rest of the document is the user's, who need not know the defaults
    """
    found = referee.tried(document)
    if is_users:
        assert contains(found["spec"], document["spec"])
        return

    sent_meta, meta = document["metadata"], found["metadata"]
    for field in sent_meta:
        assert sent_meta[field] == meta[field]
    ours = [
        {k: v for k, v in obj.items() if k not in ("metadata", "status")}
        for obj in (document, found)
    ]
    assert ours[0] == ours[1]


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_golden_is_accepted(referee: Referee, golden: Path) -> None:
    documents = list(filter(None, yaml.safe_load_all(golden.read_text())))

    assert documents
    for document in documents:
        accepted(referee, document)


@pytest.mark.parametrize("start", STARTS)
def test_whatever_a_mesh_renders_is_accepted(referee: Referee, start: str) -> None:
    """From the same starts and with the same requests as the laws."""
    row = STARTS[start]
    seen = []

    @settings(max_examples=25, deadline=None, database=None)
    @given(data=st.data())
    def tried(data: st.DataObject) -> None:
        exposure, sources = beginning(start, data.draw(service_specs))
        live = Live({ref_of(obj): obj for obj in sources})
        for document in row.mesh.render(exposure, data.draw(routes_for(row)), live):
            seen.append(document)
            is_users = exposure.is_route(document["kind"], document["metadata"]["name"])
            accepted(referee, document, is_users=is_users)

    tried()

    assert bool(seen) == bool(row.kinds)


def test_the_referee_refuses_what_a_crd_does_not_know(referee: Referee) -> None:
    """Otherwise none of the above says anything."""
    document = {
        "apiVersion": "projectcontour.io/v1",
        "kind": "HTTPProxy",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"routes": [{"services": [{"name": "web", "port": 80, "wieght": 1}]}]},
    }

    with pytest.raises(AssertionError, match="wieght"):
        accepted(referee, document)
