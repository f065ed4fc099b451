"""The outcome of a run in its process: success, failures and their messages."""

from __future__ import annotations

import fake_training
import pytest

from align_core.config.run_config import resolve
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.training import worker


@pytest.fixture
def execute(fake_assets, tmp_path):
    def execute(**options):
        directory = RunDirectory.create(tmp_path / "run", resolve("dpo", "reviews", **options))
        events = []
        failure = worker.execute(
            directory, Control(), on_event=events.append, training="fake_training"
        )
        return failure, directory, events

    return execute


def test_a_successful_run(execute):
    failure, directory, events = execute(steps=4)
    assert failure is None
    assert directory.events()[0] == events
    assert events[-1]["status"] == "finished"


def test_a_crash_is_one_plain_line_and_a_traceback_in_a_file(execute):
    failure, directory, events = execute(steps=9, seed=fake_training.RAISES)
    assert failure == directory.status() == events[-1]
    assert (failure["status"], failure["step"]) == ("failed", 2)
    assert "ZeroDivisionError: the fake broke (fake_training.py, line " in failure["message"]
    assert failure["message"].endswith("; the traceback is in error.log in the run's folder")
    assert "\n" not in failure["message"]
    assert "Traceback" in (directory.path / "error.log").read_text()


def test_bad_input_found_during_training_is_a_failure(execute):
    failure, directory, _ = execute(steps=9, seed=fake_training.BAD_INPUT)
    assert directory.status() == failure
    assert failure["message"] == "--model got 'x', expected a model that loads"


def test_a_failure_that_the_run_reports_itself(execute):
    failure, directory, _ = execute(steps=9, seed=fake_training.DIVERGES)
    assert failure["message"] == "step 3: the loss is NaN; try a smaller learning rate"
    assert not (directory.path / "error.log").exists()


def test_a_full_disk_is_reported_although_the_log_cannot_be_written(execute, monkeypatch):
    monkeypatch.setattr(fake_training.os, "write", fake_training.os.write)  # restored afterwards
    failure, directory, _ = execute(steps=9, seed=fake_training.DISK_FULL)
    assert (
        failure["message"]
        == f"The disk is full: {directory.path} could not be written. Free some space"
    )
    assert directory.status()["status"] == "running"


def test_a_training_module_that_cannot_be_imported(fake_assets, tmp_path):
    directory = RunDirectory.create(tmp_path / "run", resolve("dpo", "reviews"))
    failure = worker.execute(directory, Control(), training="no_such_module")
    assert "no_such_module" in failure["message"]
