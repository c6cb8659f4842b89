"""Metrics sources: where credentials come from, and what happens when they are not there."""

import base64
from typing import Any

import msgspec
import pytest
from tests.builders import REF, a_canary_spec, a_rollout, a_status
from tests.unit.analyzer.doubles import FakeCluster, FakeHttp, Spawner, in_turn, reply, toolbox

from serinus.analyzer.core.rollout import MetricAsk, Policy, ProbeAsk, Unreachable, Value
from serinus.analyzer.shell.sources import Sources
from serinus.events import MetricTemplateSpec
from serinus.events.canary import MetricProvider, SecretRef
from serinus.kube.errors import Denied
from serinus.kube.errors import Unreachable as ApiAway

pytestmark = pytest.mark.looptime

ONE = '{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]}]}}'


def a_secret(**data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "prom", "namespace": "metrics"},
        "data": encoded,
    }


def a_template(**headers: list[str]) -> dict[str, Any]:
    provider = {"type": "prometheus", "address": "http://private:9090", "headers": headers}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": "errors", "namespace": "metrics"},
        "spec": {"provider": provider, "query": "x"},
    }


class Bench:
    def __init__(self, *objects: dict[str, Any]) -> None:
        self.http = FakeHttp(in_turn(reply(200, ONE)))
        self.cluster = FakeCluster(*objects)
        self.spawn = Spawner()
        tools = toolbox(self.http, self.spawn)
        self.sources = Sources(cluster=self.cluster, tools=tools, clock=self.http.clock)


def source(secret: str = "", **provider: Any) -> MetricTemplateSpec:
    fields = {"type": "prometheus", "address": "http://prom:9090", **provider}
    if secret:
        fields["secret_ref"] = SecretRef(name=secret)
    return MetricTemplateSpec(provider=MetricProvider(**fields), query="x")


def an_ask(template: str = "metrics/errors", secret: str = "", **provider: Any) -> MetricAsk:
    return MetricAsk(
        key="k", metric="errors", source=source(secret, **provider), template=template, query="x"
    )


async def test_an_answer_carries_the_key_of_its_question() -> None:
    bench = Bench()

    assert await bench.sources.measure(an_ask(), a_rollout()) == Value(key="k", value=1.0)
    assert bench.cluster.reads == []


async def test_credentials_are_read_in_the_templates_namespace() -> None:
    bench = Bench(a_secret(token="t0ken"))

    await bench.sources.measure(an_ask(secret="prom"), a_rollout())

    assert bench.http.sent[0].headers["Authorization"] == "Bearer t0ken"
    assert [r.namespace for r in bench.cluster.reads] == ["metrics"]


async def test_credentials_are_remembered_for_a_short_while() -> None:
    bench = Bench(a_secret(token="old"))
    ask = an_ask(secret="prom")
    for _ in range(5):
        await bench.sources.measure(ask, a_rollout())
    assert len(bench.cluster.reads) == 1

    bench.cluster.put(a_secret(token="new"))
    await bench.http.clock.sleep(30)
    await bench.sources.measure(ask, a_rollout())

    assert bench.http.sent[-1].headers["Authorization"] == "Bearer new"


async def test_a_secret_that_is_missing_is_told_in_flaggers_words() -> None:
    answer = await Bench().sources.measure(an_ask(secret="prom"), a_rollout())

    assert answer == Unreachable(
        key="k", why='Metric template errors.metrics secret prom error: secrets "prom" not found'
    )


LABELLED = a_rollout(policy=Policy(labelled_secrets_only=True))
CURE = "is not labelled to be read for this: kubectl --namespace {} label secret prom {}=true"


async def test_where_labels_are_asked_for_another_secret_is_not_sent_anywhere() -> None:
    """Who may write MetricTemplates would have any Secret's keys sent to an address of theirs."""
    bench = Bench(a_secret(token="t0ken"))

    answer = await bench.sources.measure(an_ask(secret="prom"), LABELLED)

    cure = CURE.format("metrics", "serinus.dev/readable")
    assert answer == Unreachable(
        key="k",
        why="Metric template errors.metrics secret prom error: "
        f"spec.provider.secretRef: secret prom {cure}",
    )
    assert bench.http.sent == []


async def test_a_labelled_secret_is_read_as_ever() -> None:
    secret = a_secret(token="t0ken")
    secret["metadata"]["labels"] = {"serinus.dev/readable": "true"}
    bench = Bench(secret)

    await bench.sources.measure(an_ask(secret="prom"), LABELLED)

    assert bench.http.sent[0].headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("error", [Denied("secrets is forbidden"), ApiAway("HTTP 503")])
async def test_a_secret_that_cannot_be_read_is_told(error: Exception) -> None:
    bench = Bench()

    async def failing(ref: object) -> Any:
        raise error

    bench.cluster.get = failing  # type: ignore[method-assign]

    answer = await bench.sources.measure(an_ask(secret="prom"), a_rollout())

    assert answer == Unreachable(
        key="k",
        why=f"Metric template errors.metrics secret prom error: {error}",
        away=isinstance(error, ApiAway),
    )


