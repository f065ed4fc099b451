"""docs/python.ipynb runs, and its stored outputs are those of its cells."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import notebook

FEWER = {r"(steps?)=12": r"\1=2", "eval_every=3": "eval_every=1", "prompts=32": "prompts=4"}


def code_cells():
    cells = json.loads(notebook.NOTEBOOK.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def kinds(outputs):
    """The kinds of each output of a cell."""
    return [sorted(output.get("data", {output.get("name"): ""})) for output in outputs]


def test_the_notebook_is_executed_and_small():
    assert notebook.NOTEBOOK.stat().st_size < 500_000
    assert [cell["execution_count"] for cell in code_cells()] == [*range(1, len(code_cells()) + 1)]
    assert sum("image/png" in kind for cell in code_cells() for kind in kinds(cell["outputs"])) == 2


@pytest.mark.slow
def test_the_cells_give_the_stored_outputs(small_evaluations, monkeypatch):
    monkeypatch.setattr(notebook, "picture", lambda figure: "")
    fewer = []
    for source in notebook.sources():
        for wanted, less in FEWER.items():
            source = re.sub(wanted, less, source)
        fewer.append(source)
    outputs = list(notebook.executed(fewer))
    assert [*map(kinds, outputs)] == [kinds(cell["outputs"]) for cell in code_cells()]
    (refused,) = (
        cell["outputs"] for cell in code_cells() if "ConfigError as" in str(cell["source"])
    )
    assert outputs[-2] == refused, "the lines are the same with other measurements"


def test_a_cell_shows_its_printed_text_and_its_last_expression():
    (first, second, third) = notebook.executed(["a = 3", "print(a)\na + 1", "None"])
    assert first == [] and third == []
    printed, value = second
    assert printed == {"output_type": "stream", "name": "stdout", "text": ["3\n"]}
    assert value["data"] == {"text/plain": ["4"]}


def test_an_error_in_a_cell_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(notebook.executed(["1 / 0"]))
