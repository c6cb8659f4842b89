"""The language of metric templates: what Go's text/template would make of it."""

import pytest

from serinus.analyzer.core.template import TemplateError, render

WORDS = {
    "name": "web",
    "namespace": "prod",
    "target": "web",
    "service": "shop",
    "ingress": "front",
    "route": "r1",
    "interval": "45s",
}
VARIABLES = {"code": "5..", "reporter": "source"}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain { text }", "plain { text }"),
        ("{{ name }}.{{namespace}}", "web.prod"),
        (
            "{{ service }}/{{ ingress }}/{{ route }}/{{ target }}[{{ interval }}]",
            "shop/front/r1/web[45s]",
        ),
        ('x{code=~"{{ variables.code }}"}', 'x{code=~"5.."}'),
        ("a {{- /* why */ -}} b", "ab"),
        ("a  {{- name -}}  b", "awebb"),
        ("{{ -5 }}|{{ 1.5 }}|{{ true }}", "-5|1.5|true"),
        ('{{ "quoted \\"x\\"" }}{{ `raw "y"` }}', 'quoted "x"raw "y"'),
        ('{{ "}}" }}', "}}"),
        ('{{ printf "%s-%d %q %v %.2f%%" target 5 name 1.5 0.125 }}', 'web-5 "web" 1.5 0.12%'),
        ('{{ name | printf "%s-canary" }}', "web-canary"),
        ('{{ index variables "code" }}|{{ index variables "absent" }}', "5..|"),
        ('{{ if eq interval "45s" }}yes{{ else }}no{{ end }}', "yes"),
        ('{{ if eq name "a" "web" }}yes{{ end }}', "yes"),
        ('{{ if ne name "web" }}a{{ else if eq target "web" }}b{{ else }}c{{ end }}', "b"),
        ('{{ if and name "" }}a{{ else }}b{{ end }}', "b"),
        ('{{ or "" name }}{{ not name }}', "webfalse"),
        ("{{ if gt (len name) 2 }}long{{ end }}", "long"),
        ("{{ range $k, $v := variables }}{{ $k }}={{ $v }};{{ end }}", "code=5..;reporter=source;"),
        ("{{ $x := target }}{{ $x }}-{{ $x }}", "web-web"),
        ("{{ $x := 1 }}{{ if name }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ with variables.code }}[{{ . }}]{{ end }}", "[5..]"),
        ("{{ variables }}", "map[code:5.. reporter:source]"),
    ],
)
def test_it_renders(text: str, rendered: str) -> None:
    assert render(text, WORDS, VARIABLES) == rendered


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ nope }}", 'tmpl:1: function "nope" not defined'),
        ("{{ name", "tmpl:1: unclosed action"),
        ('{{ "name }}', "tmpl:1: unclosed action"),
        ("a\n{{ if name }}b", "tmpl:2: unexpected EOF"),
        ("{{ end }}", "tmpl:1: unexpected {{end}}"),
        ("{{ }}", "tmpl:1: missing value for command"),
        ("{{ name | }}", "tmpl:1: missing value for command"),
        ("{{ (name }}", "tmpl:1: unclosed left paren"),
        ("{{ $x }}", 'tmpl:1: undefined variable "$x"'),
        ("{{ if name }}a{{ else }}b{{ else }}c{{ end }}", "tmpl:1: unexpected else"),
        ("{{ @ }}", 'tmpl:1: unexpected "@" in command'),
    ],
)
def test_what_does_not_parse_says_where(text: str, why: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, WORDS, VARIABLES)

    assert str(caught.value) == f"template parsing failed: template: {why}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            'x{v="{{ variables.missing }}"}',
            'tmpl:1:8: executing "tmpl" at <variables>: map has no entry for key "missing"',
        ),
        (
            "a\nb {{ .foo }}",
            'tmpl:2:5: executing "tmpl" at <.foo>: nil data; no entry for key "foo"',
        ),
        (
            "{{ eq name 1 }}",
            'tmpl:1:3: executing "tmpl" at <eq name 1>: error calling eq: '
            "incompatible types for comparison",
        ),
        (
            '{{ name "x" }}',
            'tmpl:1:3: executing "tmpl" at <name>: wrong number of args for name: want 0 got 1',
        ),
        (
            '{{ "a" "b" }}',
            'tmpl:1:3: executing "tmpl" at <"a">: can\'t give argument to non-function "a"',
        ),
    ],
)
def test_what_does_not_render_says_where(text: str, why: str) -> None:
    """The first one is a recorded text, the misspelling of `execution` included."""
    with pytest.raises(TemplateError) as caught:
        render(text, WORDS, VARIABLES)

    assert str(caught.value) == f"template excution failed: template: {why}"


def test_later_arguments_of_or_are_left_alone() -> None:
    assert render("{{ or name variables.missing }}", WORDS, VARIABLES) == "web"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{{ "a" ' * 1000, "unclosed action"),
        ("{{ " + "(" * 4000 + "name" + ")" * 4000 + " }}", "nested too deep"),
        ("{{ if name }}" * 60 + "{{ end }}" * 60, "nested too deep"),
        ("x" * 20_000, "longer than 16384 characters"),
    ],
)
def test_a_hostile_template_costs_no_more_than_a_message(text: str, why: str) -> None:
    """Whoever may write a MetricTemplate must not be able to hold up everybody's decisions."""
    with pytest.raises(TemplateError, match=why):
        render(text, WORDS, VARIABLES)
