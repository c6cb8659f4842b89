"""Session affinity cookies: values chosen from the look's entropy, carried in status (4.3)."""

from __future__ import annotations

from serinus.analyzer.core.rollout import Look
from serinus.events import CanaryStatus
from serinus.events.canary import SessionAffinity

COOKIE_LENGTH = 10


def chosen(
    status: CanaryStatus, affinity: SessionAffinity | None, look: Look, *, rotate: bool
) -> dict[str, str]:
    """Status changes that give the run its cookies.

    The canary's is chosen once a run: who saw the new version goes on seeing it. With `rotate` the
    primary's is chosen anew: with each step of weight those who stayed are asked again, as the
    documentation of Flagger promises and its code forgets.
    """
    if affinity is None:
        return {}
    changes = {"previous_session_affinity_cookie": ""}
    if not status.session_affinity_cookie:
        value = look.entropy[:COOKIE_LENGTH]
        changes["session_affinity_cookie"] = f"{affinity.cookie_name}={value}"
    wanted = rotate or not status.primary_session_affinity_cookie
    if affinity.primary_cookie_name and wanted:
        value = look.entropy[COOKIE_LENGTH : 2 * COOKIE_LENGTH]
        changes["primary_session_affinity_cookie"] = f"{affinity.primary_cookie_name}={value}"
    return changes


def retired(status: CanaryStatus) -> dict[str, str]:
    """Status changes when the canary gets no more traffic: its cookie is to be taken back."""
    changes = {}
    if status.session_affinity_cookie:
        changes["previous_session_affinity_cookie"] = status.session_affinity_cookie
        changes["session_affinity_cookie"] = ""
    if status.primary_session_affinity_cookie:
        changes["primary_session_affinity_cookie"] = ""
    return changes
