"""The names of a task, its reference and its reward model."""

import re
from pathlib import Path

import pytest

from align_core.config.task_card import BUILT_IN, card, is_code

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
def test_which_names_are_those_of_code(name, code):
    assert is_code(name) == code
