"""The client, the watches and the store against a real kube-apiserver."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube
from tests.servers.process import free_ports

from serinus.kube.client import KubeClient, connect
from serinus.kube.cluster import Change
from serinus.kube.errors import Conflict, Denied, Gone, Invalid, NoKind, NotFound, Unreachable
from serinus.kube.refs import Obj, Ref
from serinus.kube.store import Store
from serinus.kube.watch import State, reflect
from serinus.runtime.clock import SystemClock

BOUND_S = 60.0
MANAGER = "serinus-test"


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[KubeClient]:
    async with connect(str(control_plane.kubeconfig("router"))) as connected:
        yield connected


def a_config(namespace: str, name: str = "settings", **data: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def the_config(namespace: str, name: str = "settings") -> Ref:
    return Ref("v1", "ConfigMap", namespace, name)


class Watched:
    """A store that a reflection keeps up to date, and a way to wait for what it comes to hold."""

    def __init__(self) -> None:
        self.store = Store(on_change=self._changed)
        self.states: list[State] = []
        self._news = asyncio.Event()

    def _changed(self, before: Obj | None, after: Obj | None) -> None:
        self._news.set()

    def on_state(self, state: State, why: str) -> None:
        self.states.append(state)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits, with a bound, for something to become true."""
        async with asyncio.timeout(BOUND_S):
            while not condition():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def reflecting(
    client: KubeClient, kind: str, namespace: str = "", api_version: str = "v1"
) -> AsyncIterator[Watched]:
    watched = Watched()
    task = asyncio.create_task(
        reflect(
            client,
            api_version,
            kind,
            namespace=namespace,
            store=watched.store,
            clock=SystemClock(),
            on_state=watched.on_state,
        )
    )
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_created_can_be_read_and_deleted(client: KubeClient, namespace: str) -> None:
    """Create, get, delete: and then it is gone, and deleting it again is no error."""
    made = await client.create(a_config(namespace, color="blue"))

    found = await client.get(the_config(namespace))
    await client.delete(the_config(namespace), uid=made["metadata"]["uid"])
    await client.delete(the_config(namespace))

    assert found["data"] == {"color": "blue"}
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
    with pytest.raises(NotFound, match='configmaps "settings" not found'):
        await client.get(the_config(namespace))


async def test_a_delete_with_another_uid_is_refused(client: KubeClient, namespace: str) -> None:
    """A precondition on the uid protects an object that took the name meanwhile."""
    await client.create(a_config(namespace))

    with pytest.raises(Conflict):
        await client.delete(the_config(namespace), uid="00000000-0000-0000-0000-000000000000")


async def test_what_exists_cannot_be_created_again(client: KubeClient, namespace: str) -> None:
    await client.create(a_config(namespace))

    with pytest.raises(Conflict, match="already exists"):
        await client.create(a_config(namespace))


async def test_an_apply_changes_only_the_fields_it_owns(client: KubeClient, namespace: str) -> None:
    """Server-side apply leaves what others wrote alone, and takes back what we leave out."""
    await client.create(a_config(namespace, theirs="1"))
    await client.apply(a_config(namespace, ours="1", passing="1"), manager=MANAGER)

    after = await client.apply(a_config(namespace, ours="2"), manager=MANAGER)

    assert after["data"] == {"theirs": "1", "ours": "2"}


async def test_an_apply_without_force_names_the_other_manager(
    client: KubeClient, namespace: str
) -> None:
    await client.apply(a_config(namespace, color="blue"), manager="someone")

    with pytest.raises(Conflict, match='conflict with "someone"'):
        await client.apply(a_config(namespace, color="red"), manager=MANAGER, force=False)


async def test_a_dry_run_changes_nothing(client: KubeClient, namespace: str) -> None:
    await client.create(a_config(namespace, color="blue"))

    seen = await client.apply(a_config(namespace, color="red"), manager=MANAGER, dry_run=True)

    assert seen["data"] == {"color": "red"}
    assert (await client.get(the_config(namespace)))["data"] == {"color": "blue"}


async def test_a_patch_from_an_old_version_is_a_conflict(
    client: KubeClient, namespace: str
) -> None:
    """metadata.resourceVersion in a merge patch is compare-and-swap."""
    old = await client.create(a_config(namespace, color="blue"))
    version = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}}
    await client.patch(the_config(namespace), version | {"data": {"a": "1"}}, manager=MANAGER)

    with pytest.raises(Conflict):
        await client.patch(the_config(namespace), version | {"data": {"a": "2"}}, manager=MANAGER)

    assert (await client.get(the_config(namespace)))["data"] == {"color": "blue", "a": "1"}


async def test_a_list_of_operations_is_a_json_patch(client: KubeClient, namespace: str) -> None:
    await client.create(a_config(namespace, color="blue"))

    after = await client.patch(
        the_config(namespace),
        [{"op": "replace", "path": "/data/color", "value": "green"}],
        manager=MANAGER,
    )

    assert after["data"] == {"color": "green"}


