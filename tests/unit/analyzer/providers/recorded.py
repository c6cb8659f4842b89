"""What each source answers, from its published API documents, and what must come of it.

One row per type and api. Hosts, accounts and values are made up; shapes are the vendors'.
"""

from __future__ import annotations

import json
import struct
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct
from tests.unit.analyzer.doubles import Reply, Script, reply

from serinus.analyzer.providers.source import Question, Source
from serinus.events.canary import HttpSource, MetricProvider
from serinus.runtime.http import HttpRequest

AT = 1_700_000_000.0
TOKEN_URI = "https://oauth2.test/token"


class Recorded(Struct, frozen=True, kw_only=True):
    """One source with its answers.

    document   the published page that the answers' shapes are from
    required   keys that the Secret must hold; without one, its name is told
    value      an answer that means `number`
    no_data    an answer that holds no value, several: one that holds two ("" where there is none)
    malformed  an answer in no shape of the source's
    times      texts in the request that come from the window; () where the query has its own
    """

    type: str
    document: str
    api: str = ""
    fields: dict[str, Any] = {}
    credentials: dict[str, str] = {}
    required: tuple[str, ...] = ()
    query: str = "q"
    body: str = ""
    value: str
    number: float
    no_data: str
    several: str = ""
    malformed: tuple[str, ...] = ("<html>teapot</html>", "[]", "{}", "17", '"x"', "null")
    times: tuple[str, ...] = ()
    probe: str = ""

    @property
    def name(self) -> str:
        return f"{self.type}-{self.api}" if self.api else self.type

    def source(self, *without: str, **more: str) -> Source:
        """The source; its Secret lacks the keys of `without` and has more."""
        held = {k: v.encode() for k, v in self.credentials.items() if k not in without}
        held |= {k: v.encode() for k, v in more.items()}
        if "serviceAccountKey" in held:
            held["serviceAccountKey"] = service_account()
        provider = MetricProvider(type=self.type, api=self.api, **self.fields)
        return Source(provider=provider, credentials=held)

    def question(self, at: float = AT) -> Question:
        return Question(query=self.query, body=self.body, at=at, window_s=60.0)


