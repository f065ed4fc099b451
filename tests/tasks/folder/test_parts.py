"""The score of each part of a reward for a text, with the arithmetic."""

import math
import time

import pytest
from pydantic import TypeAdapter, ValidationError
from vader import polarity_scores

from align_core.tasks.folder.parts import KINDS, Completion, Part, words


def part(kind: str, **keys):
    return TypeAdapter(Part).validate_python({"kind": kind, **keys})


def score(kind: str, text: str, ended: bool = True, row: dict | None = None, **keys) -> float:
    completion = Completion([{"role": "user", "content": "p"}], text, ended, row or {})
    (value,) = part(kind, **keys).scores([completion])
    return value


def refused(kind: str, **keys) -> str:
    with pytest.raises(ValidationError) as error:
        part(kind, **keys)
    return str(error.value)


def test_words():
    assert words("Don't stop; well-known, 3 TIMES — Straße") == (
        ["don't", "stop", "well-known", "3", "times", "strasse"]
    )


def test_length():
    text = "one two three four five six"
    assert score("length", text, aim=6) == 0
    assert score("length", text, aim=4) == -2 / 4
    assert score("length", text, aim=8) == -2 / 8
    assert score("length", "", aim=8) == -1
    assert score("length", text, most=6) == 0
    assert score("length", text, most=4) == -2 / 4
    assert score("length", text, aim=3, most=5) == -(3 / 3 + 1 / 5)
    assert "expected aim or most" in refused("length")
    assert "expected an aim of at most 2, got 3" in refused("length", aim=3, most=2)


def test_wanted_and_unwanted_words():
    keys = {"wanted": ["good", "Thank you"], "unwanted": ["bad"]}
    assert score("words", "Nothing.", **keys) == 0
    assert score("words", "GOOD!", **keys) == 1 / 2
    assert score("words", "Good, thank you.", **keys) == 2 / 3
    assert score("words", "Bad, bad, thank you, bad, goodness", **keys) == -2 / 3
    assert "got 'good' as both" in refused("words", wanted=["good"], unwanted=["GOOD!"])
    assert "expected words, got '!'" in refused("words", wanted=["!"])
    assert "expected wanted, unwanted or lexicon" in refused("words")


def test_the_lexicon_of_sentiment():
    # VADER's compound is s / √(s² + 15) with the valence s of the words; "superb" has 3.1.
    assert score("words", "superb", lexicon="vader") == pytest.approx(
        3.1 / math.sqrt(3.1**2 + 15), abs=1e-4
    )
    both = score("words", "a superb film", lexicon="vader", wanted=["film"])
    assert both == 1 / 2 + polarity_scores("a superb film")["compound"]
    assert score("words", "not good", lexicon="vader") < 0 < score("words", "good", lexicon="vader")


def test_pattern():
    assert score("pattern", "It is 42.", pattern=r"\d+\.$") == 1
    assert score("pattern", "It is 42", pattern=r"\d+\.$") == 0
    assert score("pattern", "É", pattern="(?i)é") == 1
    for unknown in (r"(a)\1", "(?=a)", "((a{1000}){1000}){1000}", "("):
        assert "expected a regular expression in RE2's syntax" in refused(
            "pattern", pattern=unknown
        )


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}b$", r"^(([a-z])+.)+[A-Z]$"]
)
def test_no_pattern_backtracks(pattern):
    # Python's re takes 2ⁿ steps for the first pattern, which is years here.
    began = time.thread_time()
    score("pattern", "a" * 5000 + "!", pattern=pattern)
    assert time.thread_time() - began < 1.0


def test_ends():
    assert score("ends", "It is so.") == score("ends", 'He said "yes!"  ') == 1
    assert score("ends", "真的。") == 1
    assert score("ends", "It is so.", ended=False) == 0
    assert score("ends", "It is") == score("ends", "") == 0
    assert score("ends", "It is", marks="") == 1
    assert score("ends", "It is;", marks=";") == 1 and score("ends", "It is.", marks=";") == 0


def test_repetition():
    assert score("repetition", "a b c d") == 0
    # Sequences of three: abc bca cab abc; one of them occurred before.
    assert score("repetition", "a b c a b c") == 3 / 4 - 1
    assert score("repetition", "a a a a", n=1) == 1 / 4 - 1
    assert score("repetition", "a b") == score("repetition", "") == 0


@pytest.mark.parametrize(
    ("text", "answer", "equals", "contains"),
    [
        (" Paris.", "paris", 1, 1),
        ("It is Paris, I think.", "Paris", 0, 1),
        ("Parisian", "Paris", 0, 0),
        ("New   York", "new york", 1, 1),
        ("42", 42, 1, 1),
        ("The sum is 42.", 42, 0, 1),
        ("-42", 42, 0, 0),
        ("142 or 42.5 or 3.42", 42, 0, 0),
        ("Lyon", ["Paris", "Lyon"], 1, 1),
        ("Nice", ["Paris", "Lyon"], 0, 0),
    ],
)
def test_agreement_with_an_answer(text, answer, equals, contains):
    assert score("answer", text, row={"answer": answer}) == equals
    assert (
        score("answer", text, row={"right": answer}, column="right", match="contains") == contains
    )


def test_an_unknown_answer():
    assert math.isnan(score("answer", "Paris"))
    for row in ({}, {"answer": None}, {"answer": []}, {"answer": {}}, {"answer": " . "}):
        with pytest.raises(ValueError, match="^answer: expected"):
            part("answer").answers(row)


def test_json():
    for text in (' {"a": [1, null]} ', "3", '"a"'):
        assert score("json", text) == 1
    for text in ("", "{'a': 1}", '{"a": 1} b', "NaN", "[" * 200_000):
        assert score("json", text) == 0


def test_every_part_has_its_members():
    assert part("ends").label == "ends" and part("ends", name="my_end").label == "my_end"
    assert part("ends").weight == 1 and part("ends", weight=-2).weight == -2
    for weight in (0, True, "1", math.inf):
        assert "weight" in refused("ends", weight=weight)
    for kind, part_class in KINDS.items():
        assert part_class.__doc__ and part_class.model_fields["kind"].annotation.__args__ == (kind,)


def test_letters_and_apostrophes_are_compared_however_they_are_written():
    assert score("words", "Un cafe\u0301", wanted=["caf\u00e9"]) == 1 / 2
    assert score("words", "don’t", wanted=["don't"]) == 1 / 2
    assert score("answer", "Zu\u0308rich", row={"answer": "Z\u00fcrich"}) == 1


@pytest.mark.parametrize(
    ("text", "count"),
    [("नमस्ते दुनिया", 2), ("كَتَبَ الوَلَدُ", 2), ("สวัสดี", 1), ("naïve coöp’s x²", 3), ("a_b", 2), ("", 0)],
)
def test_marks_on_letters_divide_no_words(text, count):
    assert score("length", text, most=1) == -max(count - 1, 0)


def test_a_whole_number_is_an_answer_with_or_without_a_point():
    for text, right in (("42", 1), ("42.0", 1), ("42.5", 0), ("4", 0)):
        assert score("answer", text, row={"answer": 42.0}) == right
    assert score("answer", "0.5", row={"answer": 0.5}) == 1
    with pytest.raises(ValueError, match="answer: expected an answer, got an empty one"):
        part("answer").answers({"answer": math.nan})
