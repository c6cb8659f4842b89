"""CDEvents: what happened to a service in an environment, as a CloudEvent in structured mode.

CDEvents 0.5, continuous deployment events `service.deployed`, `.upgraded` and `.rolledback`.
Notices about anything else have no counterpart there and are not sent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from serinus.notifier.core.alerts import Limits, Notice, limited
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest

SPEC = "0.5.1"
# What every intermediary of CloudEvents has to forward: 64 KB.
LIMITS = Limits(text=2000, fields=40, value=1000, total=8000)
TYPES = {
    "rollout.initialized": "dev.cdevents.service.deployed.0.3.0",
    "rollout.promoted": "dev.cdevents.service.upgraded.0.3.0",
    "rollout.condemned": "dev.cdevents.service.rolledback.0.3.0",
}


def is_heard(notice: Notice) -> bool:
    """Whether CDEvents has a word for it."""
    return notice.kind in TYPES


def render(notice: Notice, target: Target) -> HttpRequest:
    notice = limited(notice, LIMITS)
    source = f"/serinus/{notice.cluster or 'cluster'}"
    kind = TYPES[notice.kind]
    at = datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds")
    name = f"{notice.canary.namespace}/{notice.canary.name}"
    event = {
        "context": {
            "specversion": SPEC,
            "id": notice.id,
            "source": source,
            "type": kind,
            "timestamp": at,
        },
        "subject": {
            "id": name,
            "source": source,
            "content": {
                "environment": {"id": notice.canary.namespace, "source": source},
                "artifactId": purl(notice),
            },
        },
        "customData": {
            "message": notice.message,
            "dashboard": notice.link,
            **{f.name: f.value for f in (*notice.fields, *notice.details)},
        },
        "customDataContentType": "application/json",
    }
    cloud_event = {
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": kind,
        "subject": name,
        "time": at,
        "datacontenttype": "application/json",
        "data": event,
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    return HttpRequest(
        url=target.address,
        method="POST",
        headers=headers,
        body=msgspec.json.encode(cloud_event),
        proxy=target.proxy,
    )


def purl(notice: Notice) -> str:
    """The released image as a package URL (type `oci`); without images, the revision by name."""
    image = next(iter(notice.images.values()), "")
    if not image:
        return f"pkg:generic/{quote(notice.canary.name)}@{quote(notice.revision, safe='')}"
    path, _, digest = image.partition("@")
    repository, colon, tag = path.rpartition(":")
    if not colon or "/" in tag:  # the colon was a port's
        repository, tag = path, ""
    name = repository.rpartition("/")[2].lower()
    version = digest or tag or "latest"
    query = f"?repository_url={quote(repository.lower(), safe='/')}"
    return f"pkg:oci/{quote(name)}@{quote(version, safe='')}{query}"
