"""Amazon CloudWatch's GetMetricData (reference 5.5): the query is a JSON list of MetricDataQuery.

`region` is required. Credentials are those of the pod (environment, web identity, pod identity,
instance), found by botocore; or the Secret's `aws_access_key_id`, `aws_secret_access_key` and
`aws_session_token`. With `roleArn` that role is assumed first. botocore writes, signs and reads;
the connections are ours. It is imported by the first canary that needs it.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.source import (
    MULTIPLE,
    TIMEOUT_S,
    Misconfigured,
    Question,
    Refused,
    Source,
    credential,
    document,
    number,
    refusal,
    told,
)
from serinus.runtime.http import Http, HttpRequest

MAX_POINTS = 20
SOON_S = 300.0
MAX_ROLES = 64
NEVER_MATCHES = '[{"Id": "probe", "Expression": "1", "Label": "probe"}]'


class _Call(Struct, frozen=True):
    """One operation: service, its signing name, and the wire protocol we speak with it."""

    service: str
    signed_as: str
    protocol: str
    operation: str


GET_METRIC_DATA = _Call("cloudwatch", "monitoring", "json", "GetMetricData")
ASSUME_ROLE = _Call("sts", "sts", "query", "AssumeRole")


class Aws:
    """What is remembered between questions: sessions of assumed roles until they end."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self._roles: dict[tuple[str, str], tuple[float, Any]] = {}

    async def call(
        self, call: _Call, source: Source, params: dict[str, Any], credentials: Any
    ) -> dict[str, Any]:
        """The decoded answer. Raises Refused, Unanswered."""
        request, shape = await asyncio.to_thread(_request, call, source, params, credentials)
        answer = await self.http.send(request)
        if (refused := refusal(answer)) is not None:
            raise Refused(refused)
        if call.protocol == "json":
            document(answer)  # botocore takes what is not JSON for an empty answer
        wire = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}
        found: dict[str, Any] = await asyncio.to_thread(_parse, call.protocol, wire, shape)
        return found

    async def credentials(self, source: Source, at: float) -> Any:
        """Frozen credentials, of the role where one is named. Raises Misconfigured."""
        own = await asyncio.to_thread(_own_credentials, source)
        role = source.provider.role_arn
        if not role:
            return own
        kept = self._roles.get((own.access_key, role))
        if kept is not None and at < kept[0] - SOON_S:
            return kept[1]
        params = {"RoleArn": role, "RoleSessionName": "serinus-analyzer"}
        found = (await self.call(ASSUME_ROLE, source, params, own))["Credentials"]
        assumed = await asyncio.to_thread(
            _credentials, found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]
        )
        if len(self._roles) >= MAX_ROLES:
            self._roles.clear()
        self._roles[own.access_key, role] = (found["Expiration"].timestamp(), assumed)
        return assumed


class CloudWatch:
    """The metrics of one account in one region."""

    def __init__(self, source: Source, aws: Aws) -> None:
        self._source = source
        self._aws = aws

    async def value(self, question: Question) -> Reading:
        return await told(self._value(question))

    async def probe(self, at: float) -> Reading:
        question = Question(query=NEVER_MATCHES, at=at, window_s=60.0)
        found = await self.value(question)
        if isinstance(found, Unreachable) and not found.away and "Status 400" in found.why:
            # It knew us well enough to say what is wrong with the question.
            return Value(key="", value=1.0)
        return found

    async def _value(self, question: Question) -> Reading:
        if not self._source.provider.region:
            raise Misconfigured("region not specified")
        params = {
            "MetricDataQueries": _queries(question.query),
            "StartTime": datetime.fromtimestamp(question.begin, UTC),
            "EndTime": datetime.fromtimestamp(question.at, UTC),
            "MaxDatapoints": MAX_POINTS,
        }
        credentials = await self._aws.credentials(self._source, question.at)
        found = await self._aws.call(GET_METRIC_DATA, self._source, params, credentials)
        results = found.get("MetricDataResults") or []
        if len(results) > 1:
            return Unreachable(key="", why=MULTIPLE)
        # Newest first, as long as the query does not ask for another order.
        values = results[0].get("Values") if results else None
        return number(values[0]) if values else NoData(key="", cause=NO_SERIES)


def _queries(text: str) -> Any:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Misconfigured(f"the query is not JSON: {error}") from None
    if not isinstance(found, list) or not found or not all(isinstance(q, dict) for q in found):
        raise Misconfigured("the query is no list of MetricDataQuery objects")
    return found


# --- botocore -----------------------------------------------------------------------------------


@cache
def _session() -> Any:
    import botocore.session

    return botocore.session.get_session()


def _credentials(key: str, secret: str, token: str = "") -> Any:
    from botocore.credentials import Credentials

    return Credentials(key, secret, token or None)


def _own_credentials(source: Source) -> Any:
    if source.credentials:
        key, secret = credential(source, "aws_access_key_id", "aws_secret_access_key")
        token = source.credentials.get("aws_session_token", b"").decode("utf-8", "replace")
        return _credentials(key, secret, token.strip())
    found = _session().get_credentials()
    if found is None:
        raise Misconfigured("no AWS credentials: give the pod a role, or name a secret")
    return found.get_frozen_credentials()


def _request(
    call: _Call, source: Source, params: dict[str, Any], credentials: Any
) -> tuple[HttpRequest, Any]:
    """The signed request, and the shape of its answer."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import ParamValidationError
    from botocore.serialize import create_serializer

    region = source.provider.region
    operation = _session().get_service_model(call.service).operation_model(call.operation)
    try:
        made = create_serializer(call.protocol).serialize_to_request(params, operation)
    except ParamValidationError as error:
        raise Misconfigured(f"the query is not what CloudWatch takes: {error}") from None
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    url = _endpoint(call.signed_as, region)
    if source.provider.address and call is GET_METRIC_DATA:
        url = source.provider.address.rstrip("/")
    signed = AWSRequest(method="POST", url=f"{url}/", data=body, headers=made["headers"])
    SigV4Auth(credentials, call.signed_as, region).add_auth(signed)
    sent = signed.prepare()
    headers = {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in sent.headers.items()
    }
    request = HttpRequest(
        url=sent.url, method="POST", headers=headers, body=body, timeout_s=TIMEOUT_S
    )
    return request, operation.output_shape


def _endpoint(service: str, region: str) -> str:
    """Where a service is in a region, by botocore's own list of partitions."""
    for partition in _session().get_data("endpoints")["partitions"]:
        if re.fullmatch(partition["regionRegex"].strip("^$"), region):
            return f"https://{service}.{region}.{partition['dnsSuffix']}"
    raise Misconfigured(f"region {region!r} is not one of AWS")


def _parse(protocol: str, wire: dict[str, Any], shape: Any) -> dict[str, Any]:
    from botocore.parsers import ResponseParserError, create_parser

    try:
        found: dict[str, Any] = create_parser(protocol).parse(wire, shape)
    except ResponseParserError as error:
        raise ValueError(str(error)) from None
    return found
