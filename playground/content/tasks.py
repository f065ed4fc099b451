"""The tasks of the page: the built-in ones, and those that `--task` names.

The page's own process never imports a task's code. Another process does, and answers
with the task cards (task_cards.py).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.errors import ConfigError, option_error, raise_collected
from align_core.config.messages import Message, plain
from align_core.config.task_card import (
    BUILT_IN,
    EXPECTED,
    NAMES,
    from_row,
    known_card,
    register,
    registered,
)
from align_core.runs import child_process
from playground.content.page_names import page_name

# Names on the page for the visitor's own task, its earlier versions, and other visitors' tasks
# (people/own_tasks.py).
OWN, EARLIER, OTHERS = "own", "own-earlier", "own-of-others"
OWN_PROMPT = "The plot of this film"  # until the visitor's task has prompts
TIMEOUT = 120.0  # seconds; a task may have to read its data


def register_tasks(names: Sequence[str]) -> None:
    """Register the tasks that `--task` names, so that configurations may name them.

    Raises:
        ConfigError: the error lines of `align-core tasks --task …`, and one for each task whose
            reference is missing or cannot be found: the page has no control for another model.
    """
    if not names:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cards.json"
        command = ("playground.content.task_cards", str(file), *names)
        with child_process.module_process(*command) as process:
            try:
                problem = f"its code ended the process (exit code {process.wait(TIMEOUT)})"
            except subprocess.TimeoutExpired:
                problem = f"its code was not loaded within {TIMEOUT:g} seconds"
        answer = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    if answer is None:
        raise ConfigError(option_error("--task", ", ".join(names), f"{EXPECTED}; {problem}"))
    expected = (
        f"a task with a `reference`, the model that its policies start from: "
        f"{model_index.EXPECTED} (embedded: {', '.join(model_index.embedded())})"
    )
    without_reference = [row["name"] for row in answer["cards"] if row["reference"] is None]
    refused = [option_error("--task", name, expected) for name in without_reference]
    refused += _missing_references(answer["cards"])
    raise_collected([plain(line) for line in answer["errors"]] + refused)
    for row in answer["cards"]:
        if row["name"] not in BUILT_IN:
            register(from_row(row))


def _missing_references(cards: Sequence[Mapping[str, Any]]) -> list[Message]:
    """A message for each task whose reference cannot be found, with the reason."""
    lines = []
    for row in cards:
        try:
            if row["reference"] is not None:
                model_index.locate(row["reference"])
        except ValueError as error:
            expected = f"a task whose reference can be loaded; {row['reference']!r}: {error}"
            lines.append(option_error("--task", row["name"], expected))
    return lines


def available() -> dict[str, dict[str, Any]]:
    """The parts of each task's card that the page's scripts need (records.js), by its page name."""
    names = (*NAMES, *registered())
    offered = {
        page_name(name): {"reference": page_name(known_card(name).reference)} for name in names
    }
    return {**offered, OWN: {"reference": None}}


def with_task_words(words: dict[str, Any]) -> dict[str, Any]:
    """Add to the catalogue `words` the texts of the visitor's own task, and of registered tasks for
    which it has none; returns it."""
    for full_name, task in registered().items():
        if (name := page_name(full_name)) in words["tasks"]:
            continue
        words["tasks"][name] = {"name": task.title, "explanation": task.explanation}
        words["groups"][name] = {group: group for group in task.groups}
        words["try"]["prompts"][name] = task.prompt
        words["score"]["examples"][name] = {
            "prompt": task.prompt,
            "answers": [],
            "explanation": task.explanation,
        }
    own_words = words["own"]
    words["tasks"] |= {
        OWN: {"name": own_words["name"], "explanation": own_words["explanation"]},
        EARLIER: {"name": own_words["earlier"], "explanation": ""},
        OTHERS: {"name": own_words["others"], "explanation": ""},
    }
    words["try"]["prompts"][OWN] = OWN_PROMPT
    example = {"prompt": OWN_PROMPT, "answers": [], "explanation": own_words["scored"]}
    words["score"]["examples"][OWN] = example
    return words
