"""Route objects of the user's: remembered when taken, given back when released."""

from __future__ import annotations

import copy
from typing import Any

from tests.builders import REF

from serinus.kube.refs import Obj, owner_reference
from serinus.router.core.objects import KEEP_FLUX_AWAY, LAST_APPLIED, ORIGINAL
from serinus.router.core.takeover import FLAGGER_ORIGINAL, notes_of, original_of, remembering


def a_route(spec: Any, **metadata: Any) -> Obj:
    found: Obj = {"kind": "Route", "metadata": {"name": "web", **metadata}}
    return found if spec is None else found | {"spec": spec}


THEIRS = a_route({"to": "web"}, labels={"l": "theirs"}, annotations={"keep": "1"})
OURS = a_route({"to": "split"}, labels={"l": "ours", "n": "1"}, annotations={"keep": "1", "a": "1"})


def test_what_is_taken_over_can_be_given_back() -> None:
    assert THEIRS == original_of(remembering(THEIRS, OURS))


def test_later_edits_of_what_we_never_touched_are_kept() -> None:
    taken = remembering(THEIRS, OURS)
    taken["metadata"]["annotations"]["later"] = "2"

    given = original_of(taken)

    assert given is not None
    assert {"keep": "1", "later": "2"} == given["metadata"]["annotations"]


def test_the_first_state_is_remembered_not_the_last() -> None:
    taken = remembering(THEIRS, OURS)
    again = copy.deepcopy(taken)
    again["spec"] = {"to": "elsewhere"}

    assert again == remembering(taken, again)
    assert THEIRS == original_of(again)


def test_a_route_without_a_spec_gets_none_back() -> None:
    bare = a_route(None)

    assert bare == original_of(remembering(bare, a_route({"to": "split"})))


def test_nothing_is_remembered_of_what_is_ours_new_or_right_already() -> None:
    mine = a_route({"to": "web"}, ownerReferences=[owner_reference(REF)])

    assert OURS == remembering(None, OURS)
    assert OURS == remembering(mine, OURS)
    assert OURS == remembering(OURS, OURS)
    assert ORIGINAL not in OURS["metadata"]["annotations"]


def test_what_was_not_remembered_cannot_be_given_back() -> None:
    assert original_of(THEIRS) is None


def test_what_was_there_is_noted_where_flagger_looks_only_if_kubectl_has_not() -> None:
    by_kubectl = a_route({"to": "web"}, annotations={LAST_APPLIED: "{}"})

    noted = remembering(THEIRS, OURS, for_flagger=True)

    assert '{"to":"web"}' == noted["metadata"]["annotations"][FLAGGER_ORIGINAL]
    assert {ORIGINAL, FLAGGER_ORIGINAL} == notes_of(noted).keys()
    assert THEIRS == original_of(noted)
    assert {ORIGINAL} == notes_of(remembering(by_kubectl, OURS, for_flagger=True)).keys()


def test_what_flagger_took_over_is_given_back_as_flagger_would() -> None:
    """From its own note, else from kubectl's; without its annotations."""
    text = '{"spec":{"to":"web"}}'
    by_flagger = a_route({"to": "x"}, annotations={FLAGGER_ORIGINAL: '{"to":"web"}'})
    by_kubectl = a_route({"to": "x"}, annotations={LAST_APPLIED: text, **KEEP_FLUX_AWAY})

    assert a_route({"to": "web"}) == original_of(by_flagger)
    assert a_route({"to": "web"}) == original_of(remembering(by_flagger, OURS))
    given = original_of(by_kubectl)
    assert a_route({"to": "web"}, annotations={LAST_APPLIED: text}) == given


def test_a_note_that_cannot_be_read_gives_nothing_back() -> None:
    for note in ("", "[1]", "{"):
        assert original_of(a_route({"to": "x"}, annotations={FLAGGER_ORIGINAL: note})) is None


def test_a_route_that_kubectl_applied_is_not_taken_for_one_that_flagger_took_over() -> None:
    applied = a_route({"to": "x"}, annotations={LAST_APPLIED: '{"spec":{"to":"web"}}'})

    assert original_of(applied) is None


def test_a_note_that_somebody_edited_is_not_believed() -> None:
    for note in ("not JSON", "[]"):
        obj = {"metadata": {"name": "web", "annotations": {ORIGINAL: note}}, "spec": {"a": 1}}

        assert original_of(obj) is None
