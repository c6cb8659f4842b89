"""Commands as words, and what only a shell can do."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.loadtester.core.shell import shell_sign, words


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("hey -z 1m -q 10 http://web/", ""),
        ("hey 'http://web/?a=1&b=2'", ""),
        ("hey -H 'X: $a' http://web/?a=1", ""),
        ('hey -d "a|b" web', ""),
        (r"echo a\|b", ""),
        (r'echo "a\$b"', ""),
        ("k6 run \\\n  --vus 10 \\\n  load.js\n", ""),
        ("curl web | grep ok", "|"),
        ("hey web &", "&"),
        ("a; b", ";"),
        ("hey web > log", ">"),
        ("echo $HOME", "$"),
        ('echo "$HOME"', "$"),
        ("echo `id`", "`"),
        ('echo "`id`"', "`"),
        ("a\nb", "a new line"),
        ("TARGET=web hey", "="),
        ("(a)", "("),
    ],
)
def test_what_needs_a_shell(command: str, sign: str) -> None:
    assert shell_sign(command) == sign


def test_words_are_a_shells_words() -> None:
    assert words("k6 run \\\n --tag 'a b'  x\\ y \n") == ("k6", "run", "--tag", "a b", "x y")
    assert words("echo 'a") is None
    assert words("  ") is None


def test_a_line_goes_on_only_where_its_backslash_is_one_for_a_shell() -> None:
    assert words("echo '\\\n'") == ("echo", "\\\n")
    assert words('echo "a\\\nb" c\\\nd') == ("echo", "ab", "cd")
    assert shell_sign("echo \\\\\n;") == "a new line"


LETTERS = st.text(alphabet="ab -'\"\\=|;$&<>()`\n", max_size=20)


@settings(max_examples=300)
@given(LETTERS)
def test_where_no_shell_is_needed_a_shell_would_have_passed_the_same_words(tail: str) -> None:
    command = f"printf '%s\\0' {tail}"
    split = words(command)
    if shell_sign(command) or split is None:
        return
    shell = subprocess.run(["sh", "-c", command], capture_output=True, check=True)

    assert b"\0".join(word.encode() for word in split[2:]) + b"\0" == (shell.stdout or b"\0")


@given(st.text())
def test_splitting_never_fails(text: str) -> None:
    shell_sign(text)
    found = words(text)

    assert found is None or all(isinstance(word, str) for word in found)