async def test_a_status_is_written_apart_from_the_object(
    client: KubeClient, namespace: str
) -> None:
    """The status subresource takes the status and leaves the spec alone."""
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "analysis": {"interval": "10s"},
    }
    await client.create(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": spec,
        }
    )
    ref = Ref("flagger.app/v1beta1", "Canary", namespace, "web")

    after = await client.patch(
        ref,
        {"status": {"phase": "Initializing"}, "spec": {"suspend": True}},
        manager=MANAGER,
        subresource="status",
    )

    assert after["status"]["phase"] == "Initializing"
    assert after["spec"] == spec


async def test_an_object_that_makes_no_sense_is_invalid_in_the_servers_words(
    client: KubeClient, namespace: str
) -> None:
    broken = a_config(namespace) | {"metadata": {"name": "Not A Name", "namespace": namespace}}

    with pytest.raises(Invalid, match=r"metadata\.name: Invalid value"):
        await client.create(broken)


async def test_a_kind_without_a_crd_is_said_so(client: KubeClient, namespace: str) -> None:
    """An unknown kind is told apart from a missing object, in the table of kinds or not."""
    in_the_table = Ref("keda.sh/v1alpha1", "ScaledObject", namespace, "web")
    not_in_it = Ref("example.test/v1", "Nothing", namespace, "web")

    for ref in (in_the_table, not_in_it):
        with pytest.raises(NoKind):
            await client.get(ref)


async def test_kinds_that_are_not_in_the_table_are_discovered_once(
    control_plane: ControlPlane, namespace: str
) -> None:
    asked: list[tuple[str, str, str]] = []
    async with connect(
        str(control_plane.kubeconfig("router")), count=lambda *row: asked.append(row)
    ) as client:
        await client.list("rbac.authorization.k8s.io/v1", "RoleBinding", namespace)
        await client.list("rbac.authorization.k8s.io/v1", "Role", namespace)
        await client.list("apps/v1", "Deployment", namespace)

    assert asked == [
        ("get", "apiresources", "200"),
        ("list", "rolebindings", "200"),
        ("list", "roles", "200"),
        ("list", "deployments", "200"),
    ]


