"""Session affinity cookies: chosen once a run, rotated on the primary, taken back at the end."""

from __future__ import annotations

import itertools
import string

import pytest
from tests.builders import a_status
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.affinity import chosen, retired
from serinus.analyzer.core.rollout import Look, Value
from serinus.events.canary import SessionAffinity

BOTH = SessionAffinity(cookie_name="canary-is", primary_cookie_name="primary-is")
LOOK = Look(at=0.0, entropy="abcdefghijKLMNOPQRST")


def stepping(**affinity: object) -> Story:
    """A rollout whose looks all have other random letters, as the real ones have."""
    story = Story(step_weight=20, max_weight=60, session_affinity=affinity).initialised()
    letters = itertools.cycle(string.ascii_lowercase)
    story.entropy = lambda: "".join(next(letters) for _ in range(23))
    return story


def test_without_affinity_nothing_is_chosen() -> None:
    assert chosen(a_status(), None, LOOK, rotate=True) == {}


def test_both_cookies_are_ten_random_letters_with_their_names() -> None:
    found = chosen(a_status(), BOTH, LOOK, rotate=True)
    assert found["session_affinity_cookie"] == "canary-is=abcdefghij"
    assert found["primary_session_affinity_cookie"] == "primary-is=KLMNOPQRST"


def test_without_a_name_there_is_no_primary_cookie() -> None:
    """Flagger stores a nameless one."""
    one = SessionAffinity(cookie_name="canary-is")
    assert "primary_session_affinity_cookie" not in chosen(a_status(), one, LOOK, rotate=True)


def test_the_canarys_cookie_stays_for_the_run_and_the_primarys_changes_with_each_step() -> None:
    story = stepping(cookieName="c", primaryCookieName="p").push("v2").tick().tick()
    steps = [s for s in story.statuses if s.phase == "Progressing" and s.canary_weight]
    assert [s.canary_weight for s in steps] == [20, 40, 60]
    assert len({s.session_affinity_cookie for s in steps}) == 1
    assert len({s.primary_session_affinity_cookie for s in steps}) == 3


def test_every_run_has_a_cookie_of_its_own() -> None:
    story = stepping(cookieName="c").push("v2")
    first = story.status.session_affinity_cookie
    story.push("v3")
    assert story.status.session_affinity_cookie not in ("", first)


@pytest.mark.parametrize("good", [True, False])
def test_at_the_end_the_cookie_is_to_be_taken_back(good: bool) -> None:
    story = stepping(cookieName="c", primaryCookieName="p").push("v2")
    held = story.status.session_affinity_cookie
    story.metric = lambda ask: Value(key=ask.key, value=100.0 if good else 0.0)
    story.run()
    cookies = story.intent.routes.cookies
    assert cookies is not None
    assert (cookies.canary, cookies.primary, cookies.previous) == ("", "", held)


def test_the_next_run_forgets_the_one_before() -> None:
    story = stepping(cookieName="c").push("v2").run().push("v3")
    assert story.status.previous_session_affinity_cookie == ""
    assert story.status.session_affinity_cookie


def test_where_there_was_no_cookie_there_is_nothing_to_take_back() -> None:
    assert retired(a_status()) == {}


def test_an_iteration_does_not_rotate() -> None:
    status = a_status(primary_session_affinity_cookie="primary-is=x")
    found = chosen(status, BOTH, LOOK, rotate=False)
    assert "primary_session_affinity_cookie" not in found


def test_all_attributes_reach_the_router() -> None:
    attributes = {
        "cookieName": "c",
        "domain": "example.test",
        "httpOnly": True,
        "maxAge": 60,
        "partitioned": True,
        "path": "/",
        "sameSite": "Strict",
        "secure": True,
    }
    cookies = stepping(**attributes).push("v2").intent.routes.cookies
    assert cookies is not None
    assert cookies.settings.same_site == "Strict"
    assert (cookies.settings.max_age, cookies.settings.partitioned) == (60, True)
    assert cookies.primary_max_age_s == 10
