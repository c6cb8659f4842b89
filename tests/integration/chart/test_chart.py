"""The Helm chart before a real API server: what that takes, what upgrades keep, who may do what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chart.render import CHART, NAMESPACE, SETS, Obj, pods, rendered
from tests.gen import chart
from tests.gen.tree import ROOT
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import ApiError, Kube
from tests.tools.helm import helm

from serinus.events.subjects import SERVICES

RELEASE = "serinus"
DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", None)
ALERTS = "alertproviders.flagger.app"
# By which Helm knows what belongs to a release.
MARKS = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
LEASES = "leases.coordination.k8s.io"  # in the suite's own namespace
LABELS = {"app.kubernetes.io/managed-by": "Helm"}
# Applied, as definitions are there already.
TRIED = "dryRun=All&fieldValidation=Strict&fieldManager=helm&force=true"
# No registry has its definition; what it says is in the golden.
UNKNOWN = {"policy.linkerd.io/v1alpha1"}


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """With the kinds of Prometheus' operator."""
    control_plane.install_crds(crds.of_mesh("prometheus-operator"))
    return control_plane


@pytest.fixture
async def somewhere(kube: Kube) -> None:
    """The namespaces and the priority that the sets of values name; they stay."""
    for name in (NAMESPACE, "shop", "monitoring"):
        await kube.namespace(name)
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1}
    await kube.apply({**priority, "metadata": {"name": "platform"}})


@pytest.fixture
def released(plane: ControlPlane) -> Iterator[Path]:
    """The kubeconfig of a cluster in which the chart is installed."""
    config = plane.kubeconfig()
    words = ("-n", NAMESPACE, "--create-namespace", "--set", "coordinator.enabled=true")
    helm("install", RELEASE, str(CHART), *words, kubeconfig=config)
    yield config
    helm("uninstall", RELEASE, "-n", NAMESPACE, "--ignore-not-found", kubeconfig=config)


@pytest.mark.parametrize("name", SETS)
async def test_the_api_server_takes_every_object_without_an_unknown_field(
    plane: ControlPlane, kube: Kube, somewhere: None, name: str
) -> None:
    """Strict validation refuses what it would prune; a dry run stores nothing."""
    refused, taken = {}, 0
    for obj in rendered(name):
        if obj["apiVersion"] in UNKNOWN:
            continue
        meta = obj["metadata"]
        path = await kube.path(obj["apiVersion"], obj["kind"], meta.get("namespace"), meta["name"])
        try:
            await kube.request("PATCH", f"{path}?{TRIED}", obj, "application/apply-patch+yaml")
            taken += 1
        except ApiError as error:
            refused[f"{obj['kind']} {obj['metadata']['name']}"] = str(error)
    assert refused == {}
    assert taken > 5


