"""An experiment measures its parts, stores them, and continues from stored ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types

import psutil
import pytest

from align_core import experiments
from align_core.cli import main as cli
from align_core.cli.experiments import NO_EVIDENCE
from align_core.experiments import runner, tabular
from align_core.experiments.claims import conclusions


@pytest.fixture
def calls(monkeypatch):
    """Registers an experiment "sum" of two stages; returns the list of its measured parts."""
    made = []
    fake = types.ModuleType("fake")
    fake.stages = lambda quick: [{"a": {"x": 1}, "b": {"x": 2}}, {"c": {"x": 3}}]
    fake.measure = lambda folder, x: made.append(x) or x / 3
    fake.summary = lambda runs: {"sum": sum(run["measured"] for run in runs)}
    fake.verdicts = lambda result: []
    fake.findings = lambda result: [("sum", {"sum": f"{result['sum']:g}"})]
    fake.SENTENCES = {"sum": "The sum is {sum}."}
    monkeypatch.setattr(experiments, "NAMES", ("sum",))
    monkeypatch.setitem(sys.modules, "align_core.experiments.sum", fake)
    monkeypatch.setattr(runner, "_Processes", InThisProcess)
    return made


class InThisProcess:
    def __init__(self, lanes):
        assert lanes == 2

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        done = Future()
        done.set_result(function(*arguments))
        return done


def run(folder, name="sum", quick=False, **changes):
    return runner.run(name, folder, quick=quick, lanes=2, **changes)


def test_every_part_is_measured_and_summarised(calls, tmp_path):
    progress = []
    result = run(tmp_path, on_part=lambda done, count: progress.append((done, count)))
    assert sorted(calls) == [1, 2, 3] and calls[-1] == 3  # the second stage is last
    assert result["sum"] == 2 and result["runs"] == 3
    assert progress == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert json.loads((tmp_path / "result.json").read_text()) == result


def test_it_continues_from_the_stored_parts(calls, tmp_path):
    run(tmp_path)
    del calls[:]
    (tmp_path / "parts" / "b.json").unlink()
    progress = []
    run(tmp_path, on_part=lambda done, count: progress.append(done))
    assert calls == [2] and progress == [2, 3]


def test_a_part_with_other_settings_is_measured_again(calls, tmp_path):
    run(tmp_path)
    part = tmp_path / "parts" / "c.json"
    part.write_text(part.read_text().replace('"x": 3', '"x": 4'))
    del calls[:]
    run(tmp_path)
    assert calls == [3]


def test_the_command_prints_the_result(calls, tmp_path, capsys):
    folder = tmp_path / "new"
    assert cli.main(["experiment", "sum", "--run-dir", str(folder), "--lanes", "2"]) == 0
    out, err = capsys.readouterr()
    assert out == f"The sum is 2.\nthe result is in {folder / 'result.json'}\n"
    assert "3/3" in err
    cli.main(["experiment", "sum", "--run-dir", str(tmp_path / "quick"), "--quick"])
    assert capsys.readouterr().out.startswith(f"{NO_EVIDENCE}\nThe sum is")
    cli.main(["experiment", "sum", "--run-dir", str(folder), "--lanes", "2", "--json"])
    assert json.loads(capsys.readouterr().out)["sum"] == 2


def test_a_wrong_command_is_reported_at_once(calls, capsys):
    assert cli.main(["experiment", "diff", "--lanes", "0"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "NAME got 'diff', expected one of sum",
        "--lanes got '0', expected a whole number of runs at a time from 1 to 256",
    ]


def test_the_smallest_coverage_has_every_setting_and_its_sentences(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_Processes", InThisProcess)
    for length in ("STEPS", "ROLLOUTS"):
        monkeypatch.setattr(tabular, length, 3)  # test_tabular.py trains to the optimum
    result = run(tmp_path, quick=True, name="coverage")
    assert result["seeds"] == result["runs"] == 2
    assert len(result["settings"]) == 7 * 3 * 2 + 2  # two with the best response always covered
    assert conclusions(experiments.load("coverage"), result)


OWNER = """
import os, time
from align_core.experiments.runner import _Processes

if __name__ == "__main__":
    with _Processes(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


@pytest.mark.slow
def test_the_processes_end_when_their_owner_is_killed(tmp_path):
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=paths) as owner:
        worker = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    worker.wait(timeout=30)
