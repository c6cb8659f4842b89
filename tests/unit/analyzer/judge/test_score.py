"""Kayenta's score, by its documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.analyzer.judge.mannwhitney import Label
from serinus.analyzer.judge.score import Part, total


def parts(**labels: str) -> list[Part]:
    """`group_name="high pass"`: metrics of a group by their labels."""
    return [
        Part(name=f"{group}{index}", label=_label(word), groups=(group,))
        for group, words in labels.items()
        for index, word in enumerate(words.split())
    ]


def _label(word: str) -> Label:
    known: dict[str, Label] = {"pass": "pass", "high": "high", "low": "low", "none": "no-data"}
    return known[word]


@pytest.mark.parametrize(
    ("labels", "weights", "score"),
    [
        # The documents' example: nine of ten pass, one group.
        ({"all": "pass " * 9 + "high"}, {"all": 100.0}, 90.0),
        ({"errors": "pass high", "latency": "pass"}, {"errors": 60.0, "latency": 40.0}, 70.0),
        # What is left of 100 is shared by groups without a weight.
        ({"a": "high", "b": "pass", "c": "pass"}, {"a": 50.0}, 50.0),
        ({"a": "low", "b": "pass"}, {}, 50.0),
        # A group without data takes nothing away.
        ({"a": "none", "b": "pass pass"}, {"a": 70.0, "b": 30.0}, 100.0),
        # Metrics without data do not count in their group.
        ({"a": "none pass high"}, {}, 50.0),
    ],
)
def test_scores_are_kayentas(
    labels: dict[str, str], weights: dict[str, float], score: float
) -> None:
    assert total(parts(**labels), weights).score == score


def test_required_data_counts_as_a_failure_and_half_without_data_is_no_score() -> None:
    lacks = Part(name="x", label="no-data", groups=("a",), required=True)

    assert total([lacks, *parts(a="pass")], {}).score == 50.0
    assert total(parts(a="none pass"), {}).score is None
    assert total(parts(a="none pass pass"), {}).score == 100.0


def test_one_critical_metric_is_enough() -> None:
    bad = Part(name="x", label="high", groups=("a",), critical=True)
    found = total([bad, *parts(b="pass pass pass")], {"a": 1.0, "b": 99.0})

    assert (found.score, found.why) == (0.0, "x is critical: high")
    assert found.groups == {"a": 0.0, "b": 100.0}


def test_a_metric_may_be_in_several_groups() -> None:
    both = Part(name="x", label="high", groups=("a", "b"))

    assert total([both, *parts(b="pass")], {"a": 50.0, "b": 50.0}).score == 25.0


@given(
    st.lists(st.tuples(st.sampled_from(["pass", "high", "low", "no-data"]), st.booleans())).filter(
        bool
    ),
    st.floats(0, 100),
)
def test_a_score_is_between_nothing_and_all(found: list[tuple[Label, bool]], weight: float) -> None:
    made = [
        Part(name=str(i), label=label, groups=("ab"[i % 2],), required=required)
        for i, (label, required) in enumerate(found)
    ]
    weights = {"a": weight, "b": 100 - weight} if len(made) > 1 else {"a": 100.0}
    score = total(made, weights).score

    assert score is None or 0 <= score <= 100
    if all(part.label == "pass" for part in made):
        assert score == 100
