"""Structs as structural OpenAPI v3 schemas, the dialect of CustomResourceDefinitions.

Structural means: no references, no nulls, one type per field. Numbers are `number` wherever
Flagger's are, and carry no bounds that Flagger's do not have, so that what its API server accepts
ours accepts too; a value that makes no sense is then refused in status, with its path, by us.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import inspect as look

Schema = dict[str, Any]

_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_GROUP = {"maxLength": 253, "pattern": rf"^$|{_DOMAIN}"}
_KIND = {
    "minLength": 1,
    "maxLength": 63,
    "pattern": r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$",
}
_PORT = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535}
_OBJECT_NAME = {"minLength": 1, "maxLength": 253}
_NAMESPACE = {"minLength": 1, "maxLength": 63, "pattern": _NAME}
_WHEN = {"format": "date-time"}
_WHOLE = {"type": "integer"}
_SERVICE_NEEDS_PORT = {
    "message": "a mirror backend of kind Service needs its port",
    "rule": "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
}


def _rule(message: str, rule: str) -> Schema:
    return {"message": message, "rule": rule}


# Rules about fields that Flagger does not have, or that its own schema asks for in another way:
# what its API server accepts ours accepts, too.
_RULES: Mapping[str, list[Schema]] = {
    "CanarySpec": [
        _rule(
            "analysis is missing: set interval, threshold and stepWeight",
            "has(self.analysis) || has(self.canaryAnalysis)",
        ),
    ],
    "Analysis": [
        _rule(
            "stepMirrorWeight needs maxMirrorWeight, the percentage at which mirroring is complete",
            "!has(self.stepMirrorWeight) || has(self.maxMirrorWeight)",
        ),
        _rule(
            "maxMirrorWeight must not be less than mirrorWeight",
            "!has(self.maxMirrorWeight) || !has(self.mirrorWeight)"
            " || self.maxMirrorWeight >= self.mirrorWeight",
        ),
    ],
    "WaveSpec": [
        _rule(
            "each step needs a name of its own",
            "self.steps.all(x, self.steps.exists_one(y, y.name == x.name))",
        ),
    ],
    "Member": [_rule("write either name or selector", "has(self.name) != has(self.selector)")],
    "Webhook": [
        _rule(
            "expiry is for hooks that wait for approval: confirm-rollout, confirm-traffic-increase"
            " and confirm-promotion",
            "!has(self.expiry) || (has(self.type) && self.type.startsWith('confirm-'))",
        ),
        _rule(
            "a GET has no body; use POST, or put it into the url",
            "!(has(self.method) && self.method == 'GET' && has(self.body))",
        ),
    ],
}

# What the Structs cannot say, by `Struct.field`: it is laid over the schema that they yield.
MORE: Mapping[str, Schema] = {
    "ServiceSpec.targetPort": {"x-kubernetes-int-or-string": True},
    "ServiceSpec.trafficPolicy": {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    },
    "GatewayRef.group": {"default": "gateway.networking.k8s.io", **_GROUP},
    "GatewayRef.kind": {"default": "Gateway", **_KIND},
    "GatewayRef.namespace": _NAMESPACE,
    "GatewayRef.name": _OBJECT_NAME,
    "GatewayRef.sectionName": {**_OBJECT_NAME, "pattern": _DOMAIN},
    "GatewayRef.port": _PORT,
    "GatewayRef.backendPort": _PORT,
    "MirrorBackendRef.group": {"default": "", **_GROUP},
    "MirrorBackendRef.kind": {"default": "Service", **_KIND},
    "MirrorBackendRef.namespace": _NAMESPACE,
    "MirrorBackendRef.name": _OBJECT_NAME,
    "MirrorBackendRef.port": _PORT,
    "StaticMirror.backendRef": {"x-kubernetes-validations": [_SERVICE_NEEDS_PORT]},
    "HttpMatch.port": _WHOLE,
    "Retries.attempts": _WHOLE,
    "ScalerReplicas.minReplicas": {**_WHOLE, "minimum": 1},
    "ScalerReplicas.maxReplicas": {**_WHOLE, "minimum": 1},
    "SessionAffinity.maxAge": {"default": 86400},
    "CanaryStatus.lastTransitionTime": _WHEN,
    "Condition.lastUpdateTime": _WHEN,
    "Condition.lastTransitionTime": _WHEN,
    "CanaryStatus.observedGeneration": {"type": "integer", "format": "int64"},
    "Checks.beginsAt": _WHEN,
    "Check.time": _WHEN,
    "Release.startedAt": _WHEN,
    "Release.endedAt": _WHEN,
    "WaveSpec.steps": {"minItems": 1, "maxItems": 100},
    "WaveSpec.atOnce": {**_WHOLE, "minimum": 0},
    "Step.name": _NAMESPACE,
    "Step.canaries": {"minItems": 1},
    "Step.atOnce": {**_WHOLE, "minimum": 0},
    "WaveStatus.observedGeneration": {"type": "integer", "format": "int64"},
    "WaveStatus.run": _WHOLE,
    "WaveStatus.since": _WHEN,
    "MemberStatus.run": _WHOLE,
    "WaveCondition.lastTransitionTime": _WHEN,
}

# What the API server asks of a whole Struct beyond its required fields.
WHOLE: Mapping[str, Schema] = {
    "TargetRef": {"required": ["apiVersion", "kind", "name"]},
    "IngressRef": {"required": ["apiVersion", "kind", "name"]},
    "RouteRef": {"required": ["apiVersion", "kind", "name"]},
    "UpstreamRef": {"required": ["apiVersion", "kind", "name"]},
    "AutoscalerRef": {"required": ["apiVersion", "kind", "name"]},
    "SecretRef": {"required": ["name"]},
    "StaticMirror": {"required": []},
    "StringMatch": {"maxProperties": 1},
    "AlertProviderSpec": {"anyOf": [{"required": ["address"]}, {"required": ["secretRef"]}]},
}

# ObjectRef is one Struct with four meanings: which kinds each allows, and whether it may cross
# namespaces.
REFS: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "targetRef": (("DaemonSet", "Deployment", "Service", "StatefulSet"), False),
    "ingressRef": (("Ingress",), False),
    "routeRef": (
        (
            "ApisixRoute",
            "GRPCRoute",
            "HTTPProxy",
            "HTTPRoute",
            "Ingress",
            "IngressRoute",
            "TCPRoute",
            "VirtualService",
        ),
        False,
    ),
    "upstreamRef": (("Upstream",), True),
}


class Gap(LookupError):
    """A field has no words, or words have no field."""


class Writer:
    """Writes schemas with the words for each field, and knows which words were used."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words
        self._used: set[str] = set()

    def struct(self, kind: type[Any]) -> Schema:
        """The schema of one Struct. Raises Gap for a field without words."""
        return self._struct(look.type_info(kind), kind.__name__)

    def unused(self) -> list[str]:
        return sorted(set(self._words) - self._used)

    def _struct(self, node: look.Type, name: str) -> Schema:
        assert isinstance(node, look.StructType)
        properties = {f.encode_name: self._field(name, f) for f in node.fields}
        required = [f.encode_name for f in node.fields if f.required]
        schema = {"type": "object", "required": required, **WHOLE.get(name, {})}
        if name in _RULES:
            schema["x-kubernetes-validations"] = _RULES[name]
        told = {key: value for key, value in schema.items() if value != []}
        return {**told, "properties": properties}

    def _field(self, owner: str, field: look.Field) -> Schema:
        key = f"{owner}.{field.encode_name}"
        if key not in self._words:
            raise Gap(f"tests/gen/words.py has no row for {key}")
        self._used.add(key)
        more = MORE.get(key, {})
        untyped = "x-kubernetes-int-or-string" in more
        node: Schema = {}
        if field.encode_name in REFS:
            node = self._ref(field.encode_name)
        elif not untyped:
            node = self._node(_alternatives(field.type))
        return {"description": self._words[key], **node, **more}

    def _ref(self, field: str) -> Schema:
        """An ObjectRef by the name of the field that holds it."""
        kinds, crosses = REFS[field]
        name = field[0].upper() + field[1:]
        parts = ["apiVersion", "kind", "name", *(["namespace"] if crosses else [])]
        self._used.update(f"{name}.{part}" for part in parts)
        properties: dict[str, Schema] = {
            part: {"description": self._words[f"{name}.{part}"], "type": "string"} for part in parts
        }
        properties["kind"]["enum"] = list(kinds)
        return {"type": "object", **WHOLE[name], "properties": properties}

    def _node(self, nodes: list[look.Type]) -> Schema:
        if len(nodes) > 1:
            return _texts(nodes)
        node = nodes[0]
        match node:
            case look.StrType() | look.LiteralType():
                return _texts(nodes)
            case look.BoolType():
                return {"type": "boolean"}
            case look.IntType() | look.FloatType():
                return {"type": "number"}
            case look.VarTupleType():
                limit = {} if node.max_length is None else {"maxItems": node.max_length}
                items = self._node(_alternatives(node.item_type))
                return {"type": "array", **limit, "items": items}
            case look.DictType():
                values = self._node(_alternatives(node.value_type))
                return {"type": "object", "additionalProperties": values}
            case look.StructType():
                return self._struct(node, node.cls.__name__)
            case look.AnyType():
                return {"x-kubernetes-preserve-unknown-fields": True}
            case _:
                raise Gap(f"no structural schema for {node}")


def _alternatives(node: look.Type) -> list[look.Type]:
    """The types a field may have; None and UNSET only mean that it may be left out."""
    return list(_flat(node))


def _flat(node: look.Type) -> Iterator[look.Type]:
    match node:
        case look.UnionType():
            for part in node.types:
                yield from _flat(part)
        case look.Metadata():
            yield from _flat(node.type)
        case look.NoneType():
            return
        case _:
            yield node


def _texts(nodes: list[look.Type]) -> Schema:
    """Strings: a set of words, or a pattern that a set of words may bypass."""
    words = [str(w) for n in nodes if isinstance(n, look.LiteralType) for w in n.values]
    patterns = [n.pattern for n in nodes if isinstance(n, look.StrType) and n.pattern]
    free = any(isinstance(n, look.StrType) for n in nodes)
    if patterns:
        return {"type": "string", "pattern": "|".join([*(f"^{w}$" for w in words), *patterns])}
    if words and not free:
        return {"type": "string", "enum": sorted(words)}
    return {"type": "string"}