async def test_pods_keep_to_the_standard_as_the_api_server_reads_it(
    plane: ControlPlane, kube: Kube
) -> None:
    """A namespace that enforces `restricted` takes the pods of every set of values."""
    strict = {"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": strict})
    for name in SETS:
        for pod in pods(rendered(name)).values():
            # Accounts, priorities and the like are not what this is about.
            kept = {"securityContext", "containers", "volumes"}
            spec = {key: value for key, value in pod["spec"].items() if key in kept}
            volumes = {volume["name"]: volume for volume in spec["volumes"]}
            for mount in spec["containers"][0]["volumeMounts"]:  # of a claim's template
                volumes.setdefault(mount["name"], {"name": mount["name"], "emptyDir": {}})
            spec["volumes"] = [*volumes.values()]
            obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
            await kube.request("POST", "/api/v1/namespaces/strict/pods?dryRun=All", obj)
    loose = {"containers": [{"name": "one", "image": "one"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": loose}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        await kube.request("POST", "/api/v1/namespaces/strict/pods?dryRun=All", body)
    await kube.delete("v1", "Namespace", None, "strict")


async def test_an_upgrade_keeps_passwords_tokens_and_certificates(
    released: Path, kube: Kube
) -> None:
    upgrade = ("upgrade", RELEASE, str(CHART), "-n", NAMESPACE, "--set", "nats.tls.enabled=true")
    helm(*upgrade, kubeconfig=released)
    before = await _secrets(kube)
    helm(*upgrade, "--set", "logLevel=debug", kubeconfig=released)
    assert await _secrets(kube) == before
    assert set(before) == {f"{RELEASE}-nats", f"{RELEASE}-nats-tls", f"{RELEASE}-loadtester"}


async def test_a_cluster_that_joins_a_fleet_changes_nothing_for_the_others(
    released: Path, kube: Kube
) -> None:
    """Its Secret is new, and NOTES say how to bring it there; the others' credentials stay."""
    fleet = ("coordinator.cluster=us", "fleet.hub.tls.hosts={hub.example}")
    upgrade = ("upgrade", RELEASE, str(CHART), "-n", NAMESPACE, "--reset-then-reuse-values")
    words = [word for value in fleet for word in ("--set", value)]
    helm(*upgrade, *words, "--set", "fleet.hub.clusters={eu}", kubeconfig=released)
    before = await _secrets(kube)
    notes = helm(*upgrade, *words, "--set", "fleet.hub.clusters={eu,ap}", kubeconfig=released)
    after = await _secrets(kube)
    joined = after.pop(f"{RELEASE}-fleet-ap")
    assert after == before
    theirs = before[f"{RELEASE}-fleet-eu"]
    assert joined["ca.crt"] == theirs["ca.crt"]
    assert joined["password"] != theirs["password"]
    assert f"get secret {RELEASE}-fleet-ap --output json" in notes


async def test_definitions_of_somebody_else_are_left_alone_and_told(
    plane: ControlPlane, kube: Kube
) -> None:
    """As after Flagger: ours would be refused, and theirs are good enough to begin with."""
    before = await kube.get(*DEFINITION, ALERTS)
    words = ("install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace")
    notes = helm(*words, kubeconfig=plane.kubeconfig())
    try:
        assert f"Somebody else's definition of {ALERTS} was left as it is" in notes
        after = await kube.get(*DEFINITION, ALERTS)
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        # As NOTES say. Whose they are is in their marks.
        adopt = ("--take-ownership", "--reset-then-reuse-values", "--set", "crds.adopt=true")
        words = ("upgrade", RELEASE, str(CHART), "-n", NAMESPACE, *adopt)
        helm(*words, kubeconfig=plane.kubeconfig())
        adopted = (await kube.get(*DEFINITION, ALERTS))["metadata"]["annotations"]
        assert adopted["meta.helm.sh/release-name"] == RELEASE
    finally:
        helm("uninstall", RELEASE, "-n", NAMESPACE, kubeconfig=plane.kubeconfig())
        for definition in await kube.list(*DEFINITION[:2]):
            if definition["metadata"]["name"].endswith(".flagger.app"):
                await _disown(kube, definition["metadata"]["name"])


async def test_an_upgrade_renews_definitions_and_the_end_of_the_release_leaves_them(
    plane: ControlPlane, kube: Kube
) -> None:
    """One that our release brought, as an older chart would have written it."""
    whole = await kube.get(*DEFINITION, ALERTS)
    older = [{**whole["spec"]["versions"][0], "additionalPrinterColumns": []}]
    await kube.patch(
        *DEFINITION,
        ALERTS,
        {"metadata": {"annotations": MARKS, "labels": LABELS}, "spec": {"versions": older}},
    )
    words = ("upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace")
    try:
        notes = helm(*words, kubeconfig=plane.kubeconfig())
        assert f"definition of {ALERTS}" not in notes
        renewed = await kube.get(*DEFINITION, ALERTS)
        columns = [c["name"] for c in renewed["spec"]["versions"][0]["additionalPrinterColumns"]]
        assert columns == ["Type"]
        helm("uninstall", RELEASE, "-n", NAMESPACE, kubeconfig=plane.kubeconfig())
        assert await kube.find(*DEFINITION, ALERTS) is not None
    finally:
        await _disown(kube, ALERTS)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((), ["every address at 443, 6443", "no metrics server", "no chat service"]),
        (
            ("prometheus.install=true", "apiServer.peers[0].ipBlock.cidr=10.0.0.1/32"),
            ["no chat service"],
        ),
        (("to.all[0].ports[0].port=443",), ["every address at 443, 6443"]),
    ],
)
def test_notes_say_what_cannot_be_reached_from_now_on(
    plane: ControlPlane, values: tuple[str, ...], told: list[str]
) -> None:
    words = [f"networkPolicy.egress.{one}" if "[" in one else one for one in values]
    sets = [
        word for one in (*words, "networkPolicy.egress.enabled=true") for word in ("--set", one)
    ]
    command = ("install", "dry", str(CHART), "-n", NAMESPACE, "--dry-run=server", *sets)
    notes = helm(*command, kubeconfig=plane.kubeconfig()).partition("NOTES:")[2]
    sentences = ("every address at 443, 6443", "no metrics server", "no chat service")
    assert [one for one in sentences if one in notes] == told


def test_everybody_may_do_what_the_documented_table_says_and_no_more(
    plane: ControlPlane, released: Path
) -> None:
    """`kubectl auth can-i --list` of every service's account, less what all accounts may do."""
    documented = _table((ROOT / chart.RIGHTS).read_text("utf-8"))
    basic = _allowed(plane, "loadtester")
    assert {verb for _, verb in basic} == {"create"}, "reviews of oneself"
    for service in (*SERVICES, "coordinator"):
        assert _allowed(plane, service) - basic == documented.get(service, set()), service
    assert set(documented) == {*SERVICES, "coordinator"} - {"loadtester"}


async def test_a_suite_of_one_namespace_may_do_the_same_there_and_nothing_elsewhere(
    plane: ControlPlane, kube: Kube
) -> None:
    documented = _table((ROOT / chart.RIGHTS).read_text("utf-8"))
    for name in ("shop", "elsewhere"):
        await kube.namespace(name)
    config = plane.kubeconfig()
    words = ("-n", NAMESPACE, "--create-namespace", "--set", "namespace=shop,crds.install=false")
    helm("install", RELEASE, str(CHART), *words, kubeconfig=config)
    try:
        basic = _allowed(plane, "loadtester", "shop")
        for service in SERVICES:
            everywhere = {
                (what, verb) for what, verb in documented.get(service, ()) if what != LEASES
            }
            assert _allowed(plane, service, "shop") - basic == everywhere, service
            assert _allowed(plane, service, "elsewhere") == basic, service
    finally:
        helm("uninstall", RELEASE, "-n", NAMESPACE, kubeconfig=config)


async def _disown(kube: Kube, definition: str) -> None:
    nobody = {"annotations": dict.fromkeys(MARKS), "labels": dict.fromkeys(LABELS)}
    await kube.patch(*DEFINITION, definition, {"metadata": nobody})


def _allowed(plane: ControlPlane, service: str, namespace: str = NAMESPACE) -> set[tuple[str, str]]:
    account = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-{service}"
    words = ("auth", "can-i", "--list", f"--as={account}", "--no-headers", "-n", namespace)
    found = set()
    for line in plane.kubectl(*words).splitlines():
        if line[:1].isspace():
            continue  # of addresses that are no resources: discovery, health
        verbs = re.findall(r"\[([^\]]*)\]", line)[-1].split()
        found |= {(line.split()[0], verb) for verb in verbs}
    return found


def _table(text: str) -> dict[str, set[tuple[str, str]]]:
    rights: dict[str, set[tuple[str, str]]] = {}
    service = ""
    for line in text.splitlines():
        if line.startswith("## "):
            service = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0] not in ("group", "---"):
            group = "" if cells[0] == "core" else f".{cells[0]}"
            for resource in cells[1].split(", "):
                plural, _, part = resource.partition("/")
                full = f"{plural}{group}/{part}".rstrip("/")
                verbs = cells[2].split(", ")
                rights.setdefault(service, set()).update((full, verb) for verb in verbs)
    return rights


async def _secrets(kube: Kube) -> dict[str, Obj]:
    """Those of the chart by name; Helm's own record is another matter."""
    return {
        obj["metadata"]["name"]: obj["data"]
        for obj in await kube.list("v1", "Secret", NAMESPACE)
        if obj["type"] != "helm.sh/release.v1"
    }
