"""The formats of TRL's documentation, example by example."""

import pytest
from trl.data_utils import extract_prompt

from align_core.data import formats

ASKED = [{"role": "user", "content": "What color is the sky?"}]
BLUE = [{"role": "assistant", "content": "It is blue."}]
GREEN = [{"role": "assistant", "content": "It is green."}]
IMPLICIT = {"chosen": ASKED + BLUE, "rejected": ASKED + GREEN}
CHAT = {"prompt": ASKED, "chosen": BLUE, "rejected": GREEN}
PAIR = {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}


def said(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"messages": ASKED + BLUE}, ASKED),
        ({"prompt": "The sky is"}, "The sky is"),
        ({"prompt": ASKED}, ASKED),
        ({"prompt": "The sky is", "completion": " blue."}, "The sky is"),
        ({"prompt": ASKED, "completion": BLUE}, ASKED),
        (PAIR, "The sky is"),
        ({"chosen": "The sky is blue.", "rejected": "The sky is green."}, "The sky is"),
        (IMPLICIT, ASKED),
        ({"prompt": None, **IMPLICIT}, ASKED),
        ({"prompt": ASKED, "completion": GREEN, "label": False}, ASKED),
        ({"prompt": "9.8 or 9.11?", "completions": ["a", "b"], "labels": [True, False]},)
        + ("9.8 or 9.11?",),
    ],
)
def test_every_format_has_its_prompt(row, prompt):
    assert formats.prompt(row) == prompt


def test_demonstrations():
    plain = {"prompt": "The sky is", "completion": " blue."}
    assert formats.demonstration(plain | {"label": True}) == plain
    more = {"text": "The sky is blue.", "messages": ASKED + BLUE, "tools": [], "images": None}
    assert formats.demonstration(plain | more) == plain
    assert formats.unpaired(plain | more | {"label": 1}) == plain | {"label": True}
    chat = {"prompt": ASKED, "completion": BLUE}
    assert formats.demonstration({"messages": ASKED + BLUE}) == chat
    assert formats.demonstration({"text": "The sky."}) == {"prompt": "", "completion": "The sky."}


def test_pairs_and_implicit_prompts_as_trl_has_them():
    assert formats.pair(PAIR) == PAIR
    assert formats.pair(IMPLICIT) == {"prompt": ASKED, "chosen": BLUE, "rejected": GREEN}
    assert formats.pair(IMPLICIT) == extract_prompt(IMPLICIT)
    plain = {"chosen": "The sky is blue.", "rejected": "The sky is green."}
    assert formats.pair(plain) == PAIR == extract_prompt(plain)


def test_an_implicit_prompt_ends_with_a_word():
    row = {"chosen": "The sky is black.", "rejected": "The sky is blue."}
    assert formats.pair(row) == {**PAIR, "chosen": " black.", "rejected": " blue."}
    row = {"chosen": "The sky is blue", "rejected": "The sky is"}
    assert formats.pair(row) == {"prompt": "The sky", "chosen": " is blue", "rejected": " is"}


def test_unpaired_preferences():
    row = {"prompt": "The sky is", "completion": " blue."}
    for label, right in ((True, True), (0, False), ("True", True), ("false", False), (1.0, True)):
        assert formats.unpaired(row | {"label": label}) == row | {"label": right}
    assert formats.unpaired(row) is None and formats.unpaired(PAIR) is None
    with pytest.raises(ValueError, match="expected a label that is true or false, got 'good'"):
        formats.unpaired(row | {"label": "good"})


@pytest.mark.parametrize(
    ("shape", "row", "problem"),
    [
        (formats.prompt, {"text": "a"}, "expected a column prompt"),
        (formats.prompt, {"prompt": " "}, "prompt: expected a text, got an empty one"),
        (formats.prompt, {"prompt": []}, "prompt: expected a text, got an empty one"),
        (formats.prompt, {"prompt": 3}, "got 3"),
        (formats.prompt, {"prompt": [{"role": "user", "content": None}]}, "role and content"),
        (formats.prompt, {"messages": BLUE}, "the last one the assistant's"),
        (formats.demonstration, {"prompt": "a"}, "got prompt"),
        (formats.demonstration, {"prompt": "a", "completion": ""}, "got an empty one"),
        (formats.demonstration, {"messages": "a"}, "messages: expected a list of messages"),
        (formats.pair, {"chosen": "a", "rejected": "b"}, "begin with the same prompt"),
        (formats.pair, {"chosen": "a b", "rejected": "a b"}, "chosen and rejected are the same"),
        (formats.pair, {"chosen": ASKED + BLUE, "rejected": "a"}, "two texts or two lists"),
        (formats.pair, {"prompt": ASKED, "chosen": BLUE, "rejected": "a"}, "three lists"),
        (formats.pair, [], "got none"),
        (formats.pair, PAIR | {"chosen": 3}, "got 3"),
        (formats.pair, PAIR | {"rejected": " \n"}, "rejected: expected a text, got an empty one"),
        (
            formats.pair,
            CHAT | {"chosen": said("assistant", " ")},
            "chosen: expected a text, got an",
        ),
        (
            formats.pair,
            CHAT | {"prompt": said("user", "")},
            "prompt: expected a text, got an empty",
        ),
        (
            formats.pair,
            CHAT | {"chosen": ASKED + BLUE},
            "message, the assistant's, got those of user",
        ),
        (
            formats.pair,
            CHAT | {"rejected": ASKED},
            "rejected: expected one message, the assistant's",
        ),
        (
            formats.pair,
            {key: IMPLICIT[key] + ASKED + BLUE for key in IMPLICIT},
            "chosen: expected one",
        ),
        (
            formats.pair,
            CHAT | {"tools": [{"name": "f"}]},
            "tools: expected none, as only texts are",
        ),
        (formats.prompt, {"prompt": ASKED, "images": ["a.png"]}, "images: expected none"),
        (formats.prompt, {"prompt": ASKED, "chat_template_kwargs": {"a": 1}}, "expected none"),
        (formats.demonstration, {"prompt": ASKED, "completion": ASKED}, "completion: expected one"),
    ],
)
def test_invalid_values_are_reported_in_one_line(shape, row, problem):
    with pytest.raises(ValueError) as refused:
        shape(row)
    assert problem in str(refused.value) and "\n" not in str(refused.value)


BOOLEANS = [
    *((yes, True) for yes in (True, 1, 1.0, "True", "true", "TRUE", "1", " 1.0 ")),
    *((no, False) for no in (False, 0, 0.0, "False", "false", "0")),
]


@pytest.mark.parametrize(("value", "expected"), BOOLEANS)
def test_whether_a_text_ended_is_read_from_every_kind_of_boolean(value, expected):
    pair = {"prompt": "x", "chosen": " a", "rejected": " b"}
    assert formats.pair(pair | {"chosen_ended": value}) == pair | {"chosen_ended": expected}
    shown = {"prompt": "x", "completion": " a"}
    ended = {"completion_ended": expected}
    assert formats.demonstration(shown | {"completion_ended": value}) == shown | ended


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_value_does_not_tell_whether_a_text_ended(missing):
    pair = {"prompt": "x", "chosen": " a", "rejected": " b"}
    assert formats.pair(pair | {"rejected_ended": missing}) == pair


@pytest.mark.parametrize("value", ["yes", "", 2, 0.5, [], "truth"])
def test_a_value_that_is_not_a_boolean_is_refused(value):
    pair = {"prompt": "x", "chosen": " a", "rejected": " b", "chosen_ended": value}
    with pytest.raises(ValueError, match="expected a chosen_ended that is true or false, got"):
        formats.pair(pair)
