"""A notice in people's own words: `spec.messageTemplate` and `spec.bodyTemplate`. Pure.

The dot holds what is said of an alert and nothing of where it goes: no address, no token. The names
are those of Flagger's guides; what they do not name is called as in the webhook's body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from serinus.events import CanaryRef, Measurement
from serinus.gotemplate import TemplateError, render
from serinus.notifier.core.alerts import Field, Notice, said

STATUS: Mapping[str, str] = MappingProxyType(
    {
        "rollout.promoted": "succeeded",
        "rollout.condemned": "failed",
        "rollout.rolledback": "failed",
        "rollout.failed": "failed",
        "rollout.started": "progressing",
        "rollout.awaited": "waiting",
        "rollout.refused": "refused",
        "rollout.aborted": "aborted",
    }
)
"""The word of `.Status`; for other kinds it is the phase in small letters."""

CURE = "see docs/alerts.md for the names that there are"
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


class _Lenient(dict[str, str]):
    """What nobody has set is empty: not every canary has every label."""

    def __missing__(self, key: str) -> str:
        return ""


class Dressed(msgspec.Struct, frozen=True):
    """A notice for one channel, and why it is not in the words that were asked for; "" if it is."""

    notice: Notice
    problem: str = ""


def dressed(notice: Notice, *, message: str, body: str) -> Dressed:
    """The notice by a channel's templates, each as far as it goes; "" stands for none.

    What cannot be said in people's words is said in ours, with the reason: nobody is left unwarned.
    """
    made, problems = notice, []
    if body:
        try:
            made = msgspec.structs.replace(made, body=_document(render(body, dot=dot(notice))))
        except TemplateError as error:
            problems.append(f"spec.bodyTemplate: {error}; {CURE}")
    if message:
        try:
            made = worded(made, message)
        except TemplateError as error:
            problems.append(f"spec.messageTemplate: {error}; {CURE}")
    lines = tuple(Field("Not in your words", problem) for problem in problems)
    made = msgspec.structs.replace(made, fields=(*made.fields, *lines))
    return Dressed(made, "; ".join(problems))


def _document(text: str) -> str:
    """Raises TemplateError where it is not JSON, which is what a body says of itself."""
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise TemplateError(f"what it prints is not JSON: {error}") from None
    return text


def worded(notice: Notice, template: str) -> Notice:
    """The notice with the template's text in place of its message and the lines below it.

    One that prints nothing for this alert leaves it as it is. Raises TemplateError where the
    template does not parse or does not fit.
    """
    text = _BLANK_LINES.sub("\n\n", render(template, dot=dot(notice))).strip()
    if not text:
        return notice
    return msgspec.structs.replace(notice, message=text, fields=(), details=())


def mistake(*, message: str, body: str) -> str:
    """Why templates cannot be used, as far as samples tell; "" where they can."""
    found = (dressed(sample, message=message, body=body).problem for sample in _SAMPLES)
    return next(filter(None, found), "")


def dot(notice: Notice) -> dict[str, Any]:
    """What a template may name."""
    advice = next((f.value for f in notice.details if f.name == "What next"), "")
    return {
        "Status": STATUS.get(notice.kind, notice.phase.lower()),
        "Phase": notice.phase,
        "Kind": notice.kind,
        "Severity": notice.severity,
        "Message": notice.message,
        "Name": notice.canary.name,
        "Namespace": notice.canary.namespace,
        "Cluster": notice.cluster,
        "Canaries": [str(one) for one in notice.among or (notice.canary,)],
        "Revision": notice.revision,
        "Checksum": notice.checksum,
        "Time": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="seconds"),
        "Images": notice.images,
        "Metadata": _Lenient(_metadata(notice.metadata)),
        "Fields": [{"Name": f.name, "Value": f.value} for f in notice.fields],
        "Dashboard": notice.link,
        "Next": advice,
        "CanaryAnalysis": {"Iterations": _iterations(notice)},
        "ID": notice.id,
    }


def _metadata(found: Mapping[str, str]) -> dict[str, str]:
    """By key, and by what comes after the key's prefix, which a template can name after a dot."""
    short = {key.rpartition("/")[2]: value for key, value in sorted(found.items())}
    return {**short, **found}


def _iterations(notice: Notice) -> list[dict[str, Any]]:
    """What was checked last, hooks first."""
    hook = {"Metric": notice.hook, "Value": "no", "Threshold": "yes", "Failed": True}
    empty = {"Unit": "", "Interval": "", "Samples": "", "Cause": "", "Text": "the hook said no"}
    hooks = [{**hook, **empty}] if notice.hook else []
    return [*hooks, *(_iteration(m) for m in notice.checks)]


def _iteration(measured: Measurement) -> dict[str, Any]:
    return {
        "Metric": measured.metric,
        "Value": "no data" if measured.value is None else measured.value,
        "Unit": measured.unit,
        "Threshold": measured.bound,
        "Failed": measured.outcome != "passed",
        "Interval": measured.interval,
        "Samples": "" if measured.samples is None else measured.samples,
        "Cause": measured.cause,
        "Text": said(measured),
    }


_BASE = Notice(
    id="sample",
    canary=CanaryRef("namespace", "name"),
    severity="info",
    message="New revision detected, progressing canary analysis.",
    kind="rollout.started",
    phase="Progressing",
    images={"app": "app:2"},
)
_SAMPLES = (
    _BASE,
    msgspec.structs.replace(
        _BASE,
        severity="error",
        message="Failed checks threshold reached 5",
        kind="rollout.condemned",
        phase="Failed",
        checks=(
            Measurement(metric="request-success-rate", outcome="failed", value=90.0, bound=">= 99"),
            Measurement(metric="request-duration", outcome="passed", value=100.0, bound="<= 500"),
        ),
    ),
)
