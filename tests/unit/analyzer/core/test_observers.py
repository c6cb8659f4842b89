"""The rows of the built-in queries."""

from serinus.analyzer.core.observers import OBSERVERS, Matcher


def test_matchers_are_anchored_as_in_promql() -> None:
    matcher = Matcher("code", "!~", "5..")

    assert matcher.holds({"code": "200"})
    assert matcher.holds({"code": "5000"})
    assert not matcher.holds({"code": "503"})
    assert Matcher("canary", "!=", "").holds({"canary": "web"})
    assert not Matcher("canary", "!=", "").holds({})


def test_every_row_tells_the_canary_from_all_else() -> None:
    """A row without a word of the canary's own in its labels would measure everybody."""
    own = ("{target}", "{pods}", "{service}", "{revision}", "{ingress}", "{skipper}")
    for name, row in OBSERVERS.items():
        timed = row.timed if row.timed is not None else (*row.base, *row.tail)
        for matchers in ((*row.base, *row.tail), timed):
            assert any(word in m.value for m in matchers for word in own), name
