"""What can be set about the analyzer: `SERINUS_` and the field's name in capitals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from serinus.analyzer.core.rollout import Policy
from serinus.kube.share import ReplicaSettings
from serinus.runtime.settings import Secret


class Settings(ReplicaSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults are Flagger's flags (reference 8.1)."""

    mesh_provider: Annotated[
        str, Meta(description="provider of canaries that name none, e.g. traefik, gatewayapi:v1")
    ] = "istio"
    metrics_server: Annotated[
        str,
        Meta(
            description="Prometheus of built-in metrics, or scrape:<URL of the proxy's /metrics>"
            " where there is none"
        ),
    ] = "http://prometheus:9090"
    min_interval_s: Annotated[
        float, Meta(gt=0, description="shortest analysis interval, in seconds")
    ] = 10.0
    no_cross_namespace_refs: Annotated[
        bool, Meta(description="refuse templates and alert providers of other namespaces")
    ] = False
    labelled_secrets_only: Annotated[
        bool,
        Meta(
            description="read Secrets for sources and hooks only where they are labelled "
            'serinus.dev/readable: "true"'
        ),
    ] = False
    ingress_annotations_prefix: Annotated[
        str, Meta(min_length=1, description="what the annotations of ingress-nginx begin with")
    ] = "nginx.ingress.kubernetes.io"
    ingress_class: Annotated[
        str, Meta(description="ingressClassName of the HTTPProxies that are made for Contour")
    ] = ""
    dry_run: Annotated[
        bool, Meta(description="decide, record and tell everything, change nothing in the cluster")
    ] = False
    group_queries_from: Annotated[
        int,
        Meta(
            ge=0,
            description="canaries that must share a Prometheus, a built-in check and its interval"
            " before they are asked about in one query; 0: never",
        ),
    ] = 20
    max_concurrent_asks: Annotated[
        int, Meta(ge=1, le=10_000, description="metric queries and hooks under way at one time")
    ] = 100
    loadtester_urls: Annotated[
        tuple[str, ...],
        Meta(
            description="addresses of the load tester, comma separated: hooks there, and nowhere "
            "else, go with the token or certificate below"
        ),
    ] = ()
    loadtester_token: Annotated[
        Secret, Meta(description="its bearer token, SERINUS_TOKEN there; empty: none")
    ] = Secret()
    loadtester_ca: Annotated[
        str, Meta(description="PEM file of the authority that signed its certificate")
    ] = ""
    loadtester_cert: Annotated[
        str, Meta(description="PEM file with the certificate that it is shown; empty: none")
    ] = ""
    loadtester_key: Annotated[str, Meta(description="PEM file with its key")] = ""


def policy_of(settings: Settings) -> Policy:
    """The part of the settings that decisions depend on."""
    return Policy(
        mesh=settings.mesh_provider,
        metrics_server=settings.metrics_server,
        min_interval_s=settings.min_interval_s,
        no_cross_namespace=settings.no_cross_namespace_refs,
        labelled_secrets_only=settings.labelled_secrets_only,
        ingress_prefix=settings.ingress_annotations_prefix,
        ingress_class=settings.ingress_class,
        dry_run=settings.dry_run,
    )
