"""A user's Ingress as the IngressRoute that says the same to Traefik.

An Ingress can split nothing, so an IngressRoute stands before it. It takes no request that the
Ingress would not: a prefix is one of whole path elements, as the Ingress API has it. Its priority
is what Traefik gives the rule that it makes of the Ingress itself. What an annotation asks for and
an IngressRoute cannot say is refused, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal, annotations_of, labels_of

CLASS = "kubernetes.io/ingress.class"
PREFIX = "traefik.ingress.kubernetes.io/router."
_KNOWN = frozenset(
    {
        *("entrypoints", "middlewares", "priority", "pathmatcher"),
        *("tls", "tls.certresolver", "tls.options"),
    }
)


def as_ingress_route(ingress: Obj) -> Obj:
    """Labels, class and spec of such an IngressRoute. Raises Refusal.

    Rules without a path and the default backend make no route: requests for them stay with the
    Ingress.
    """
    said = annotations_of(ingress)
    asked = {k.removeprefix(PREFIX): v for k, v in said.items() if k.startswith(PREFIX)}
    for unknown in sorted(asked.keys() - _KNOWN):
        raise Refusal(
            "Route",
            f"what the annotation {PREFIX}{unknown} asks for cannot be copied: "
            "name an IngressRoute in spec.routeRef",
        )
    namespace = ingress["metadata"].get("namespace", "")
    spec: Obj = {"routes": list(_routes(ingress.get("spec") or {}, asked, namespace))}
    if "entrypoints" in asked:
        spec["entryPoints"] = _names(asked["entrypoints"])
    tls = _tls(asked, namespace)
    if tls is not None:
        spec["tls"] = tls
    metadata = {"name": ingress["metadata"]["name"], "labels": labels_of(ingress)}
    annotations = {CLASS: said[CLASS]} if CLASS in said else {}
    return {"metadata": metadata | {"annotations": annotations}, "spec": spec}


def _routes(spec: Obj, asked: dict[str, str], namespace: str) -> Iterator[Obj]:
    middlewares = [_reference(name, namespace) for name in _names(asked.get("middlewares", ""))]
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            service = (path.get("backend") or {}).get("service")
            if not service or "name" not in service:
                continue
            host, matcher = _host(rule.get("host", "")), _matcher(path, asked)
            port = service.get("port") or {}
            text = path.get("path", "")
            theirs = [*host, *([f"{matcher}(`{text}`)"] if text else [])]
            found = {
                "kind": "Rule",
                "match": " && ".join([*host, *_narrow(matcher, text)]) or "PathPrefix(`/`)",
                # Traefik's own is the length of the rule that it makes.
                "priority": int(asked.get("priority", 0)) or len(" && ".join(theirs)),
                "services": [
                    {"name": service["name"], "port": port.get("name") or port.get("number")}
                ],
            }
            yield found | ({"middlewares": middlewares} if middlewares else {})


def _host(host: str) -> list[str]:
    if host.startswith("*."):
        return [f"HostRegexp(`^[a-zA-Z0-9-]+{re.escape(host[1:])}$`)"]
    return [f"Host(`{host}`)"] if host else []


def _matcher(path: Obj, asked: dict[str, str]) -> str:
    kind = path.get("pathType") or "ImplementationSpecific"
    if kind == "ImplementationSpecific":
        return asked.get("pathmatcher", "PathPrefix")
    return "Path" if kind == "Exact" else "PathPrefix"


def _narrow(matcher: str, text: str) -> list[str]:
    if "`" in text:
        raise Refusal("Route", f"traefik has no way to write a backtick: {text}")
    if matcher != "PathPrefix" or text in ("", "/"):
        return [f"{matcher}(`{text}`)"] if text else []
    whole = text.rstrip("/")
    return [f"(Path(`{whole}`) || PathPrefix(`{whole}/`))"]


def _tls(asked: dict[str, str], namespace: str) -> Obj | None:
    """Certificates of an Ingress are Traefik's for every router; this says whether to use them."""
    tls: Obj = {}
    if "tls.certresolver" in asked:
        tls["certResolver"] = asked["tls.certresolver"]
    if "tls.options" in asked:
        tls["options"] = _reference(asked["tls.options"], namespace)
    return tls if tls or asked.get("tls", "").lower() == "true" else None


def _reference(name: str, namespace: str) -> Obj:
    """An annotation's `shop-auth@kubernetescrd` or `auth@file` as an object of the namespace."""
    local, _, provider = name.partition("@")
    if provider != "kubernetescrd":
        return {"name": name}
    if not local.startswith(f"{namespace}-"):
        raise Refusal(
            "Route",
            f"{name} is of another namespace: name an IngressRoute in spec.routeRef",
        )
    return {"name": local.removeprefix(f"{namespace}-"), "namespace": namespace}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
