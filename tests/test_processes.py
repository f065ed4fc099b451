"""Several processes: the same episodes, the same gradients, the same end as one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from align_core import processes, training
from align_core.configs import ConfigError
from align_core.runs import RunDirectory

ROOT = Path(__file__).parents[1]


def ended(folder: Path, count: int, batch_size: int) -> tuple[dict, dict]:
    """Weights and last metrics of `count` processes with so many episodes each."""
    folder.mkdir()
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    module = ["-m", "tests.fakes.ppo_process", str(folder), str(batch_size)]
    command = [sys.executable, *(several if count > 1 else []), *module]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
    with safe_open(folder / "end.safetensors", "pt") as stored:
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return weights, {k: float(v) for k, v in stored.metadata().items()}


def test_two_processes_learn_what_one_learns(tmp_path):
    """16 episodes a rollout in one process, or 8 in each of two, through Adam's steps and all."""
    alone, alone_says = ended(tmp_path / "one", 1, 16)
    together, together_say = ended(tmp_path / "two", 2, 8)
    for name, weights in alone.items():
        torch.testing.assert_close(together[name], weights, atol=1e-5, rtol=0, msg=name)
    for name in ("objective/kl", "objective/scores", "loss/value_avg", "val/ratio", "episode"):
        assert together_say[name] == pytest.approx(alone_says[name], abs=1e-3), name


def trained(folder: Path, count: int) -> list[dict]:
    """The metrics of a run from the command line."""
    command = ["-m", "align_core", "train", "ppo", "--task", "reviews", "--run-dir", str(folder)]
    command += ["--steps", "2", "--batch-size", "8", "--eval-every", "2"]
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [sys.executable, *(several if count > 1 else []), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=240)
    events = RunDirectory.open(folder).events()[0]
    assert [e["status"] for e in events if e["kind"] == "status"] == ["running", "finished"]
    assert (folder / "model" / "model.safetensors").is_file()
    return [event["metrics"] for event in events if event["kind"] == "metrics"]


def test_the_command_line_runs_in_two_processes(tmp_path):
    one, two = trained(tmp_path / "one", 1), trained(tmp_path / "two", 2)
    assert len(one) == len(two)
    for alone, together in zip(one, two, strict=True):
        for name, value in alone.items():
            if value is not None and not name.startswith("timing/"):
                assert together[name] == pytest.approx(value, abs=2e-3, rel=2e-3), name


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(processes, "COUNT", 3)
    with pytest.raises(ConfigError, match="--batch-size got 16; it takes a multiple of the 3"):
        training._share(16)
