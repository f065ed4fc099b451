"""The names of a task, its reference and its reward model."""

import json
import re
from pathlib import Path

import pytest

from align_core.config.task_card import (
    BUILT_IN,
    NAMES,
    TaskCard,
    as_row,
    card,
    forget,
    from_row,
    is_code,
    known_card,
    known_reference,
    register,
    registered,
)

ROOT = Path(__file__).parents[2]
# "sft-" or "reward-" followed by a placeholder for a task.
_MADE_UP = re.compile(r"(sft|reward)-\$?\{[^}]*task[^}]*\}(?!-)", re.IGNORECASE)


def test_no_model_name_is_built_from_a_tasks_name():
    names = []
    for package in ("align_core", "playground"):
        for path in (ROOT / package).rglob("*"):
            if path.suffix in (".py", ".js", ".html"):
                names += [(path.name, m[0]) for m in _MADE_UP.finditer(path.read_text("utf-8"))]
    assert names == []


@pytest.mark.parametrize(
    "code", ["f'sft-{task}'", "`reward-${run.config.task}`", "'sft-{task.name}'"]
)
def test_the_check_finds_model_names(code):
    assert _MADE_UP.search(code)


def test_the_models_of_the_built_in_tasks():
    assert [(card(task).reference, card(task).reward_model) for task in BUILT_IN] == [
        ("sft-reviews", "reward-reviews"),
        ("sft-capitals", "reward-capitals"),
    ]


def test_a_card_has_its_name_a_title_and_a_sentence():
    for name in NAMES:
        assert (known := known_card(name)).name == known.full_name == name
        assert known.title[0].isupper() and not known.title.endswith(".")
        assert known.explanation.endswith(".")


def test_a_registered_task_is_known_by_its_code_or_folder():
    code = TaskCard("poems", "Poems", "Of all kinds.", code="/a/poems.py:Poems", groups=("a", "b"))
    folder = TaskCard("odes", "Odes", "Of all kinds.", folder="/a/odes", reference="pretrained")
    for known in (code, folder):
        assert from_row(json.loads(json.dumps(as_row(known)))) == known
        name = known.code or known.folder
        for listed in (False, True):
            register(known, listed)
            assert card(name) is known and (name in registered()) == listed
        register(known, listed=False)
        assert name not in registered()
        if known is folder:
            assert known_reference(name) == "pretrained"
        forget(name)
        assert card(name) is None and card(known.name) is None
    for unknown in (known_card, known_reference):
        with pytest.raises(KeyError):
            unknown("/a/odes")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("reviews", False),
        ("/a/poems.py:Poems", True),
        ("a.b:C", True),
        ("a:", False),
        (":", False),
        ("poems.py", False),
        (None, False),
        (3, False),
    ],
)
def test_names_of_code_are_recognised(name, code):
    assert is_code(name) == code


def test_a_stored_card_has_the_keys_of_version_0_1():
    """Servers keep the cards of their visitors' tasks, and programs read `tasks --json`."""
    row = as_row(known_card("reviews"))
    assert {"name", "title", "reference", "reward_model", "called"} <= row.keys()
    assert row["called"] == "reviews"