@pytest.mark.parametrize(("counted", "samples"), [('[{"value":[1,"42"]}]', 42.0), ("[]", 0.0)])
async def test_samples_are_counted_where_the_check_wants_to_know(
    counted: str, samples: float
) -> None:
    bench = Bench()
    found = '{"status":"success","data":{"resultType":"vector","result":%s}}'
    bench.http.script = in_turn(reply(200, ONE), reply(200, found % counted))
    ask = msgspec.structs.replace(an_ask(), samples_query="sum(n)")

    answer = await bench.sources.measure(ask, a_rollout())

    assert answer == Value(key="k", value=1.0, samples=samples)
    assert len(bench.http.sent) == 2


async def test_samples_that_cannot_be_counted_are_no_answer() -> None:
    bench = Bench()
    bench.http.script = in_turn(reply(200, ONE), reply(500, "oops"))
    ask = msgspec.structs.replace(an_ask(), samples_query="sum(n)")

    assert isinstance(await bench.sources.measure(ask, a_rollout()), Unreachable)


async def test_a_private_template_is_read_with_its_headers() -> None:
    """The snapshot's copy has none: they may hold credentials, and the bus must not."""
    bench = Bench(a_template(Authorization=["Bearer s3cret"]))
    rollout = a_rollout(seen={"template_private": ("metrics/errors",)})

    await bench.sources.measure(an_ask(), rollout)

    assert bench.http.sent[0].url.startswith("http://private:9090/")
    assert bench.http.sent[0].headers == {"Authorization": "Bearer s3cret"}


async def test_a_private_template_that_is_gone_is_told() -> None:
    rollout = a_rollout(seen={"template_private": ("metrics/errors",)})

    answer = await Bench().sources.measure(an_ask(), rollout)

    assert answer == Unreachable(
        key="k",
        why='Metric template errors.metrics error: metrictemplate.flagger.app "errors" not found',
    )


async def test_a_probe_says_which_source_is_not_available() -> None:
    bench = Bench()
    bench.http.script = in_turn(reply(503, "starting"))
    ask = ProbeAsk(key="p", source=source(), template="metrics/errors")

    answer = await bench.sources.probe(ask, a_rollout())

    assert answer == Unreachable(
        key="p",
        why="prometheus in metric template errors.metrics not available: "
        "error response: Status 503 Service Unavailable: starting",
        away=True,
    )


async def test_a_probe_of_what_cannot_be_put_together_continues_the_probes_sentence() -> None:
    ask = ProbeAsk(key="p", source=source("prom"), template="metrics/errors")

    answer = await Bench().sources.probe(ask, a_rollout())

    assert isinstance(answer, Unreachable)
    assert answer.why.startswith("metric template errors.metrics secret prom error")


async def test_a_canary_under_analysis_is_watched_where_there_is_no_metrics_server() -> None:
    bench = Bench()
    policy = Policy(metrics_server="scrape:http://127.0.0.1:9100/metrics")

    bench.sources.warm(a_rollout("Succeeded", policy=policy))
    bench.sources.warm(a_rollout("Progressing"))
    assert bench.spawn.tasks == set()

    bench.sources.warm(a_rollout("Progressing", policy=policy))
    await bench.http.clock.sleep(0.1)

    assert [r.url for r in bench.http.sent] == ["http://127.0.0.1:9100/metrics"]
    await bench.spawn.close()


async def test_the_canarys_own_metrics_server_goes_before_the_operators() -> None:
    bench = Bench()
    spec = a_canary_spec(metrics_server="scrape:http://own:9100/metrics")

    bench.sources.warm(a_rollout(spec=spec, status=a_status("Progressing")))
    await bench.http.clock.sleep(0.1)

    assert [r.url for r in bench.http.sent] == ["http://own:9100/metrics"]
    assert REF.name == "web"
    await bench.spawn.close()


OF_THE_CLUSTER = [
    ("keptn", "keptnmetric/{}/errors"),
    ("keptn", "analysis/{}/web"),
    ("externalmetrics", "{}/errors"),
]


@pytest.mark.parametrize(("kind", "query"), OF_THE_CLUSTER)
async def test_where_namespaces_are_walls_another_ones_metrics_are_not_asked(
    kind: str, query: str
) -> None:
    """They are read with our own rights, not with the author's."""
    bench = Bench()
    ask = msgspec.structs.replace(an_ask(type=kind, address=""), query=query.format("elsewhere"))
    walls = a_rollout(policy=Policy(no_cross_namespace=True))

    answer = await bench.sources.measure(ask, walls)

    assert isinstance(answer, Unreachable)
    assert not answer.away
    assert answer.why.endswith("in elsewhere, cross-namespace references are blocked")
    assert bench.http.sent == []

    own = msgspec.structs.replace(ask, query=query.format(REF.namespace))
    for asked, rollout in ((own, walls), (ask, a_rollout())):
        await bench.sources.measure(asked, rollout)
        assert bench.http.sent.pop(0)
        bench.http.sent.clear()


async def test_a_server_of_its_own_may_be_asked_about_any_namespace() -> None:
    bench = Bench()
    ask = an_ask(type="externalmetrics", address="https://metrics.test")

    await bench.sources.measure(
        msgspec.structs.replace(ask, query="elsewhere/errors"),
        a_rollout(policy=Policy(no_cross_namespace=True)),
    )

    assert len(bench.http.sent) == 1
