"""Reads AlertProviders and their Secrets, only when something is to be told."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from serinus.events import API_VERSION, AlertProviderSpec
from serinus.kube.cluster import Cluster
from serinus.kube.errors import NotFound
from serinus.kube.refs import Ref
from serinus.notifier.core.audience import ProviderKey, Target, target_of
from serinus.notifier.core.outcomes import Again, Refused
from serinus.notifier.senders.catalog import SENDERS
from serinus.runtime.errors import Refuse, Retry


async def find(cluster: Cluster, key: ProviderKey) -> Target | Again | Refused:
    """The channel of a provider with its address and token, or why there is none now."""
    try:
        provider = await cluster.get(Ref(API_VERSION, "AlertProvider", key.namespace, key.name))
        spec = msgspec.convert(provider.get("spec") or {}, AlertProviderSpec)
        secret: dict[str, str] = {}
        if spec.secret_ref is not None and spec.secret_ref.name:
            name = spec.secret_ref.name
            secret = decoded(await cluster.get(Ref("v1", "Secret", key.namespace, name)))
    except NotFound as error:
        return Refused(f"alert provider {key}: {error}")
    except msgspec.ValidationError as error:
        return Refused(f"alert provider {key}: spec: {error}")
    except Retry as error:
        return Again(f"alert provider {key}: {error.reason}", error.after_s)
    except Refuse as error:
        return Refused(f"alert provider {key}: {error.reason}")
    target = target_of(spec, secret, SENDERS[spec.type].needs)
    return target if isinstance(target, Target) else Refused(f"alert provider {key}: {target}")


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    """The keys of a Secret that are text; `address` and `token` are the ones that count."""
    found: dict[str, str] = {}
    for name, value in (secret.get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
    return found
