"""Reads AlertProviders and their Secrets, only when something is to be told."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from serinus.events import API_VERSION, AlertProviderSpec
from serinus.kube.credentials import Get, credentials
from serinus.kube.errors import NotFound
from serinus.kube.refs import Ref
from serinus.notifier.core.audience import ProviderKey, Target, target_of
from serinus.notifier.core.outcomes import Again, Refused
from serinus.notifier.senders.catalog import SENDERS
from serinus.runtime.errors import Refuse, Retry


async def find(get: Get, key: ProviderKey, *, labelled_only: bool) -> Target | Again | Refused:
    """The channel of a provider with its address and token, or why there is none now.

    get            reads an object
    labelled_only  of a Secret that is labelled for it, or of none
    """
    try:
        provider = await get(Ref(API_VERSION, "AlertProvider", key.namespace, key.name))
        spec = msgspec.convert(provider.get("spec") or {}, AlertProviderSpec)
        secret: dict[str, str] = {}
        if spec.secret_ref is not None and spec.secret_ref.name:
            secret = _texts(
                await credentials(
                    get,
                    key.namespace,
                    spec.secret_ref.name,
                    path="spec.secretRef",
                    labelled_only=labelled_only,
                )
            )
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


def _texts(keys: Mapping[str, bytes]) -> dict[str, str]:
    """The keys that are text; `address` and `token` are the ones that count."""
    found = {}
    for name, value in keys.items():
        try:
            found[name] = value.decode()
        except UnicodeDecodeError:
            continue
    return found
