"""Templates about a dot: what Go's text/template would make of maps and lists."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.gotemplate import ExecError, ParseError, render

DOT: dict[str, Any] = {
    "Name": "web",
    "Count": 3,
    "Checks": [{"Metric": "errors", "Failed": True}, {"Metric": "latency", "Failed": False}],
    "Names": ["a", "b"],
    "Nobody": [],
    "Labels": {"team": "shop"},
}


class Lenient(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ .Name }}/{{ .Count }}", "web/3"),
        ("{{ range .Checks }}{{ if .Failed }}{{ .Metric }} of {{ $.Name }}{{ end }}{{ end }}",
         "errors of web"),
        ("{{ range $i, $n := .Names }}{{ $i }}={{ $n }} {{ end }}", "0=a 1=b "),
        ("{{ range .Names }}{{ . }},{{ end }}", "a,b,"),
        ("{{ range .Nobody }}x{{ else }}nobody{{ end }}", "nobody"),
        ("{{ len .Checks }}: {{ .Names }}", "2: [a b]"),
        ('{{ (index .Checks 1).Metric }}', "latency"),
        ("{{ with .Labels }}{{ .team }}{{ end }}", "shop"),
        ('{{ if eq .Name "web" }}yes{{ end }}', "yes"),
    ],
)  # fmt: skip
def test_it_renders(text: str, rendered: str) -> None:
    assert rendered == render(text, dot=DOT)


def test_a_map_with_an_answer_for_missing_keys_gives_it() -> None:
    assert "[]" == render("[{{ .Metadata.nothing }}]", dot={"Metadata": Lenient()})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ .Nmae }}", '1:3: executing "tmpl" at <.Nmae>: map has no entry for key "Nmae"'),
        ("{{ .Name.x }}", "can't evaluate field x in type string"),
        ("{{ index .Names 2 }}", "error calling index: index out of range: 2"),
        ("{{ eq .Names .Names }}", "non-comparable type slice"),
        ("{{ range .Count }}{{ end }}", "range can't iterate over 3"),
    ],
)
def test_what_does_not_fit_says_where(text: str, why: str) -> None:
    with pytest.raises(ExecError) as caught:
        render(text, dot=DOT)

    assert why in str(caught.value)


def test_what_does_not_parse_says_where() -> None:
    with pytest.raises(ParseError, match="template: tmpl:2: unexpected EOF"):
        render("a\n{{ if .Name }}", dot=DOT)


def test_loops_in_loops_end() -> None:
    loops = 12
    with pytest.raises(ExecError, match="more than 20000 steps"):
        render("{{ range $.Many }}" * loops + "{{ end }}" * loops,
               dot={"Many": [1] * 50})  # fmt: skip


def test_what_is_printed_is_bounded() -> None:
    text = "{{ range .Many }}{{ range $.Many }}" + "x" * 1000 + "{{ end }}{{ end }}"
    with pytest.raises(ExecError, match="more than 262144 characters"):
        render(text, dot={"Many": [1] * 50})
