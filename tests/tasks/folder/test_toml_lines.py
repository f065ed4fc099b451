"""The line of each key, found with the standard library's parser."""

import tomllib

import pytest

from align_core.tasks.folder.toml_lines import Unparsable, parse

TEXT = '''# a task
title = "a"  # [reward]
about = """
[reward]
kind = "no"
"""
dotted.key = 1

[prompts]
file = "a"
[[reward]]
kind = "length"
words = [
  "a",  # aim = 3
  "b",
]
[reward.inner]
x = { y = 2 }
[[ reward ]]
  "kind" = 'words'
'''


def test_every_key_has_its_line():
    content, lines = parse(TEXT)
    assert content == tomllib.loads(TEXT)
    assert {path: lines.of(path) for path in lines._lines} == {
        (): 1,
        ("title",): 2,
        ("about",): 3,
        ("dotted",): 7,
        ("dotted", "key"): 7,
        ("prompts",): 9,
        ("prompts", "file"): 10,
        ("reward",): 11,
        ("reward", 0): 11,
        ("reward", 0, "kind"): 12,
        ("reward", 0, "words"): 13,
        ("reward", 0, "words", 0): 13,
        ("reward", 0, "words", 1): 13,
        ("reward", 0, "inner"): 17,
        ("reward", 0, "inner", "x"): 18,
        ("reward", 0, "inner", "x", "y"): 18,
        ("reward", 1): 19,
        ("reward", 1, "kind"): 20,
    }


def test_a_missing_key_is_reported_at_its_place():
    _, lines = parse(TEXT)
    assert lines.of(("reward", 1, "aim")) == 19
    assert lines.of(("preferences", "file")) == 1


def test_an_array_of_inline_tables():
    _, lines = parse('reward = [\n  { kind = "ends" },\n  { kind = "json" },\n]\n')
    assert lines.of(("reward", 1, "kind")) == 1


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a = 1\nb = \n", 2, "invalid value"),
        ("a = 1\n\na = 2", 3, "cannot overwrite a value"),
        ('a = 1\nb = """\n', 2, "unterminated string"),
        ('a = 1\nb = "\\ud83d"', 2, "escaped character is not a Unicode scalar value"),
        ("a = 1\nb = " + "1" * 5000, 2, "a number has too many digits"),
        ("a = 1\nb = " + "[" * 200_000, 2, "brackets are nested too deeply"),
        ("a = 1\nb = " + "{c=" * 200_000, 2, "brackets are nested too deeply"),
    ],
)
def test_invalid_toml_is_reported_with_its_line(text, line, problem):
    with pytest.raises(Unparsable) as refused:
        parse(text)
    assert (refused.value.line, str(refused.value)) == (line, f"expected TOML: {problem}")


def test_only_line_ends_divide_the_lines():
    _, lines = parse('a = "x\u2028y\x85z"\nb = 1\n')
    assert (lines.of(("a",)), lines.of(("b",))) == (1, 2)