@cache
def service_account() -> bytes:
    """The JSON key of a service account that exists nowhere."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    info = {
        "type": "service_account",
        "project_id": "shop",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "serinus@shop.test",
        "token_uri": TOKEN_URI,
    }
    return json.dumps(info).encode()


def served(answer: Reply) -> Script:
    """This answer for everything but the request for a token."""

    def script(request: HttpRequest) -> Reply:
        if request.url == TOKEN_URI:
            token = {"access_token": "s3cret-bearer", "expires_in": 3600, "token_type": "Bearer"}
            return reply(200, json.dumps(token))
        return answer

    return script


def prometheus(*values: str, kind: str = "vector") -> str:
    series = [{"metric": {"pod": str(i)}, "value": [AT, v]} for i, v in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": series}})


def _datadog(*series: list[list[float | None]]) -> str:
    rows = [{"pointlist": points, "interval": 60, "metric": "errors"} for points in series]
    return json.dumps({"status": "ok", "series": rows, "from_date": 0, "to_date": 0})


def _datadog_v2(*columns: list[float | None]) -> str:
    times = [(int(AT) - 120 + 60 * i) * 1000 for i in range(3)]
    series = [{"group_tags": [], "query_index": 0} for _ in columns]
    attributes = {"series": series, "times": times, "values": columns}
    return json.dumps({"data": {"type": "timeseries_response", "attributes": attributes}})


def _nerdgraph(*results: dict[str, Any]) -> str:
    return json.dumps({"data": {"actor": {"account": {"nrql": {"results": results}}}}})


def _graphite(*series: list[float | None]) -> str:
    return json.dumps(
        [
            {"target": f"t{n}", "datapoints": [[v, AT - 60 + i] for i, v in enumerate(values)]}
            for n, values in enumerate(series)
        ]
    )


def _flux(*values: str) -> str:
    lines = [",result,table,_start,_stop,_time,_value,_field"]
    lines += [f",_result,{i},a,b,c,{value},errors" for i, value in enumerate(values)]
    return "\r\n".join(lines) + "\r\n\r\n" if values else "\r\n"


def _influxql(*rows: list[Any]) -> str:
    series = [{"name": "errors", "columns": ["time", "mean"], "values": rows}] if rows else []
    return json.dumps({"results": [{"statement_id": 0, **({"series": series} if rows else {})}]})


def _mql(*series: dict[str, Any]) -> str:
    rows = [{"pointData": [{"values": [value], "timeInterval": {}}]} for value in series]
    return json.dumps({"timeSeriesDescriptor": {}, **({"timeSeriesData": rows} if rows else {})})


def _dynatrace(*series: list[float | None]) -> str:
    data = [{"dimensions": [], "timestamps": [0], "values": values} for values in series]
    return json.dumps({"totalCount": 1, "result": [{"metricId": "m", "data": data}]})


def _cloudwatch(*results: list[float]) -> str:
    rows = [
        {
            "Id": f"q{i}",
            "Values": values,
            "Timestamps": [AT] * len(values),
            "StatusCode": "Complete",
        }
        for i, values in enumerate(results)
    ]
    return json.dumps({"MetricDataResults": rows})


def signalflow(*points: tuple[str, float | int | None]) -> str:
    """The frames of a whole dialogue: JSON, and one data batch in the binary form."""
    batch = struct.pack("!BBxx16sqi", 1, 5, b"serinus", int(AT) * 1000, len(points))
    for series, value in points:
        kind = 0 if value is None else 2 if isinstance(value, float) else 1
        raw = struct.pack("!d" if kind == 2 else "!q", value or 0)
        batch += struct.pack("!B8s", kind, series.encode().ljust(8)) + raw
    frames = [
        json.dumps({"type": "authenticated", "orgId": "o", "userId": "u"}),
        json.dumps({"type": "control-message", "channel": "serinus", "event": "STREAM_START"}),
        json.dumps({"type": "control-message", "channel": "serinus", "event": "JOB_START"}),
        json.dumps({"type": "metadata", "channel": "serinus", "tsId": "AAAA", "properties": {}}),
        "0x" + batch.hex(),
        json.dumps({"type": "control-message", "channel": "serinus", "event": "END_OF_CHANNEL"}),
    ]
    return "\n".join(frames)


def _external(*values: str) -> str:
    items = [{"metricName": "m", "metricLabels": {}, "value": value} for value in values]
    return json.dumps({"kind": "ExternalMetricValueList", "metadata": {}, "items": items})


CLOUDWATCH_QUERY = json.dumps(
    [{"Id": "e1", "Expression": "m1 / m2", "Label": "errors", "ReturnData": True}]
)
SHOP = {"address": "https://metrics.test"}
BUSINESS = {**SHOP, "http": HttpSource(value="$.rate", samples="$.orders")}

RECORDED = (
    Recorded(
        type="prometheus",
        document='prometheus.io, "HTTP API": Instant queries',
        fields=SHOP,
        credentials={"token": "s3cret-token"},
        value=prometheus("99.5"),
        number=99.5,
        no_data=prometheus(),
        several=prometheus("1", "2"),
        probe=prometheus("1"),
    ),
    Recorded(
        type="datadog",
        document='docs.datadoghq.com, "Metrics": Query timeseries points (v1), and Authentication',
        credentials={"datadog_api_key": "s3cret-api", "datadog_application_key": "s3cret-app"},
        required=("datadog_api_key", "datadog_application_key"),
        value=_datadog([[(AT - 120) * 1000, 7.0], [(AT - 60) * 1000, 0.5], [AT * 1000, 90.0]]),
        number=0.5,
        no_data=_datadog(),
        several=_datadog([[0, 1.0]], [[0, 2.0]]),
        times=("from=1699999400", "to=1700000000"),
        probe='{"valid":true}',
    ),
    Recorded(
        type="datadog",
        api="v2",
        document='docs.datadoghq.com, "Metrics": Query timeseries data across multiple products',
        credentials={"datadog_api_key": "s3cret-api", "datadog_application_key": "s3cret-app"},
        required=("datadog_api_key", "datadog_application_key"),
        value=_datadog_v2([7.0, 0.5, 90.0]),
        number=0.5,
        no_data=_datadog_v2(),
        several=_datadog_v2([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]),
        times=('"from":1699999400000', '"to":1700000000000'),
        probe='{"valid":true}',
    ),
    Recorded(
        type="newrelic",
        document='docs.newrelic.com, "Query event data with the Insights query API"',
        credentials={"newrelic_account_id": "12345", "newrelic_query_key": "s3cret-query"},
        required=("newrelic_account_id", "newrelic_query_key"),
        value='{"results":[{"result":1.25}]}',
        number=1.25,
        no_data='{"results":[]}',
        several='{"results":[{"result":1},{"result":2}]}',
        times=("SINCE%2060%20seconds%20ago",),
    ),
    Recorded(
        type="newrelic",
        document='docs.newrelic.com, "Query NRQL through NerdGraph"',
        fields={"headers": {"X-Team": ("nerd",)}},
        credentials={"newrelic_account_id": "12345", "newrelic_api_key": "s3cret-user"},
        required=("newrelic_account_id",),
        value=_nerdgraph({"percentile.duration": {"99": 1.25}}),
        number=1.25,
        no_data=_nerdgraph(),
        several=_nerdgraph({"count": 1}, {"count": 2}),
        times=("SINCE 60 seconds ago",),
    ),
    Recorded(
        type="cloudwatch",
        document="docs.aws.amazon.com, CloudWatch API reference: GetMetricData",
        fields={"region": "eu-west-1"},
        credentials={"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "s3cret-aws"},
        required=("aws_access_key_id", "aws_secret_access_key"),
        query=CLOUDWATCH_QUERY,
        value=_cloudwatch([0.25, 9.0]),
        number=0.25,
        no_data=_cloudwatch([]),
        several=_cloudwatch([1.0], [2.0]),
        malformed=("<html>teapot</html>", "17", '{"MetricDataResults": 3}'),
        times=('"StartTime": 1699999400', '"EndTime": 1700000000'),
    ),
    Recorded(
        type="graphite",
        document='graphite.readthedocs.io, "The Render URL API"',
        fields=SHOP,
        credentials={"username": "ann", "password": "s3cret-graphite"},
        required=("password",),
        value=_graphite([1.0, 3.5, None]),
        number=3.5,
        no_data=_graphite([None]),
        several=_graphite([1.0], [2.0]),
        malformed=("<html>teapot</html>", "{}x", '[{"x":1}]', "17", '"x"', "null"),
        times=("from=1699999940", "until=1700000000"),
    ),
    Recorded(
        type="influxdb",
        document='docs.influxdata.com, InfluxDB v2: /api/v2/query, and "Annotated CSV"',
        fields=SHOP,
        credentials={"token": "s3cret-influx", "org": "shop"},
        required=("token", "org"),
        value=_flux("42"),
        number=42.0,
        no_data=_flux(),
        several=_flux("1", "2"),
        malformed=("<html>teapot</html>", '"', "a,b\r\nc,d", "result,_value\r\n_result,many"),
    ),
    Recorded(
        type="influxdb",
        api="influxql",
        document="docs.influxdata.com, InfluxDB v1: /query",
        fields={"address": "https://metrics.test?db=telegraf"},
        credentials={"username": "ann", "password": "s3cret-influx"},
        required=("password",),
        value=_influxql([0, 4.5]),
        number=4.5,
        no_data=_influxql(),
        several=_influxql([0, 1], [60, 2]),
    ),
    Recorded(
        type="influxdb",
        api="sql",
        document="docs.influxdata.com, InfluxDB 3: /api/v3/query_sql",
        fields={"address": "https://metrics.test?db=telegraf"},
        credentials={"token": "s3cret-influx"},
        required=("token",),
        value='[{"time":"2026-01-01T00:00:00","mean":4.5}]',
        number=4.5,
        no_data="[]",
        several='[{"a":1},{"a":2}]',
        malformed=("<html>teapot</html>", "17", "[3]", '[{"time":1}]', "null"),
    ),
    Recorded(
        type="stackdriver",
        document="cloud.google.com, Monitoring API v3: projects.timeSeries.query",
        credentials={"project": "shop", "serviceAccountKey": "(made by source())"},
        required=("project",),
        query="fetch k8s_container::x | within 1m",
        value=_mql({"int64Value": "12"}),
        number=12.0,
        no_data=_mql(),
        several=_mql({"doubleValue": 1.0}, {"doubleValue": 2.0}),
        malformed=("<html>teapot</html>", "17", '{"timeSeriesData":[3]}', "null"),
    ),
    Recorded(
        type="stackdriver",
        api="promql",
        document='cloud.google.com, "Prometheus API in Cloud Monitoring"',
        credentials={"project": "shop", "serviceAccountKey": "(made by source())"},
        required=("project",),
        value=prometheus("0.5"),
        number=0.5,
        no_data=prometheus(),
        several=prometheus("1", "2"),
    ),
    Recorded(
        type="dynatrace",
        document='docs.dynatrace.com, "Metrics API v2": GET metric data points',
        fields=SHOP,
        credentials={"dynatrace_token": "s3cret-dt"},
        required=("dynatrace_token",),
        value=_dynatrace([1.5]),
        number=1.5,
        no_data=_dynatrace([None]),
        several=_dynatrace([1.0], [2.0]),
        times=("from=1699999400000", "to=1700000000000"),
    ),
    Recorded(
        type="splunk",
        document='dev.splunk.com, "SignalFlow WebSocket messages"',
        fields={"address": "https://api.us1.test"},
        credentials={"sf_token_key": "s3cret-sf"},
        required=("sf_token_key",),
        value=signalflow(("one", 2.5)),
        number=2.5,
        no_data=signalflow(("one", None)),
        several=signalflow(("one", 1.0), ("two", 2)),
        malformed=("<html>teapot</html>", "[]", "0x0105"),
        times=('"start":1699999400000', '"stop":1700000000000'),
    ),
    Recorded(
        type="keptn",
        document="keptn.sh, CRD reference: KeptnMetric",
        query="keptnmetric/shop/errors",
        value='{"status":{"value":"0.5"}}',
        number=0.5,
        no_data='{"status":{}}',
        malformed=("<html>teapot</html>", "17", '{"status":{"value":"many"}}', '{"status":7}'),
    ),
    Recorded(
        type="externalmetrics",
        document="kubernetes/metrics, external.metrics.k8s.io/v1beta1: ExternalMetricValueList",
        query="shop/queue?labelSelector=app%3Dweb",
        value=_external("1500m"),
        number=1.5,
        no_data=_external(),
        several=_external("1", "2"),
        malformed=("<html>teapot</html>", "17", "{}", '{"items":[{"value":"many"}]}'),
    ),
    Recorded(
        type="externalmetrics",
        document="kubernetes/metrics, external.metrics.k8s.io/v1beta1: ExternalMetricValueList",
        fields=SHOP,
        credentials={"token": "s3cret-external"},
        required=("token",),
        query="shop/queue",
        value=_external("2Ki"),
        number=2048.0,
        no_data=_external(),
        several=_external("1", "2"),
        malformed=("<html>teapot</html>", "17", "{}", '{"items":[{"value":"many"}]}'),
    ),
    Recorded(
        type="http",
        document="rfc-editor.org, RFC 9535: JSONPath",
        fields=BUSINESS,
        credentials={"username": "ann", "password": "s3cret-http"},
        required=("password",),
        query="/v1/orders?service=web",
        value='{"rate": 99.5, "orders": 120}',
        number=99.5,
        no_data='{"orders": 0}',
        several="",
        malformed=("<html>teapot</html>", '{"rate":"many","orders":1}', '{"rate":1,"orders":"x"}'),
    ),
)
