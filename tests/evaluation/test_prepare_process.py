"""The process of a preparation: what it prepares, what it prints, and how it ends."""

from __future__ import annotations

import json
import runpy
import sys
from types import SimpleNamespace

import pytest

from align_core.config import model_size
from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.config.model_size import EvaluationSize
from align_core.evaluation import preparation, prepare_process, prepared
from align_core.models import libraries
from align_core.runs import progress


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """`run(made, complete)` is the exit code, the printed lines and what was prepared."""
    monkeypatch.setattr(prepare_process, "exit_with_stdin", lambda: None)
    monkeypatch.setattr(libraries, "silence_libraries", lambda: None)

    def run(made, complete=False, samples=1024):
        calls = []

        def entry(task, model, **settings):
            calls.append((task, model, settings))
            return SimpleNamespace(complete=complete)

        def prepare(entry, task, model, **settings):
            calls.append((task, model, settings))
            return made

        size = EvaluationSize(3, 2, samples)
        sizes = {("sft-reviews", 36): size}  # of the model and the task's token limit
        monkeypatch.setattr(prepare_process, "evaluation_size", lambda *of: sizes[of])
        monkeypatch.setattr(prepared, "entry", entry)
        monkeypatch.setattr(preparation, "Preparation", prepare)
        code = prepare_process.main("reviews", "sft-reviews", tmp_path)
        return code, [*map(json.loads, capsys.readouterr().out.splitlines())], calls

    return run


class Made:
    """A preparation of nine texts in two batches."""

    texts = 9

    def __call__(self, progress):
        progress(4, False)
        progress(5, True)


def test_it_prints_its_progress_and_leaves_a_result(run, tmp_path):
    code, lines, calls = run(Made())
    assert (code, lines) == (0, [{"done": 4, "count": 9}, {"done": 9, "count": 9}])
    assert calls == [("reviews", "sft-reviews", {"samples": 512, "prompts": 3, "seed": 0})] * 2
    assert (tmp_path / "result.json").read_text() == "{}"
    assert run(Made(), samples=400)[2][0][2]["samples"] == 400


def test_its_arguments_are_the_task_the_model_and_the_folder(run, tmp_path, monkeypatch):
    run(None, complete=True)
    (tmp_path / "result.json").unlink()
    monkeypatch.setattr(sys, "argv", ["module", "reviews", "sft-reviews", str(tmp_path)])
    monkeypatch.setattr(model_size, "evaluation_size", prepare_process.evaluation_size)
    monkeypatch.setattr(progress, "exit_with_stdin", lambda: None)
    with (
        pytest.warns(RuntimeWarning, match="found in sys.modules"),
        pytest.raises(SystemExit) as end,
    ):
        runpy.run_module("align_core.evaluation.prepare_process", run_name="__main__")
    assert end.value.code == 0 and (tmp_path / "result.json").exists()


def test_what_is_complete_is_not_prepared_again(run):
    code, lines, calls = run(None, complete=True)
    assert (code, lines, len(calls)) == (0, [], 1)


def test_a_failure_is_printed(run, tmp_path):
    def fails(progress):
        raise ConfigError(plain("no space"))

    code, (line,), _ = run(fails)
    assert code == 1 and line["message"] == "no space"
    assert not (tmp_path / "result.json").exists()
