"""Session affinity cookies: values chosen from the look's entropy, carried in status (4.3)."""

from __future__ import annotations

from serinus.analyzer.core.rollout import Look
from serinus.events import CanaryStatus
from serinus.events.canary import SessionAffinity

COOKIE_LENGTH = 10


def chosen(status: CanaryStatus, affinity: SessionAffinity | None, look: Look) -> dict[str, str]:
    """Status changes that give the run its cookies where it has none yet."""
    if affinity is None:
        return {}
    changes = {"previous_session_affinity_cookie": ""}
    if not status.session_affinity_cookie:
        value = look.entropy[:COOKIE_LENGTH]
        changes["session_affinity_cookie"] = f"{affinity.cookie_name}={value}"
    if affinity.primary_cookie_name and not status.primary_session_affinity_cookie:
        value = look.entropy[COOKIE_LENGTH : 2 * COOKIE_LENGTH]
        changes["primary_session_affinity_cookie"] = f"{affinity.primary_cookie_name}={value}"
    return changes


def retired(status: CanaryStatus) -> dict[str, str]:
    """Status changes when the canary gets no more traffic: its cookie is to be taken back."""
    if not status.session_affinity_cookie:
        return {}
    return {
        "previous_session_affinity_cookie": status.session_affinity_cookie,
        "session_affinity_cookie": "",
    }
