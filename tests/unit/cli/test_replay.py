"""A recorded series through a spec: every decision, nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cli.specs import JUDGED, SCORED, SPEC, a_canary

from serinus.cli.main import main
from serinus.cli.manifest import Unusable
from serinus.cli.replay import read, run


def lines(folder: Path, cells: list[str], spec: str = SPEC, header: str = "") -> list[str]:
    path = folder / "series.csv"
    rows = [f"{index * 10},{cell}" for index, cell in enumerate(cells)]
    path.write_text("\n".join([header or "time,request-success-rate", *rows]))
    return list(run(a_canary(folder, spec), str(path)))


def test_a_good_series_promotes(tmp_path: Path) -> None:
    told = lines(tmp_path, ["99.5"] * 20)

    assert told[-1] == "ended Succeeded"
    assert [line for line in told if "canary weight" in line][-1].endswith("canary weight 50")


def test_a_bad_series_rolls_back_and_says_at_which_value(tmp_path: Path) -> None:
    told = lines(tmp_path, ["99.5", "99.5", "99.5", "91.25", "90"])

    assert told[-1] == "ended Failed"
    assert any("success rate 91.25% < 97%" in line for line in told)


def test_holes_are_no_data_and_away_is_waited_for(tmp_path: Path) -> None:
    told = lines(tmp_path, ["99", "99", "away", "away", *(["99"] * 20)])
    assert told[-1] == "ended Succeeded"
    assert sum("the recording says so" in line for line in told) == 1

    assert lines(tmp_path, ["99", "", "", ""])[-1] == "ended Failed"


def test_counts_are_judged(tmp_path: Path) -> None:
    header = "time,canary:all,canary:good,primary:all,primary:good"
    good, bad = ["50,49,950,940"] * 20, ["50,20,950,940"] * 20

    assert lines(tmp_path, good, JUDGED, header)[-1] == "ended Succeeded"
    told = lines(tmp_path, bad, JUDGED, header)
    assert told[-1] == "ended Failed"
    assert any("times the primary's share of bad requests" in line for line in told)


def test_queries_are_judged_each_by_its_own_columns(tmp_path: Path) -> None:
    header = "time,cpu/canary:value,cpu/primary:value,lost/canary:bad,lost/canary:all"
    header += ",lost/primary:bad,lost/primary:all"
    wobble = [0.1 * (i % 5) for i in range(20)]
    good = [f"{2 + w},{2.4 - w},1,50,19,950" for w in wobble]
    hot = [f"{5 + w},{2.4 - w},1,50,19,950" for w in wobble]
    lossy = [f"{2 + w},{2.4 - w},9,50,19,950" for w in wobble]

    assert lines(tmp_path, good, SCORED, header)[-1] == "ended Succeeded"
    told = lines(tmp_path, hot, SCORED, header)
    assert told[-1] == "ended Failed"
    assert any("advancement score 0 < 95: load 0; cpu high" in line for line in told)
    assert any("share of bad events" in line for line in lines(tmp_path, lossy, SCORED, header))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs a header"),
        ("time", "needs a header"),
        ("time,a", "no rows"),
        ("time,a\nnoon,1", "line 2: 'noon' is no time"),
        ("time,a\n20,1\n10,1", "order of time"),
    ],
)
def test_what_is_no_series_is_told(text: str, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        read(text.splitlines())


@given(st.text(max_size=80))
def test_any_text_is_a_series_or_told(text: str) -> None:
    try:
        read(text.splitlines())
    except Unusable:
        return


def test_times_are_seconds_milliseconds_or_dates() -> None:
    for rows in (
        "0\n10",
        "1700000000000\n1700000010000",
        "2026-01-01T00:00:00Z\n2026-01-01T00:00:10Z",
    ):
        table = "\n".join(f"{row},1" for row in rows.splitlines())
        assert read(f"time,a\n{table}".splitlines()).times == [0.0, 10.0]


def test_a_metric_without_a_column_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series = tmp_path / "series.csv"
    series.write_text("time,other\n0,1\n")

    assert main(["replay", a_canary(tmp_path), str(series)]) == 2
    assert "no column for request-success-rate" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none.yaml"), str(series)]) == 2