async def test_a_list_goes_on_behind_the_first_page(
    client: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serinus.kube.client.FIRST_PAGE", 2)
    for number in range(7):
        await client.create(a_config(namespace, f"c{number}"))

    listing = await client.list("v1", "ConfigMap", namespace)

    names = [obj["metadata"]["name"] for obj in listing.items]
    assert [n for n in names if n.startswith("c")] == [f"c{number}" for number in range(7)]
    assert all(obj["kind"] == "ConfigMap" for obj in listing.items)


async def test_every_answer_says_what_time_it_is(control_plane: ControlPlane) -> None:
    """A clock that is five minutes ahead is put right by the first of them."""
    clock = SystemClock(lambda: time.time() + 300.0)
    async with connect(str(control_plane.kubeconfig("router")), clock=clock) as client:
        await client.live()

    assert abs(clock.now() - time.time()) < 3.0


async def test_an_unknown_token_is_denied(control_plane: ControlPlane, namespace: str) -> None:
    config = control_plane.kubeconfig("router").read_text()
    stranger = control_plane.folder / "stranger.kubeconfig"
    stranger.write_text(config.replace(control_plane.token("router"), "nobody"))

    async with connect(str(stranger)) as client:
        with pytest.raises(Denied, match="Unauthorized"):
            await client.get(the_config(namespace))


async def test_a_renewed_token_is_found_in_the_kubeconfig(
    control_plane: ControlPlane, namespace: str
) -> None:
    """When the server refuses our token the configuration is read again, once, and used."""
    config = control_plane.kubeconfig("router").read_text()
    changing = control_plane.folder / "changing.kubeconfig"
    changing.write_text(config.replace(control_plane.token("router"), "expired"))
    async with connect(str(changing)) as client:
        changing.write_text(config)

        listing = await client.list("v1", "Secret", namespace)

    assert listing.items == ()


async def test_a_server_that_is_not_there_is_unreachable(
    control_plane: ControlPlane, namespace: str
) -> None:
    config = control_plane.kubeconfig("router").read_text()
    nowhere = control_plane.folder / "nowhere.kubeconfig"
    nowhere.write_text(config.replace(control_plane.server, "https://127.0.0.1:1"))

    async with connect(str(nowhere)) as client:
        with pytest.raises(Unreachable, match=r"https://127\.0\.0\.1:1"):
            await client.get(the_config(namespace))


async def test_a_configuration_that_is_not_there_is_denied() -> None:
    with pytest.raises(Denied, match=r"/no/such/file"):
        async with connect("/no/such/file"):
            pass


def test_a_client_that_is_stopped_at_any_moment_leaves_no_socket_behind(
    control_plane: ControlPlane,
) -> None:
    """In the middle of a TLS handshake, of a list, of a watch; each time on a loop of its own."""

    async def stopped_after(seconds: float) -> None:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(connect(str(control_plane.kubeconfig())))
            for kind in ("Pod", "Secret", "ConfigMap"):
                await stack.enter_async_context(reflecting(client, kind))
            await asyncio.sleep(seconds)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for milliseconds in range(0, 30, 2):
            asyncio.run(stopped_after(milliseconds / 1000))
            gc.collect()

    assert [str(warning.message) for warning in caught] == []


async def drained(changes: AsyncIterator[Change]) -> None:
    async for _ in changes:
        pass


async def test_a_watch_from_a_forgotten_version_is_gone(client: KubeClient, namespace: str) -> None:
    """The API server began to remember Canaries when their CRD came, long after version 1."""
    changes = client.watch("flagger.app/v1beta1", "Canary", "1", namespace)

    with pytest.raises(Gone, match="too old resource version"):
        await asyncio.wait_for(drained(changes), BOUND_S)


async def test_a_watched_object_may_be_larger_than_any_buffer(
    client: KubeClient, kube: Kube, namespace: str
) -> None:
    """One line of the stream is one object, however long: here 900 KB."""
    async with reflecting(client, "ConfigMap", namespace) as watched:
        await watched.store.synced()
        await kube.apply(a_config(namespace, "large", blob="x" * 900_000))

        await watched.until(lambda: the_config(namespace, "large") in watched.store)

    large = watched.store.get(the_config(namespace, "large"))
    assert large is not None
    assert len(large["data"]["blob"]) == 900_000


async def test_a_store_follows_what_others_do(
    client: KubeClient, kube: Kube, namespace: str
) -> None:
    """Created, changed and deleted by others: the store holds the same as the API server."""
    await kube.apply(a_config(namespace, "before"))
    async with reflecting(client, "ConfigMap", namespace) as watched:
        await watched.store.synced()
        assert the_config(namespace, "before") in watched.store

        await kube.apply(a_config(namespace, color="blue"))
        await kube.apply(a_config(namespace, color="red"))
        await kube.delete("v1", "ConfigMap", namespace, "before")

        await watched.until(lambda: the_config(namespace, "before") not in watched.store)
        found = watched.store.get(the_config(namespace))
        assert found is not None
        assert found["data"] == {"color": "red"}
        assert watched.states == ["listing", "streaming"]


async def test_a_written_object_is_read_at_once_and_stays(
    client: KubeClient, namespace: str
) -> None:
    """After `put_written` the store never shows an older state, however slow the watch is."""
    shown: list[str] = []
    async with reflecting(client, "ConfigMap", namespace) as watched:
        await watched.store.synced()
        for number in range(20):
            made = await client.apply(a_config(namespace, n=str(number)), manager=MANAGER)
            watched.store.put_written(made)
            kept = watched.store.get(the_config(namespace))
            assert kept is not None
            shown.append(kept["data"]["n"])
        done = await client.create(a_config(namespace, "done"))
        await watched.until(lambda: the_config(namespace, "done") in watched.store)

        kept = watched.store.get(the_config(namespace))
    assert shown == [str(number) for number in range(20)]
    assert kept is not None
    assert kept["data"]["n"] == "19"
    assert done["metadata"]["name"] == "done"


async def test_a_watch_outlives_the_api_server(
    control_plane: ControlPlane, client: KubeClient, kube: Kube, namespace: str
) -> None:
    """API server killed and started again: the state says so, and nothing is missed."""
    async with reflecting(client, "ConfigMap", namespace) as watched:
        await watched.store.synced()
        control_plane.child("kube-apiserver").kill()
        await watched.until(lambda: "away" in watched.states)
        control_plane.start_api_server()
        await kube.apply(a_config(namespace, "after"))

        await watched.until(lambda: the_config(namespace, "after") in watched.store)

    assert watched.states[:3] == ["listing", "streaming", "away"]
    assert watched.states[-1] == "streaming"


async def test_a_kind_that_is_installed_later_is_found(
    client: KubeClient, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a CRD the store is empty but in; with it, the watch starts by itself."""
    monkeypatch.setattr("serinus.kube.watch.MISSING_RETRY_S", 0.1)
    group, kind = "late.example.test", "Guest"
    async with reflecting(client, kind, namespace, f"{group}/v1") as watched:
        await watched.until(lambda: "missing" in watched.states)
        assert watched.store.is_synced
        await kube.apply(a_crd(group, kind))

        await watched.until(lambda: "streaming" in watched.states)

    await kube.delete(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", None, f"guests.{group}"
    )


def a_crd(group: str, kind: str) -> Obj:
    plural = kind.lower() + "s"
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


async def test_a_netrc_of_the_machine_is_none_of_our_business(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may name the API server's host; a second name beside our token would be refused."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with connect(str(control_plane.kubeconfig("router"))) as connected:
        assert await connected.create(a_config(namespace))


async def test_the_environments_proxy_is_used(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with connect(str(control_plane.kubeconfig("router"))) as connected:
        with pytest.raises(Unreachable):
            await connected.get(Ref("v1", "Namespace", "", "default"))
