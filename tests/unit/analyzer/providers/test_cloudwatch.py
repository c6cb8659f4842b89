"""CloudWatch: signed requests, roles, and the pod's own credentials."""

import json

import msgspec
import pytest
from tests.unit.analyzer.doubles import FakeHttp, Reply, in_turn, reply, toolbox
from tests.unit.analyzer.providers.recorded import AT, RECORDED, served

from serinus.analyzer.core.rollout import Unreachable, Value
from serinus.analyzer.providers import cloudwatch
from serinus.analyzer.providers.catalog import provider_of
from serinus.analyzer.providers.source import Source
from serinus.runtime.http import HttpRequest

(ROW,) = [row for row in RECORDED if row.type == "cloudwatch"]
ROLE = "arn:aws:iam::123456789012:role/metrics"
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult><Credentials>
    <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s3cret-role</SecretAccessKey>
    <SessionToken>s3cret-session</SessionToken><Expiration>2023-11-14T23:13:20Z</Expiration>
  </Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def changed(source: Source, **provider: str) -> Source:
    return msgspec.structs.replace(
        source, provider=msgspec.structs.replace(source.provider, **provider)
    )


async def test_the_request_is_signed_for_its_region() -> None:
    http = FakeHttp(served(reply(200, ROW.value)))
    await provider_of(changed(ROW.source(), region="cn-north-1"), toolbox(http)).value(
        ROW.question()
    )

    (sent,) = http.sent
    assert (sent.method, sent.url) == ("POST", "https://monitoring.cn-north-1.amazonaws.com.cn/")
    assert sent.headers["X-Amz-Target"] == "GraniteServiceVersion20100801.GetMetricData"
    assert "/cn-north-1/monitoring/aws4_request" in sent.headers["Authorization"]
    assert json.loads(sent.body)["MaxDatapoints"] == 20


async def test_a_role_is_assumed_once_until_it_ends() -> None:
    def script(request: HttpRequest) -> Reply:
        return reply(200, ASSUMED if "sts." in request.url else ROW.value)

    http = FakeHttp(script)
    tools = toolbox(http)
    source = changed(ROW.source(), role_arn=ROLE)
    for at in (AT, AT + 60, AT + 3500):
        found = await provider_of(source, tools).value(
            msgspec.structs.replace(ROW.question(), at=at)
        )
        assert found == Value(key="", value=0.25)

    asked = ["sts" if "sts." in r.url else "data" for r in http.sent]
    assert asked == ["sts", "data", "data", "sts", "data"]
    assert http.sent[0].url == "https://sts.eu-west-1.amazonaws.com/"
    assert b"RoleArn=arn%3Aaws%3Aiam" in http.sent[0].body
    assert http.sent[1].headers["X-Amz-Security-Token"] == "s3cret-session"
    assert "Credential=ASIAROLE/" in http.sent[1].headers["Authorization"]


async def test_a_role_that_may_not_be_assumed_is_away() -> None:
    http = FakeHttp(in_turn(reply(403, "AccessDenied")))

    found = await provider_of(changed(ROW.source(), role_arn=ROLE), toolbox(http)).value(
        ROW.question()
    )

    assert isinstance(found, Unreachable)
    assert found.away


async def test_without_a_secret_the_pods_credentials_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPOD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "pod")
    cloudwatch._session.cache_clear()
    http = FakeHttp(served(reply(200, ROW.value)))
    source = msgspec.structs.replace(ROW.source(), credentials={})

    await provider_of(source, toolbox(http)).value(ROW.question())

    assert "Credential=AKIAPOD/" in http.sent[0].headers["Authorization"]
    cloudwatch._session.cache_clear()


@pytest.mark.parametrize(
    ("fields", "query", "why"),
    [
        ({"region": ""}, ROW.query, "region not specified"),
        ({"region": "moon-1"}, ROW.query, "region 'moon-1' is not one of AWS"),
        ({}, "up", "the query is not JSON"),
        ({}, "{}", "the query is no list"),
        ({}, '[{"Id": 3}]', "the query is not what CloudWatch takes"),
    ],
)
async def test_what_cannot_be_asked_is_told(fields: dict[str, str], query: str, why: str) -> None:
    http = FakeHttp(served(reply(200, ROW.value)))
    asked = msgspec.structs.replace(ROW.question(), query=query)

    found = await provider_of(changed(ROW.source(), **fields), toolbox(http)).value(asked)

    assert isinstance(found, Unreachable)
    assert found.why.startswith(why)
    assert http.sent == []


async def test_a_refused_question_proves_that_it_is_online() -> None:
    """The reference's probe (5.5): an answer of 400 comes from a server that knows us."""
    online = FakeHttp(in_turn(reply(400, '{"__type":"ValidationError"}')))
    denied = FakeHttp(in_turn(reply(403, '{"__type":"AccessDenied"}')))

    assert isinstance(await provider_of(ROW.source(), toolbox(online)).probe(AT), Value)
    assert isinstance(await provider_of(ROW.source(), toolbox(denied)).probe(AT), Unreachable)
